"""Play a trace into a jitter buffer: packets in as they came, a frame out every 20 ms, at several phases."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.plane.arrival import ArrivalRing
from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.gate import Gate
from bridge.plane.mend import Mender
from bridge.plane.samples import PIECE_SAMPLES, SampleRing
from bridge.plane.spec import PlaneSettings
from tests.fakes import MS
from tests.plane.rig import hiss, speech_sentence
from tests.traces.networks import PTIME_MS, Trace

__all__ = ["Played", "best_fixed", "replay", "talk"]

_TICKS_PER_MS = 8
_PIECES = FRAME_SAMPLES // PIECE_SAMPLES


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one trace, mean over its phases."""

    delay_ms: float
    """Added delay: from the moment at which the fastest packet would have come to the moment it is played."""
    late_share: float
    """Share of sound that had to be made up although its packet came in the end."""


def talk(count: int) -> NDArray[np.int16]:
    """Packets of somebody who speaks about two thirds of the time."""
    sentence = speech_sentence().astype(np.int64)
    turn = np.concatenate((sentence, np.zeros(160 * 35, np.int64)))
    line = np.resize(turn, count * FRAME_SAMPLES) + hiss(count * FRAME_SAMPLES)
    packets: NDArray[np.int16] = line.clip(-32768, 32767).astype(np.int16).reshape(count, FRAME_SAMPLES)
    return packets


def pops(trace: Trace, phases: NDArray[np.float64]) -> Iterator[tuple[float, int, int]]:
    """Yield time, kind and number of all that happens, in order: kind 0 a packet, 1 a pop."""
    last = float(trace.sent_ms[-1])
    happens = [(float(at), 0, number) for number, at in enumerate(trace.arrived_ms) if np.isfinite(at)]
    for number, phase in enumerate(phases.tolist()):
        happens += [(float(at), 1, number) for at in np.arange(phase, last, PTIME_MS)]
    yield from sorted(happens)


def best_fixed(trace: Trace, late_share: float, *, phases: int = 5) -> float:
    """Least fixed delay, in ms, under which no more than this share is late: it knew the trace.

    It pops every 20 ms as well, so it is one of phase + 20, + 40 …: the mean over phases.
    """
    transit = trace.transit_ms()
    least = transit.min()
    allowed = int(late_share * len(trace.sent_ms))
    enough = np.sort(transit - least)[::-1][allowed]
    grid = (np.arange(phases) * PTIME_MS / phases - least) % PTIME_MS
    return float(np.mean(grid + np.maximum(np.ceil((enough - grid) / PTIME_MS), 0) * PTIME_MS))


class _Listener(Mender):
    """Counts the pieces that were not there."""

    def __init__(self, columns: Columns, ring: SampleRing) -> None:
        super().__init__(columns, ring)
        self.missing = np.zeros(columns.capacity, np.int64)
        self.begun = np.zeros(columns.capacity, np.bool_)

    def mend(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        filled: NDArray[np.bool_],
        play: NDArray[np.int64],
    ) -> None:
        begun = self.begun[rows][:, None] & (play[:, None] + np.arange(_PIECES) * PIECE_SAMPLES >= 0)
        self.missing[rows] += np.count_nonzero(~filled & begun, axis=1)
        super().mend(rows, frames, filled, play)


def replay(
    trace: Trace, late_shares: list[float], *, phases: int = 5, settings: PlaneSettings | None = None
) -> list[Played]:
    """Play the trace to a row for each phase and each aim, behind a real voice gate."""
    settings = settings or PlaneSettings()
    n = phases * len(late_shares)
    columns = Columns(bytearray(Columns.size_bytes(n)), n)
    ring = ArrivalRing(columns, settings)
    ring.mender = ear = _Listener(columns, ring._ring)
    ring.delays.late_share = np.repeat(late_shares, phases)
    gate = Gate(n, settings)
    for row in range(n):
        ring.restart(row)
        gate.restart(row)
    packets = talk(len(trace.sent_ms))
    everyone = np.arange(n)
    delay, count = np.zeros(n), np.zeros(n)
    least = trace.transit_ms().min() * _TICKS_PER_MS
    for at_ms, kind, number in pops(trace, np.arange(phases) * PTIME_MS / phases):
        now_ns = int(at_ms * MS) + 3600_000 * MS
        if kind == 0:
            pcm = np.broadcast_to(packets[number], (n, FRAME_SAMPLES))
            gate.hear(everyone, pcm, now_ns=now_ns)
            ring.place(everyone, np.full(n, number * FRAME_SAMPLES), pcm, now_ns=now_ns)
            continue
        rows = everyone[number::phases]
        gate.close_stale(rows, now_ns=now_ns)
        ear.begun[rows] = ring._started[rows]
        ring.pop(rows, ~gate.open[rows], np.full(len(rows), now_ns))
        begun = ring._started[rows]
        lag = ring._lag[rows] - 3600_000 * _TICKS_PER_MS
        delay[rows] += np.where(begun, lag - least, 0.0)
        count[rows] += begun
    lost = np.count_nonzero(~trace.came) * _PIECES
    late = np.maximum(ear.missing - lost, 0) / (count * _PIECES)
    delays = (delay / count / _TICKS_PER_MS).reshape(-1, phases).mean(axis=1)
    return [
        Played(float(d), float(s)) for d, s in zip(delays, late.reshape(-1, phases).mean(axis=1), strict=True)
    ]
