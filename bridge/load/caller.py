"""A caller for the lab: a real SIP call over UDP with real RTP, that speaks, presses keys and listens.

Used by the demo, by the self-call at start-up, by end-to-end tests and under load.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from bridge.aio.sip import IncomingCall, SipCall, SipEndpoint, SipSettings
from bridge.errors import CallEnded, NegotiationError, SetupError
from bridge.hosts import is_v6
from bridge.load.clip import Clip
from bridge.load.listen import Heard
from bridge.load.phone import Playing, RtpPhone
from bridge.load.tape import Tape
from bridge.ports import Clock, IdSource

__all__ = ["Caller"]

T = TypeVar("T")

_KEYS_PAYLOAD_TYPE = 101
_CODEC_NAMES = {0: "PCMU", 8: "PCMA"}


class Caller:
    """One telephone: start it, `dial`, talk, `hang_up`, `close`.

    Args:
        endpoint: Where its signalling goes through; `start` makes one of its own.
        payload_types: Codecs to offer, best first: 0 is PCMU, 8 is PCMA.
        noise: Send a quiet line's noise between clips rather than digital silence.
    """

    def __init__(
        self,
        endpoint: SipEndpoint,
        *,
        clock: Clock,
        dice: IdSource,
        local_ip: str = "127.0.0.1",
        payload_types: tuple[int, ...] = (0, 8),
        noise: bool = True,
    ) -> None:
        self.payload_type: int = payload_types[0]
        """What was agreed; what is offered first before that."""
        self.answered_ns: int = 0
        """When the 200 had arrived and was acknowledged."""
        self.dialled_ns: int = 0
        """When the INVITE was handed over."""
        self._endpoint = endpoint
        self._owns_endpoint = False
        self._clock = clock
        self._local_ip = local_ip
        self._offered = payload_types
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._call: SipCall | None = None
        self._phone = RtpPhone(local_ip, ssrc=dice.number(32), on_arrival=self._wake, noise=noise)

    @classmethod
    async def start(
        cls,
        *,
        clock: Clock,
        dice: IdSource,
        local_ip: str = "127.0.0.1",
        payload_types: tuple[int, ...] = (0, 8),
        noise: bool = True,
    ) -> Self:
        """Make a caller with a signalling endpoint of its own on a free port."""
        settings = SipSettings(listen=(local_ip, 0), allow=(local_ip,), user_agent="cosybridge-lab")
        endpoint = await SipEndpoint.start(settings, clock=clock, dice=dice, on_call=_refuse)
        caller = cls(
            endpoint, clock=clock, dice=dice, local_ip=local_ip, payload_types=payload_types, noise=noise
        )
        caller._owns_endpoint = True
        return caller

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def tape(self) -> Tape:
        """Every packet of both directions so far."""
        return self._phone.tape

    @property
    def phone(self) -> RtpPhone:
        """The media side, for scenarios that need more than talk."""
        return self._phone

    @property
    def call(self) -> SipCall:
        """The signalling side.

        Raises:
            SetupError: If nothing has been dialled yet.
        """
        if self._call is None:
            raise SetupError("this caller has not dialled yet")
        return self._call

    def heard(self) -> Heard:
        """What has been received so far, laid out for analysis."""
        return Heard(self.tape.received, self.payload_type)

    async def dial(self, uri: str, *, from_user: str = "lab", timeout_s: float = 32) -> None:
        """Call `uri`; returns when the call is answered and media flows.

        Raises:
            NegotiationError: If the call is refused or the answer has none of our codecs.
            SetupError: If nobody answers.
        """
        self.dialled_ns = self._clock.now_ns()
        offer = _offer(self._local_ip, self._phone.local_port, self._offered)
        self._call = await self._endpoint.call(uri, sdp=offer, from_user=from_user, timeout_s=timeout_s)
        self.answered_ns = self._clock.now_ns()
        remote, self.payload_type, keys = _read_answer(self._call.remote_sdp, self._offered)
        self._phone.start(remote, payload_type=self.payload_type, event_payload_type=keys)

    def begin(self, clip: Clip, *, at_ns: int | None = None) -> Playing:
        """Start to say `clip`, its first sample at `at_ns`, and return at once."""
        return self._phone.say(clip, at_ns=at_ns)

    async def say(self, clip: Clip, *, at_ns: int | None = None) -> int:
        """Say `clip` to its end; return when its onset was spoken: mark t0."""
        playing = self.begin(clip, at_ns=at_ns)
        await asyncio.wrap_future(playing.end)
        return playing.onset.result()

    async def press(self, digits: str, *, tone_ms: int = 100) -> None:
        """Press keys one after the other (RFC 4733); returns when the last one is up."""
        for digit in digits:
            await asyncio.wrap_future(self._phone.press(digit, tone_ms=tone_ms))

    async def until(self, look: Callable[[Tape], T | None], *, timeout_s: float) -> T:
        """Ask `look` after each arrival until it finds something.

        Raises:
            TimeoutError: If it has not within `timeout_s`.
            CallEnded: If the far end hung up first.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                self._arrived.clear()
                if (found := look(self.tape)) is not None:
                    return found
                if self.call.ended.done():
                    raise CallEnded(self.call.ended.result())
                await self._arrived.wait()

    async def first_audible_ns(self, after_ns: int = 0, *, timeout_s: float) -> int:
        """Wait for the first sound that arrives at or after an instant; return its arrival."""
        return await self.until(
            lambda tape: Heard(tape.latest(50), self.payload_type).audible_ns(after_ns), timeout_s=timeout_s
        )

    async def hang_up(self) -> None:
        """Say BYE, if the call still stands."""
        if self._call is not None and not self._call.ended.done():
            await self._call.hangup()

    async def close(self) -> None:
        """Hang up and give back both sockets; safe twice."""
        try:
            await self.hang_up()
        finally:
            await asyncio.to_thread(self._phone.close)
            if self._owns_endpoint:
                await self._endpoint.close()

    def _wake(self) -> None:
        # The loop may be closed while the phone's thread takes its last packets.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)


async def _refuse(call: IncomingCall) -> None:
    call.reject(486)


def _offer(ip: str, port: int, payload_types: tuple[int, ...]) -> bytes:
    """An offer as a plain phone makes it (RFC 8866, RFC 3264)."""
    formats = " ".join(str(number) for number in (*payload_types, _KEYS_PAYLOAD_TYPE))
    at = f"IN {'IP6' if is_v6(ip) else 'IP4'} {ip}"
    lines = [
        "v=0",
        f"o=- 1 1 {at}",
        "s=-",
        f"c={at}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {formats}",
        *(f"a=rtpmap:{number} {_CODEC_NAMES[number]}/8000" for number in payload_types),
        f"a=rtpmap:{_KEYS_PAYLOAD_TYPE} telephone-event/8000",
        f"a=fmtp:{_KEYS_PAYLOAD_TYPE} 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]
    return "\r\n".join(lines).encode()


def _read_answer(sdp: bytes, offered: tuple[int, ...]) -> tuple[tuple[str, int], int, int]:
    """Where to send, with which payload type, and the one for keys (-1 when there is none)."""
    ip, port, formats, keys = "", 0, list[int](), -1
    for line in sdp.decode("utf-8", "replace").splitlines():
        fields = line[2:].split()
        if line.startswith("c=") and len(fields) == 3:
            ip = fields[2]
        elif line.startswith("m=audio ") and not formats:
            port = int(fields[1])
            formats = [int(number) for number in fields[3:] if number.isdigit()]
        elif line.startswith("a=rtpmap:") and "telephone-event/8000" in line:
            keys = int(line[9:].split()[0])
    agreed = [number for number in formats if number in offered]
    if not ip or not port or not agreed:
        raise NegotiationError(f"the answer has no audio we offered: {sdp!r}")
    return (ip, port), agreed[0], keys
