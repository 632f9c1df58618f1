"""A telephone that is called: it picks up, listens, presses keys, and takes its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.aio.sip import IncomingCall, SipCall, SipEndpoint, SipSettings
from bridge.aio.sip_transfer import Referral
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.hosts import is_v6, spot
from bridge.load.listen import Heard
from bridge.load.phone import RtpPhone

__all__ = ["Callee", "callee"]

_KEYS = 101


class Callee:
    """One telephone, PCMU, on loopback.

    Args:
        host: Its address.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.endpoint: SipEndpoint
        self.phone: RtpPhone = RtpPhone(host, ssrc=SystemDice().number(32))
        self.rang: asyncio.Event = asyncio.Event()
        self.picks_up: asyncio.Event = asyncio.Event()
        """Set by the test."""
        self.call: SipCall | None = None
        self.offers: list[bytes] = []
        """What we were offered in re-INVITEs."""
        self.referrals: list[Referral] = []
        """Whom we were asked to call."""
        self.outcomes: tuple[int, ...] = (180, 200)
        """What we say of such calls."""
        self.headers: dict[str, str] = {}
        self.from_uri: str = ""
        self._host = host

    @property
    def uri(self) -> str:
        return f"sip:100@{spot(*self.endpoint.listen)}"

    def heard(self) -> Heard:
        return Heard(self.phone.tape.received, 0)

    def keys(self) -> int:
        """How many keys were pressed to us: distinct RTP timestamps of telephone events."""
        return len({packet.timestamp for packet in self.phone.tape.received if packet.payload_type == _KEYS})

    async def answer(self, incoming: IncomingCall) -> None:
        self.headers, self.from_uri = incoming.headers, incoming.from_uri
        incoming.ring()
        self.rang.set()
        if not await self._picked_up(incoming):
            return
        port = next(
            int(line.split()[1]) for line in incoming.sdp.decode().splitlines() if line.startswith("m=audio ")
        )
        call = await incoming.answer(self._description)
        call.on_reinvite = self._changed
        call.transfers.on_referral = self._referred
        self.call = call
        self.phone.start((self._host, port), payload_type=0, event_payload_type=_KEYS)
        await call.ended

    @property
    def _description(self) -> bytes:
        at = f"IN IP{6 if is_v6(self._host) else 4} {self._host}"
        lines = [
            "v=0",
            f"o=- 1 1 {at}",
            "s=-",
            f"c={at}",
            "t=0 0",
            f"m=audio {self.phone.local_port} RTP/AVP 0 {_KEYS}",
            f"a=rtpmap:{_KEYS} telephone-event/8000",
            f"a=fmtp:{_KEYS} 0-15",
            "",
        ]
        return "\r\n".join(lines).encode()

    def _changed(self, offer: bytes) -> bytes:
        """Agree to whatever is offered; the description is ours, with the direction turned round."""
        self.offers.append(offer)
        direction = b"a=recvonly" if b"a=sendonly" in offer else b"a=sendrecv"
        return self._description + direction + b"\r\n"

    def _referred(self, referral: Referral) -> None:
        """Do as if we had called somebody."""
        referral.accept()
        self.referrals.append(referral)
        for status in self.outcomes:
            referral.tell(status)

    async def _picked_up(self, incoming: IncomingCall) -> bool:
        while incoming.is_waiting:
            if self.picks_up.is_set():
                return True
            await incoming.ringing(0.02)
        return False


@asynccontextmanager
async def callee(*, picks_up: bool = True, host: str = "127.0.0.1") -> AsyncIterator[Callee]:
    """A telephone that answers, at once or when it is told to."""
    made = Callee(host)
    if picks_up:
        made.picks_up.set()
    settings = SipSettings(listen=(host, 0), allow=(host,), close_within_s=0.2)
    made.endpoint = await SipEndpoint.start(
        settings, clock=SystemClock(), dice=SystemDice(), on_call=made.answer
    )
    try:
        yield made
    finally:
        await made.endpoint.close()
        await asyncio.to_thread(made.phone.close)
