"""What the usual design does with a caller's sound, for one call: counted, gated, metered, buffered, scored.

The same work as the columns do for every row of the basic chain (`tests.bench.stages`), each in the quickest
form that one call by itself allows: plain numbers in Python, and numpy for what has 160 of a kind.
"""

import math
import time
from array import array
from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["Delay", "Hearing", "Meter", "Reception"]

_SAMPLES = 160
_PREFILL = 2
_OVER_FLOOR = 31.6
"""15 dB, as the plane's gate asks for."""
_LEAST_POWER = 3e4
"""-45 dB over full scale."""
_DUCK_SLOTS = 10
_FULL_SCALE_POWER = 32768.0**2
_SILENT_DB = -100.0
_MASK_64 = (1 << 64) - 1
_BINS = 256
_BASE_BIN = 32
_BIN_TICKS = 8
_GROWTH = 1 + 1 / 1500
_LATE_SHARE = 0.005
_REVIEW_SLOTS = 5
_LEARN_PACKETS = 50
_QUIET = np.zeros(_SAMPLES, np.int16)
_SCORE_SLOTS = 50


class Meter:
    """Loudness in dB over full scale: up at once, down by 1 dB a packet."""

    __slots__ = ("db",)

    def __init__(self) -> None:
        self.db = _SILENT_DB

    def take(self, power: float) -> None:
        """Take the mean square of the loudest 10 ms of a packet."""
        self.db = max(10 * math.log10(power / _FULL_SCALE_POWER + 1e-10), self.db - 1)


def powers(pcm: NDArray[np.int16]) -> tuple[float, float]:
    """Mean square of both halves of a packet."""
    sound = pcm.astype(np.float32)
    half = len(sound) // 2
    begin, end = sound[:half], sound[half:]
    return float(begin.dot(begin)) / half, float(end.dot(end)) / half


class Reception:
    """Sequence numbers of one stream: highest, lost, doubled, runs of missing ones (RFC 3550 §A.1, §A.3)."""

    __slots__ = ("_window", "duplicates", "gaps", "highest", "lost", "received")

    def __init__(self) -> None:
        self.highest = -1
        self._window = 0
        self.received = self.lost = self.duplicates = self.gaps = 0

    def take(self, sequence: int) -> bool:
        """Count a packet; false if it was here before."""
        self.received += 1
        if self.highest < 0:
            self.highest, self._window = sequence, 1
            return True
        step = ((sequence - self.highest + 0x8000) & 0xFFFF) - 0x8000
        if step > 0:
            self._window = (self._window << step | 1) & _MASK_64
            self.highest += step
            self.lost += step - 1
            self.gaps += step > 1
            return True
        bit = 1 << -step
        if step == 0 or self._window & bit:
            self.duplicates += 1
            return False
        self._window |= bit
        self.lost = max(0, self.lost - 1)
        return True


class Delay:
    """How long to wait: a forgetting histogram of how long packets take, in ticks of 8 kHz."""

    __slots__ = ("_base", "_column", "_origin", "_weight", "_weights", "seen")

    def __init__(self) -> None:
        # One memory seen twice: single entries are quickest in one way, all of them in the other.
        self._weights = array("d", bytes(8 * _BINS))
        self._column = np.frombuffer(self._weights)
        self._weight = 1.0
        self._origin = self._base = 0
        self.seen = 0

    def observe(self, transit_ticks: int) -> None:
        """Take one packet."""
        if not self.seen:
            self._origin, self._base = transit_ticks - _BASE_BIN * _BIN_TICKS, transit_ticks
        self.seen += 1
        self._base = min(self._base, transit_ticks)
        self._weights[min(max(transit_ticks - self._origin, 0) // _BIN_TICKS, _BINS - 1)] += self._weight
        # Instead of making all older packets lighter, the new ones grow heavier.
        self._weight *= _GROWTH

    def need_ticks(self) -> int:
        """Wait beyond the quickest packet that all but a small share stay under."""
        sums = self._column.cumsum()
        high = int(sums.searchsorted(sums[-1] * (1 - _LATE_SHARE)))
        return self._origin + (high + 1) * _BIN_TICKS - self._base


class Hearing:
    """The caller's sound: counted, gated and metered on arrival, then an adaptive jitter buffer."""

    def __init__(self) -> None:
        self.heard: deque[NDArray[np.int16]] = deque(maxlen=100)
        """The last two seconds."""
        self.reception = Reception()
        self.meter = Meter()
        self.missing = self.late = 0
        self.jitter_ticks = 0.0
        self.depth = 0
        """Packets that wait."""
        self.score = 0.0
        """Mean opinion score of the last second (ITU-T G.107, as `bridge.rtp.quality`)."""
        self.before: deque[NDArray[np.int16]] = deque(maxlen=2)
        """What an echo would be looked for in."""
        self._delay = Delay()
        self._buffer: dict[int, NDArray[np.int16]] = {}
        self._next: int | None = None
        self._transit: int | None = None
        self._floor = 0.0
        self._quiet = 0
        self._duck = 0
        self._slot = 0
        self._counted = (0, 0)

    @property
    def is_ducking(self) -> bool:
        return self._duck > 0

    def take(self, sequence: int, timestamp: int, pcm: NDArray[np.int16]) -> None:
        if not self.reception.take(sequence):
            return
        transit = time.monotonic_ns() // 125_000 - timestamp
        if self._transit is not None:
            self.jitter_ticks += (abs(transit - self._transit) - self.jitter_ticks) / 16
        self._transit = transit
        self._delay.observe(transit)
        self._gate(pcm)
        if self._next is not None and (sequence - self._next) & 0x8000:
            self.late += 1
            return
        self._buffer[sequence] = pcm

    def play(self) -> None:
        """Move on by one packet."""
        self._slot += 1
        if self._duck:
            self._duck -= 1
        if self._slot % _SCORE_SLOTS == 0:
            self._rate()
        buffer = self._buffer
        if self._next is None:
            if len(buffer) < _PREFILL:
                return
            self._next = min(buffer, key=lambda number: (number - self.reception.highest + 0x8000) & 0xFFFF)
        if self._slot % _REVIEW_SLOTS == 0 and self._quiet > 1 and self._delay.seen >= _LEARN_PACKETS:
            self._adapt()
        frame = buffer.pop(self._next, None)
        if frame is None:
            self.missing += 1
            frame = self.heard[-1] if self.heard else _QUIET
        self.heard.append(frame)
        self._next = (self._next + 1) & 0xFFFF
        self.depth = len(buffer)
        if self.depth > 4 * _PREFILL:
            buffer.clear()
            self._next = None

    def _adapt(self) -> None:
        """Leave a packet out, or wait for one more, where nobody speaks."""
        assert self._next is not None
        wanted = -(-self._delay.need_ticks() // _SAMPLES)
        if len(self._buffer) > wanted + 1:
            self._buffer.pop(self._next, None)
            self._next = (self._next + 1) & 0xFFFF
        elif len(self._buffer) < wanted:
            self._next = (self._next - 1) & 0xFFFF

    def _gate(self, pcm: NDArray[np.int16]) -> None:
        both = powers(pcm)
        self.meter.take(max(both))
        self.before.append(pcm)
        for power in both:
            if power > _LEAST_POWER and power > self._floor * _OVER_FLOOR:
                self._duck, self._quiet = _DUCK_SLOTS, 0
            else:
                self._floor += (power - self._floor) / 16
                self._quiet += 1

    def _rate(self) -> None:
        """Score the last second."""
        expected, missing = self.reception.received + self.reception.lost, self.missing
        before, self._counted = self._counted, (expected, missing)
        if expected == before[0]:
            return
        percent = 100 * min(1.0, (missing - before[1]) / (expected - before[0]))
        delay_ms = 40 + 20 * self.depth
        rating = 93.2 - 0.024 * delay_ms - 0.11 * max(0.0, delay_ms - 177.3) - 95 * percent / (percent + 25.1)
        self.score = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
