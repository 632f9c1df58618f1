"""A telephone that is called: it picks up, listens, presses keys, and takes its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.aio.sip import IncomingCall, SipCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.load.listen import Heard
from bridge.load.phone import RtpPhone

__all__ = ["Callee", "callee"]

_KEYS = 101


class Callee:
    """One telephone, PCMU, on loopback."""

    def __init__(self) -> None:
        self.endpoint: SipEndpoint
        self.phone: RtpPhone = RtpPhone("127.0.0.1", ssrc=SystemDice().number(32))
        self.rang: asyncio.Event = asyncio.Event()
        self.picks_up: asyncio.Event = asyncio.Event()
        """Set by the test."""
        self.call: SipCall | None = None
        self.headers: dict[str, str] = {}
        self.from_uri: str = ""

    @property
    def uri(self) -> str:
        return f"sip:100@127.0.0.1:{self.endpoint.listen[1]}"

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
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=-",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            f"m=audio {self.phone.local_port} RTP/AVP 0 {_KEYS}",
            f"a=rtpmap:{_KEYS} telephone-event/8000",
            f"a=fmtp:{_KEYS} 0-15",
            "",
        ]
        offer = incoming.sdp.decode()
        port = next(int(line.split()[1]) for line in offer.splitlines() if line.startswith("m=audio "))
        self.call = await incoming.answer("\r\n".join(lines).encode())
        self.phone.start(("127.0.0.1", port), payload_type=0, event_payload_type=_KEYS)
        await self.call.ended

    async def _picked_up(self, incoming: IncomingCall) -> bool:
        while incoming.is_waiting:
            if self.picks_up.is_set():
                return True
            await incoming.ringing(0.02)
        return False


@asynccontextmanager
async def callee(*, picks_up: bool = True) -> AsyncIterator[Callee]:
    """A telephone that answers, at once or when it is told to."""
    made = Callee()
    if picks_up:
        made.picks_up.set()
    settings = SipSettings(listen=("127.0.0.1", 0), allow=("127.0.0.1/32",), close_within_s=0.2)
    made.endpoint = await SipEndpoint.start(
        settings, clock=SystemClock(), dice=SystemDice(), on_call=made.answer
    )
    try:
        yield made
    finally:
        await made.endpoint.close()
        await asyncio.to_thread(made.phone.close)
