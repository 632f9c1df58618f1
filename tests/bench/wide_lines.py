"""Wide speech through loss, as a row of the plane carries it: for `bench_quality`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.engine.codecs import make_codec
from bridge.media.resample import Resampler
from bridge.plane.arrival import ArrivalRing
from bridge.plane.codec import CODECS
from bridge.plane.columns import Columns
from bridge.plane.rowcodecs import RowCodecs
from bridge.plane.shape import Shape
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.ttsserver.hibari import HibariEngine
from bridge.ttsserver.voice import Delivery
from tests.fakes import MS

__all__ = ["SCORED_HZ", "WideLine", "wide_clips"]

Pcm = NDArray[np.int16]

SCORED_HZ = 16000
"""PESQ of wide speech is of this rate (ITU-T P.862.2)."""

_PHASE_NS = 5 * MS
_PEAK = 16000


@dataclass(frozen=True)
class WideLine:
    """One way to carry it."""

    codec: int
    rate_hz: int
    delay_ms: int = 40
    """At 40 ms, as a call begins, the packet after a lost one is there in time; at 0 it is not."""
    has_fec: bool = False

    def carry(self, pcm: Pcm, lost: NDArray[np.bool_]) -> Pcm:
        """What is heard of `pcm`, at `SCORED_HZ` both, if these of its packets of 20 ms are lost."""
        shape = Shape(self.rate_hz)
        columns = Columns(bytearray(Columns.size_bytes(1, shape)), 1, shape)
        codecs = RowCodecs(columns, make_codec)
        codecs.open(0, self._spec())
        ring = ArrivalRing(columns, PlaneSettings(depth_start_ms=self.delay_ms), codecs.decoders)
        ring.restart(0)
        _, encoder = make_codec(self._spec())
        behind = self.delay_ms // 20
        padded = np.concatenate((convert(pcm, SCORED_HZ, self.rate_hz), np.zeros(shape.frame, np.int16)))
        frames = padded[: len(lost) * shape.frame].reshape(-1, shape.frame)
        row, loud, heard = np.array([0]), np.array([False]), []
        for number in range(len(lost) + behind):
            if number < len(lost):
                payload = encoder.encode(frames[number])
                if not lost[number]:
                    self._bring(codecs, ring, number, payload)
            heard.append(ring.pop(row, loud, np.array([number * 20 * MS + _PHASE_NS]))[0])
        return convert(np.concatenate(heard[behind:]), self.rate_hz, SCORED_HZ)

    def _bring(self, codecs: RowCodecs, ring: ArrivalRing, number: int, payload: bytes) -> None:
        timestamp = number * CODECS[self.codec].clock_hz // 50
        codecs.samples(np.array([0]), np.array([timestamp]))
        own, beside = codecs.decode(0, number, timestamp, payload)
        assert own is not None
        ring.place(np.array([0]), np.array([own[0]]), own[1][None, :], now_ns=number * 20 * MS)
        if codecs.decoders[0].carried_lost:
            ring.repeated(np.array([0]))
        for when, sound in beside:
            ring.patch(0, when, sound)

    def _spec(self) -> RowSpec:
        return RowSpec(
            generation=1,
            ssrc=1,
            sequence=0,
            timestamp=0,
            codec=self.codec,
            payload_type=96,
            dtmf_payload_type=-1,
            remote_key=0,
            latch_ip=0,
            sending=True,
            receiving=True,
            interruptible=0,
            rate_hz=self.rate_hz,
            opus_fec=self.has_fec,
            opus_loss_percent=10 * self.has_fec,
        )


def convert(pcm: Pcm, rate_hz: int, wanted_hz: int) -> Pcm:
    resampler = Resampler(rate_hz, wanted_hz)
    return np.frombuffer(resampler.push(pcm.tobytes()) + resampler.flush(), "<i2").astype(np.int16)


def wide_clips(sentences: tuple[str, ...], pitches: tuple[float, ...]) -> list[Pcm]:
    """Two sentences a clip, between silences, whole packets of 20 ms at `SCORED_HZ`."""
    engine, pause, made = HibariEngine(), np.zeros(SCORED_HZ // 2, np.int16), []
    for pitch in pitches:
        for first in range(0, len(sentences), 2):
            parts = [pause]
            for text in sentences[first : first + 2]:
                rendered = engine.render(text, Delivery(pitch=pitch, with_words=False))
                pcm = convert(rendered.samples.astype(np.int16), rendered.rate, SCORED_HZ)
                parts += [(pcm * (_PEAK / np.abs(pcm.astype(int)).max())).astype(np.int16), pause]
            joined = np.concatenate(parts)
            made.append(joined[: len(joined) // 320 * 320])
    return made
