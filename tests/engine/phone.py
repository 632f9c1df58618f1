"""A phone that speaks RTP over loopback, and the call that an engine carries for it."""

import asyncio
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bridge.engine.commands import LegEvent
from bridge.engine.supervisor import MediaEngine, MediaLeg
from bridge.hosts import is_v6
from bridge.plane.events import PlayoutIdle
from bridge.plane.g711 import encode_ulaw

__all__ = ["Call", "Phone", "is_silent", "memories", "play", "speech", "until"]

_SILENCE = encode_ulaw(np.zeros(160, np.int16)).tobytes()
E = TypeVar("E", bound=LegEvent)


class Phone:
    """A plain socket that speaks RTP and keeps what it is sent."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.sock = socket.socket(socket.AF_INET6 if is_v6(host) else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.setblocking(False)
        self.address: tuple[str, int] = self.sock.getsockname()[:2]
        self._sequence = 100

    def speak(self, payload: bytes, to: int) -> None:
        self._sequence += 1
        header = struct.pack(">BBHII", 0x80, 0, self._sequence, self._sequence * 160, 0xFEED)
        self.sock.sendto(header + payload, (self.host, to))

    async def hear(self, packets: int) -> list[bytes]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            return [await loop.sock_recv(self.sock, 2000) for _ in range(packets)]

    async def hear_until(self, is_last: Callable[[bytes], bool]) -> list[bytes]:
        heard: list[bytes] = []
        while not heard or not is_last(heard[-1]):
            heard += await self.hear(1)
        return heard


class Call:
    """A leg that is open, and everything it was told."""

    def __init__(
        self,
        engine: MediaEngine,
        phone: Phone,
        *,
        sending: bool = True,
        is_known: bool = False,
        **terms: Any,  # noqa: ANN401  of `MediaLeg.open`
    ) -> None:
        self.phone = phone
        self.events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self.leg: MediaLeg = engine.reserve(
            remote=phone.address if is_known else None, in_ipv6=is_v6(phone.host)
        )
        self.leg.open(
            codec=0,
            payload_type=0,
            dtmf_payload_type=101,
            remote=phone.address,
            sending=sending,
            receiving=True,
            interruptible=3,
            deliver=self.events.put_nowait,
            **({"latch_ip": None} | terms),
        )

    def update(self, *, sending: bool) -> None:
        self.leg.update(
            codec=0,
            payload_type=0,
            dtmf_payload_type=101,
            remote=self.phone.address,
            latch_ip=None,
            sending=sending,
            receiving=True,
            interruptible=3,
        )

    async def event(self, kind: type[E]) -> E:
        async with asyncio.timeout(5):
            while not isinstance(event := await self.events.get(), kind):
                pass
        return event


def speech(samples: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Sound whose every frame is different and nowhere silent."""
    return (np.arange(samples) * 37 % 20_000 + 4_000).astype(np.int16)


def is_silent(packet: bytes) -> bool:
    return packet[12:] == _SILENCE


async def until(claim: Callable[[], bool]) -> None:
    while not claim():  # noqa: ASYNC110  what other processes do sets no event of ours
        await asyncio.sleep(0.002)


def memories() -> int:
    """Media memories that this process has mapped."""
    return Path("/proc/self/maps").read_text().count("memfd:cosybridge-media")


async def play(call: Call, pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> list[bytes]:
    """Play one whole utterance and return the packets from its first to its last."""
    writer = call.leg.writer
    epoch = writer.epoch
    writer.open_utterance(epoch)
    assert writer.write(pcm, epoch=epoch) == len(pcm)
    writer.close_utterance(epoch)
    await call.event(PlayoutIdle)
    heard = await call.phone.hear_until(lambda packet: not is_silent(packet))
    heard += await call.phone.hear_until(is_silent)
    return [packet for packet in heard if not is_silent(packet)]
