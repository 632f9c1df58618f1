"""A browser's Opus over a lossy line, into the plane at a clock of its own: what is heard, and its silences.

Nothing here depends on a machine: the same seed gives the same sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.media.opus_codec import OpusDecoder, OpusEncoder
from bridge.media.opus_receiver import OpusReceiver
from bridge.plane.codec import OPUS, RowDecoder, RowEncoder
from bridge.plane.columns import Columns
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import CaptureReader
from bridge.plane.shape import FRAME_TICKS, PIECE_TICKS, Shape
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build
from tests.fakes import MS
from tests.plane.rig import PEER
from tests.plane.wide import wide_spec
from tests.traces.levels import PIECE_MS, is_silent, powers, quietest_around
from tests.traces.networks import PTIME_MS

__all__ = ["RATE_HZ", "Heard", "Silence", "carry", "lossy_line", "silences", "spoken"]

RATE_HZ = 24000
"""Of a browser's row."""
_SHAPE = Shape(RATE_HZ)
_FRAME_PIECES = FRAME_TICKS // PIECE_TICKS
_BEGIN_NS = 3_600_000 * MS
_AFTER_MS = 200.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came out, frame by frame."""

    sound: NDArray[np.int16]
    """``[k, 480]``."""
    at_ms: NDArray[np.float64]
    """When each frame was heard."""
    play: NDArray[np.int64]
    """Where in what was said each frame lies, in ticks of 8 kHz."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which nothing was heard though somebody spoke."""

    at_ms: float
    lasted_ms: int


def spoken(pcm: NDArray[np.int16], *, has_fec: bool) -> list[bytes]:
    """Packets as a browser sends them, of sound at 48 kHz: 32 kbit/s.

    Args:
        pcm: What is said.
        has_fec: As a browser does that heeds our answer, whose band leaves room for error correction. Full
            band at this rate has none.
    """
    band_hz = RATE_HZ if has_fec else 48_000
    encoder = OpusEncoder(48_000, bit_rate=32_000, is_fec=has_fec, loss_percent=5, max_rate_hz=band_hz)
    return [encoder.encode(frame) for frame in pcm[: len(pcm) // 960 * 960].reshape(-1, 960)]


def lossy_line(seed: int, seconds: float, *, loss: float, jitter_ms: int) -> NDArray[np.float64]:
    """When each packet comes, in ms; infinite if it never does. One may overtake another."""
    dice = np.random.default_rng(seed)
    count = round(seconds * 1000 / PTIME_MS)
    delays = dice.integers(0, jitter_ms + 1, count)
    return np.where(dice.random(count) < loss, np.inf, np.arange(count) * PTIME_MS + delays)


def carry(packets: Sequence[bytes], arrive_ms: NDArray[np.float64], *, phase_ms: float) -> Heard:
    """Let packets come, over and over the same ones, and hear a frame every 20 ms."""
    columns = Columns(bytearray(Columns.size_bytes(1, _SHAPE)), 1, _SHAPE)
    plane = Plane(columns, PlaneSettings(), make_codec=_receiver)
    call, row = wide_spec(OPUS, RATE_HZ), np.array([0])
    plane.open(0, call, now_ns=_BEGIN_NS)
    capture = CaptureReader(columns, 0, call.generation)
    arrivals = Arrivals(1)
    end_ms = float(arrive_ms[np.isfinite(arrive_ms)].max()) + _AFTER_MS
    frames = np.arange(phase_ms, end_ms, PTIME_MS)
    happens = [(float(at), number) for number, at in enumerate(arrive_ms) if np.isfinite(at)]
    happens += [(float(at), -1) for at in frames]
    sound, play = [], []
    for at_ms, number in sorted(happens):
        now_ns = _BEGIN_NS + int(at_ms * MS)
        if number >= 0:
            arrivals.count = 0
            arrivals.add(_packet(packets, number), row=0, source=PEER)
            plane.receive(arrivals, now_ns=now_ns)
            continue
        play.append(int(plane._arrival._play[0]))
        plane.build(row, now_ns=now_ns)
        plane.drain()
        sound.append(capture.read(RATE_HZ)[0])
    return Heard(np.stack(sound), frames, np.array(play))


def silences(heard: Heard, packets: Sequence[bytes], *, from_ms: float, until_ms: float) -> list[Silence]:
    """Find where what is heard is far quieter than what a line without loss would have told."""
    decoder = OpusDecoder(RATE_HZ)
    count = int(heard.play.max()) // FRAME_TICKS + 1
    said = np.concatenate([decoder.decode(packets[number % len(packets)]) for number in range(count)])
    least = quietest_around(powers(said, _SHAPE.piece))
    places = (heard.play[:, None] // PIECE_TICKS + np.arange(_FRAME_PIECES)).ravel()
    at_ms = (heard.at_ms[:, None] + np.arange(_FRAME_PIECES) * PIECE_MS).ravel()
    counts = (at_ms >= from_ms) & (at_ms < until_ms) & (places >= 0) & (places < len(least))
    own = powers(heard.sound.ravel(), _SHAPE.piece)
    silent = counts & is_silent(own, least[np.clip(places, 0, len(least) - 1)])
    edges = np.flatnonzero(np.diff(np.concatenate(([0], silent.astype(int), [0]))))
    return [
        Silence(float(at_ms[begin]), int(end - begin) * PIECE_MS)
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def _packet(packets: Sequence[bytes], number: int) -> bytes:
    return build(
        RtpPacket(
            payload_type=96,
            sequence=number % 2**16,
            timestamp=number * 960 % 2**32,
            ssrc=99,
            payload=packets[number % len(packets)],
        )
    )


def _receiver(leg: RowSpec) -> tuple[RowDecoder, RowEncoder]:
    return OpusReceiver(leg.rate_hz), OpusEncoder(leg.rate_hz, bit_rate=28_000)
