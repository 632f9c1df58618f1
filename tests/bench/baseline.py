"""The usual design, for comparison: one asyncio task, one socket and one codec call a packet, for each call.

Same features as the plane's row: RTP in and out, a jitter buffer of two packets, G.711 both ways, an energy
gate, speech half of the time. Reads two lines of JSON from stdin, writes two to stdout.
"""

import asyncio
import json
import os
import struct
import sys
import time
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bridge.plane.g711 import decode_ulaw, encode_ulaw

_HEADER = struct.Struct("!BBHII")
_SILENCE = b"\xff" * 160


class _Leg(asyncio.DatagramProtocol):
    """One call."""

    def __init__(self, ssrc: int, speech: NDArray[np.int16]) -> None:
        self.ssrc = ssrc
        self.remote = ("127.0.0.1", 0)
        self.voiced = 0
        self._speech = speech
        self._buffer: dict[int, bytes] = {}
        self._next: int | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self._transport.max_size = 2048  # type: ignore[attr-defined]  # else 256 KiB are allocated a packet

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        _, second, sequence, _, _ = _HEADER.unpack_from(data)
        if second & 0x7F == 0:
            self._buffer[sequence] = data[12:]

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    async def run(self, begin_ns: int, seconds: float) -> None:
        due_ns = begin_ns
        sequence = 0
        while due_ns < begin_ns + seconds * 1e9:
            await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            self._hear()
            self._say(sequence)
            sequence += 1
            due_ns += 20_000_000

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _hear(self) -> None:
        if self._next is None:
            if len(self._buffer) < 2:
                return
            self._next = min(self._buffer)
        payload = self._buffer.pop(self._next, None)
        self._next = (self._next + 1) & 0xFFFF
        if payload is not None:
            pcm = decode_ulaw(np.frombuffer(payload, np.uint8)).astype(np.float32)
            self.voiced += float(np.mean(pcm * pcm)) > 1e5

    def _say(self, sequence: int) -> None:
        place = sequence * 160 % len(self._speech)
        speaking = sequence // 100 % 2
        payload = encode_ulaw(self._speech[place : place + 160]).tobytes() if speaking else _SILENCE
        header = _HEADER.pack(0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, self.ssrc)
        assert self._transport is not None
        self._transport.sendto(header + payload, self.remote)


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    speech = np.random.default_rng(1).integers(-8000, 8000, 16_000).astype(np.int16)
    loop = asyncio.get_running_loop()
    legs = []
    for index in range(told["legs"]):
        _, leg = await loop.create_datagram_endpoint(
            lambda index=index: _Leg(index + 1, speech),  # type: ignore[misc]
            local_addr=("127.0.0.1", 0),
        )
        legs.append(leg)
    sys.stdout.write(json.dumps({"ports": [leg.port for leg in legs]}) + "\n")
    sys.stdout.flush()
    told |= json.loads(sys.stdin.readline())
    for leg in legs:
        leg.remote = ("127.0.0.1", told["port"])
    if told["realtime"]:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(told["priority"]))
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        except PermissionError:
            pass
    phase_ns = 20_000_000 // len(legs)
    marks: list[int] = []
    loop.call_later(
        (told["begin_ns"] - time.monotonic_ns()) / 1e9 + told["warm_up_s"], lambda: marks.append(_cpu_ns())
    )
    async with asyncio.TaskGroup() as group:
        for index, leg in enumerate(legs):
            group.create_task(leg.run(told["begin_ns"] + index * phase_ns, told["seconds"]))
    marks.append(_cpu_ns())
    for leg in legs:
        leg.close()
    sys.stdout.write(json.dumps({"cpu_ns": marks[-1] - marks[0]}) + "\n")


def _cpu_ns() -> int:
    return time.process_time_ns()


if __name__ == "__main__":
    asyncio.run(main())
