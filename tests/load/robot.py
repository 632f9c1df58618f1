"""A far end for callers under test: answers over SIP, talks in RTP, and falls silent when shouted at."""

import asyncio
import struct
from types import TracebackType
from typing import Self, cast

import numpy as np

from bridge.aio.sip import IncomingCall, SipCall, SipEndpoint, SipSettings
from bridge.aio.tasks import Tasks
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.plane.g711 import decode_ulaw
from tests.load.synthetic import speech

__all__ = ["Robot"]

_LOUD = 3000


class Robot(asyncio.DatagramProtocol):
    """Talks from the start; half a second after it was interrupted it talks on.

    Args:
        status: What it answers an INVITE with; anything but 200 refuses.
        formats: Payload types of its SDP's m-line.
        stubborn: Talks on whatever happens.
    """

    def __init__(self, *, status: int = 200, formats: str = "0 101", stubborn: bool = False) -> None:
        self.packets: list[bytes] = []
        self.call: SipCall | None = None
        self.endpoint: SipEndpoint
        self._status = status
        self._formats = formats
        self._stubborn = stubborn
        self._silent_until_s = 0.0
        self._remote = ("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport
        self._tasks = Tasks("robot")

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.endpoint = await SipEndpoint.start(
            SipSettings(listen=("127.0.0.1", 0)), clock=SystemClock(), dice=SystemDice(), on_call=self._serve
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.close()
        await self.endpoint.close()
        self._transport.close()

    @property
    def target(self) -> tuple[str, int]:
        return self.endpoint.listen

    @property
    def uri(self) -> str:
        return f"sip:robot@{self.target[0]}:{self.target[1]}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.append(data)
        self._remote = addr
        if data[1] & 0x7F == 0 and np.abs(decode_ulaw(np.frombuffer(data[12:], np.uint8))).max() > _LOUD:
            self._silent_until_s = asyncio.get_running_loop().time() + 0.5

    async def _serve(self, incoming: IncomingCall) -> None:
        if self._status != 200:
            incoming.reject(self._status)
            return
        port = self._transport.get_extra_info("sockname")[1]
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {self._formats}\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        self.call = await incoming.answer(sdp.encode())
        self._tasks.start(self._talk(), name="talk")
        await self.call.ended

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        codes = speech(1, 160 * 500)
        due_s = loop.time()
        for number in range(500):
            await asyncio.sleep(max(0, due_s - loop.time()))
            due_s += 0.02
            payload = codes[number * 160 : number * 160 + 160].tobytes()
            if loop.time() < self._silent_until_s and not self._stubborn:
                payload = b"\xff" * 160
            if self._remote[1]:
                header = struct.pack("!BBHII", 0x80, 0, number, number * 160, 9)
                self._transport.sendto(header + payload, self._remote)
