"""The usual design, for comparison: a task and a socket for each call, and a codec call for each packet.

Same work as the plane's basic chain: RTP in and out, the source checked, a jitter buffer that adapts to how
packets come, G.711 both ways, losses, copies and jitter counted as RFC 3550 has it, an energy gate of 10 ms
over a learnt noise floor that ducks, the last frame repeated for a lost one, playout from a queue, silence
counted by its cause, both directions metered and kept for a recogniser, a score every second
(`tests.bench.baseline_hearing`). Absolute deadlines, nothing shared between calls. Four kinds:

    asyncio   the standard loop, G.711 by table
    uvloop    the same on uvloop
    pyav      the standard loop, a PyAV codec context for each direction and call, as aiortc has it
    pyav-resampled   the same for a voice of 24 kHz and a recogniser of 16 kHz, resampled packet by packet

Reads two lines of JSON from stdin, writes two to stdout.
"""

import asyncio
import gc
import json
import os
import random
import struct
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bridge.engine.ports import raise_file_limit
from bridge.plane.g711 import DECODE, ENCODE
from tests.bench.baseline_hearing import Hearing, Meter, powers

__all__ = ["KINDS", "Bridge", "Codec", "PyavCodec", "TableCodec"]

_HEADER = struct.Struct("!BBHII")
_RATE = 8000
_SAMPLES = 160
_SILENCE = b"\xff" * _SAMPLES
_SLOT_NS = 20_000_000
_BURST_SLOTS = 100
_CYCLE_S = 4.0
_LAST_WORDS_S = 0.1


class Codec(Protocol):
    """PCMU, a packet at a time."""

    spoken_samples: int
    """Samples of speech that make a packet."""

    def decode(self, payload: bytes) -> NDArray[np.int16]: ...
    def encode(self, pcm: NDArray[np.int16]) -> bytes: ...


class TableCodec:
    """By numpy's quickest lookup."""

    spoken_samples = _SAMPLES
    _decode = DECODE[0].take
    _encode = ENCODE[0].take

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        pcm: NDArray[np.int16] = self._decode(np.frombuffer(payload, np.uint8))
        return pcm

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        codes: NDArray[np.uint8] = self._encode(pcm.view(np.uint16))
        return codes.tobytes()


class PyavCodec:
    """By FFmpeg's codec contexts, through frames and packets.

    Args:
        spoken_hz: Rate of the speech to send.
        heard_hz: Rate in which the caller is wanted.
    """

    def __init__(self, spoken_hz: int = _RATE, heard_hz: int = _RATE) -> None:
        import av

        self._av = av
        self.spoken_samples = spoken_hz // 50
        self._spoken_hz = spoken_hz
        self._decoder = av.CodecContext.create("pcm_mulaw", "r")
        self._encoder = av.CodecContext.create("pcm_mulaw", "w")
        for context in (self._decoder, self._encoder):
            context.sample_rate = _RATE
            context.layout = "mono"
        self._encoder.format = "s16"
        self._encoder.time_base = Fraction(1, _RATE)
        # A voice service may have any rate; one that has the right one passes.
        self._to_line = av.AudioResampler("s16", "mono", _RATE, frame_size=_SAMPLES)
        self._from_line = None if heard_hz == _RATE else av.AudioResampler("s16", "mono", heard_hz)
        self._pts = 0

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        (frame,) = self._decoder.decode(self._av.Packet(payload))
        if self._from_line is not None:
            frame.sample_rate, frame.time_base, frame.pts = _RATE, Fraction(1, _RATE), None
            (frame,) = self._from_line.resample(frame)
        return cast("NDArray[np.int16]", frame.to_ndarray()[0])

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        frame = self._av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._spoken_hz, self._pts
        frame.time_base = Fraction(1, self._spoken_hz)
        self._pts += len(pcm)
        coded = b"".join(
            bytes(packet) for whole in self._to_line.resample(frame) for packet in self._encoder.encode(whole)
        )
        # A resampler keeps its first packet back.
        return coded or _SILENCE


class Bridge(asyncio.DatagramProtocol):
    """One call."""

    def __init__(self, codec: Codec, remote: tuple[str, int], ssrc: int) -> None:
        self.silent: Counter[str] = Counter()
        """Packets without speech, by cause."""
        self.strangers = 0
        self.received = 0
        self.sent = self.octets = self.late = 0
        self.meter = Meter()
        self.said: deque[NDArray[np.int16]] = deque(maxlen=100)
        """The last two seconds."""
        self._codec = codec
        self._remote = remote
        self._ssrc = ssrc
        self._peer_ssrc: int | None = None
        self._candidate: tuple[int, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.hearing = Hearing()
        self._speech: deque[NDArray[np.int16]] = deque()
        self._at = 0
        self._quiet = np.zeros(codec.spoken_samples, np.int16)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        if hasattr(transport, "max_size"):
            transport.max_size = 2048  # else the standard loop allocates 256 KiB a packet

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        if addr != self._remote or first != 0x80:
            self.strangers += 1
        elif ssrc != self._peer_ssrc and not self._believes(ssrc, sequence):
            return
        elif second & 0x7F == 0:
            self.received += 1
            self.hearing.take(sequence, timestamp, self._codec.decode(data[12:]))

    def _believes(self, ssrc: int, sequence: int) -> bool:
        """Whether a new stream has proven itself by two packets in order (RFC 3550 §A.1)."""
        if self._candidate != (ssrc, sequence):
            self._candidate = ssrc, (sequence + 1) & 0xFFFF
            return False
        self._peer_ssrc = ssrc
        self.received += 1  # The one before this was theirs too.
        return True

    @property
    def frame_samples(self) -> int:
        """Samples of speech that make a packet."""
        return len(self._quiet)

    @property
    def port(self) -> int:
        """Where the caller is to send to."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def say(self, pcm: NDArray[np.int16]) -> None:
        """Queue speech: a whole number of packets."""
        self._speech.append(pcm)

    async def run(self, begin_ns: int, seconds: float) -> None:
        """Play out and send until the time is over."""
        due_ns = begin_ns
        number = 0
        while due_ns < begin_ns + seconds * 1e9:
            await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            self.late += time.monotonic_ns() - due_ns > _SLOT_NS
            self.hearing.play()
            self._send(number)
            number += 1
            due_ns += _SLOT_NS

    def close(self) -> None:
        """Give the port back."""
        assert self._transport is not None
        self._transport.close()

    def _send(self, number: int) -> None:
        header = _HEADER.pack(0x80, 0, number & 0xFFFF, number * _SAMPLES & 0xFFFFFFFF, self._ssrc)
        frame = self._next_frame()
        self.said.append(frame)
        assert self._transport is not None
        payload = self._codec.encode(frame)
        self.sent += 1
        self.octets += len(payload)
        self._transport.sendto(header + payload, self._remote)

    def _next_frame(self) -> NDArray[np.int16]:
        if self.hearing.is_ducking or not self._speech:
            self.silent["ducked" if self.hearing.is_ducking else "idle"] += 1
            return self._quiet
        frame = self._speech[0][self._at : self._at + len(self._quiet)]
        self.meter.take(max(powers(frame)))
        self._at += len(self._quiet)
        if self._at >= len(self._speech[0]):
            self._speech.popleft()
            self._at = 0
        return frame


KINDS: dict[str, Callable[[], Codec]] = {
    "asyncio": TableCodec,
    "uvloop": TableCodec,
    "pyav": PyavCodec,
    "pyav-resampled": partial(PyavCodec, 24_000, 16_000),
}


async def serve(told: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    legs: list[Bridge] = []
    for index in range(told["legs"]):
        leg = Bridge(KINDS[told["kind"]](), ("127.0.0.1", told["remotes"][index]), index + 1)
        await loop.create_datagram_endpoint(lambda leg=leg: leg, local_addr=("127.0.0.1", 0))  # type: ignore[misc]
        legs.append(leg)
    print(json.dumps({"ports": [leg.port for leg in legs]}), flush=True)
    told |= json.loads(sys.stdin.readline())
    gc.collect()
    gc.freeze()  # as the media process does: a full collection takes longer than a packet lasts
    if told["realtime"]:
        _settle(told["priority"])
    marks: list[tuple[int, int]] = []
    end_ns = told["begin_ns"] + int(told["seconds"] * 1e9)
    loop.call_later(
        (told["begin_ns"] - time.monotonic_ns()) / 1e9 + told["warm_up_s"], lambda: marks.append(_now())
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(_talk(legs, told["begin_ns"], end_ns))
        for leg in legs:
            # Calls come when they come.
            phase_ns = random.randrange(_SLOT_NS)  # noqa: S311
            group.create_task(leg.run(told["begin_ns"] + phase_ns, told["seconds"]))
    marks.append(_now())
    await asyncio.sleep(_LAST_WORDS_S)
    for leg in legs:
        leg.close()
    (began_ns, began_cpu_ns), (ended_ns, ended_cpu_ns) = marks
    print(
        json.dumps(
            {
                "cpu_ns": ended_cpu_ns - began_cpu_ns,
                "measured_s": (ended_ns - began_ns) / 1e9,
                "received": sum(leg.received for leg in legs),
            }
        ),
        flush=True,
    )


async def _talk(legs: list[Bridge], begin_ns: int, end_ns: int) -> None:
    """Two seconds of speech every four, for one call after the other."""
    count = _BURST_SLOTS * legs[0].frame_samples
    speech = np.random.default_rng(1).integers(-8000, 8000, count).astype(np.int16)
    step_ns = int(_CYCLE_S * 1e9 / len(legs))
    turn = 0
    while (due_ns := begin_ns + turn * step_ns) < end_ns:
        await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        legs[turn % len(legs)].say(speech)
        turn += 1


def _settle(priority: int) -> None:
    """Where and as urgent as the media process would be."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    except PermissionError:
        pass


def _now() -> tuple[int, int]:
    return time.monotonic_ns(), time.process_time_ns()


def main() -> None:
    told = json.loads(sys.stdin.readline())
    raise_file_limit()
    if told["kind"] == "uvloop":
        import uvloop

        uvloop.run(serve(told))
    else:
        asyncio.run(serve(told))


if __name__ == "__main__":
    main()
