"""What is heard in place of lost sound: the last pitch periods again and again, faded out within 60 ms.

In the spirit of ITU-T G.711 Appendix I: the period is found by correlation once a gap begins, a longer gap
repeats more of the periods before it so that it does not buzz, and every seam is overlapped. Where the
sound after the gap is there already, because the jitter ring waits, the gap is bridged from both of its
sides.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.masks import somewhere
from bridge.plane.shape import NARROW, Shape, thin

__all__ = ["FUTURE_TICKS", "HISTORY_TICKS", "Concealer", "find_periods"]

HISTORY_TICKS = 520
"""Sound before the gap that is looked at: three of the longest periods, and what leads into them."""
FUTURE_TICKS = 160
"""Sound after the gap that a bridge leads to."""

_MIN_PERIOD = 32
_MAX_PERIOD = 150
"""250 Hz down to 53 Hz; a higher voice repeats two or more of its periods."""
_WINDOW_SAMPLES = 160
_SPAN_SAMPLES = _WINDOW_SAMPLES + _MAX_PERIOD - _MIN_PERIOD
_FFT_SAMPLES = 512
_FADE_PIECES = 12
"""60 ms of gap end in silence …"""
_FULL_PIECES = 2
"""… and 10 ms are heard in full."""
_LONGER_PIECES = 4
_CYCLES = 3
"""Every 20 ms of gap one period more is repeated, up to so many."""
_SHORT_PIECES = 8
"""The real sound takes over within 5 ms after a gap of up to 40 ms, within 10 ms after a longer one."""
_NEAR_TICKS = 6
_LANDING_TICKS = 80


def find_periods(history: NDArray[np.float32]) -> NDArray[np.int64]:
    """Pitch period at the end of each of ``[k, HISTORY_TICKS]`` histories at 8 kHz, by correlation."""
    recent = history[:, -_WINDOW_SAMPLES:]
    # Place l of the correlation is what was heard _MAX_PERIOD - l samples earlier.
    span = history[:, -_WINDOW_SAMPLES - _MAX_PERIOD : HISTORY_TICKS - _MIN_PERIOD]
    spectrum = np.fft.rfft(span, _FFT_SAMPLES) * np.fft.rfft(recent, _FFT_SAMPLES).conj()
    product = np.fft.irfft(spectrum, _FFT_SAMPLES)[:, : _SPAN_SAMPLES - _WINDOW_SAMPLES + 1]
    squares = np.zeros((len(history), _SPAN_SAMPLES + 1))
    np.cumsum(np.square(span, dtype=np.float64), axis=1, out=squares[:, 1:])
    energy = squares[:, _WINDOW_SAMPLES:] - squares[:, :-_WINDOW_SAMPLES]
    periods: NDArray[np.int64] = _MAX_PERIOD - np.argmax(product / np.sqrt(energy + 1.0), axis=1)
    return periods


class Concealer:
    """Fills gaps, piece by piece; only rows that lose packets cost anything."""

    def __init__(self, capacity: int, shape: Shape = NARROW) -> None:
        per_tick = shape.per_tick
        self._per_tick = per_tick
        self._piece = shape.piece
        self._end = HISTORY_TICKS * per_tick
        self._least, self._most = _MIN_PERIOD * per_tick, _MAX_PERIOD * per_tick
        self._ramp = np.linspace(0.0, 1.0, self._piece, endpoint=False, dtype=np.float32)
        self._offsets = np.arange(self._piece)
        self._near = np.arange(-_NEAR_TICKS * per_tick, _NEAR_TICKS * per_tick + 1)
        self._landing = np.arange(_LANDING_TICKS * per_tick)
        self._history = np.zeros((capacity, self._end), np.float32)
        self._future = np.zeros((capacity, FUTURE_TICKS * per_tick), np.float32)
        self._period = np.full(capacity, self._most, np.int64)
        self._gap = np.zeros(capacity, np.int64)
        self._led = np.zeros(capacity, np.int64)
        self._lead = np.ones(capacity, np.int64)
        self.run: NDArray[np.int64] = np.full(capacity, _FADE_PIECES, np.int64)
        """Pieces since the present gap began; 0 outside of gaps, and 12 or more once all is silent."""

    def silence(self, rows: NDArray[np.intp]) -> None:
        """The sender is quiet on purpose: repeat nothing (RFC 3389)."""
        self.run[rows] = _FADE_PIECES
        self._led[rows] = 0

    def needs_history(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these rows enter a gap with this piece."""
        return np.equal(self.run[rows], 0)

    def sounds(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Where the next piece is more than silence."""
        return np.less(self.run[rows], _FADE_PIECES)

    def remember(self, rows: NDArray[np.intp], history: NDArray[np.int16]) -> None:
        """Take the ``[k, HISTORY_TICKS * per_tick]`` samples before the gap of each row."""
        self._history[rows] = history
        self._period[rows] = self._find(history)
        self._gap[rows] = 0

    def bridge(self, rows: NDArray[np.intp], future: NDArray[np.int16], gap: NDArray[np.int64]) -> None:
        """Lead these gaps, just remembered, of `gap` samples to the 20 ms behind each."""
        self._future[rows] = future
        self._gap[rows] = gap
        # Of the periods near the best one, that which arrives in step.
        periods = np.clip(self._period[rows][:, None] + self._near, self._least, self._most)[:, :, None]
        phase = (gap[:, None, None] + self._landing) % periods
        arriving = self._history[rows[:, None, None], self._end - periods + phase]
        landing = self._future[rows][:, : len(self._landing)]
        product = np.einsum("kls,ks->kl", arriving, landing)
        energy = np.einsum("kls,kls->kl", arriving, arriving)
        best = np.argmax(product / np.sqrt(energy + 1.0), axis=1)
        self._period[rows] = periods[np.arange(len(rows)), best, 0]

    def fill(self, rows: NDArray[np.intp]) -> NDArray[np.int16]:
        """Next lost piece of each row, ``[k, shape.piece]``."""
        run = self.run[rows]
        self.run[rows] = np.minimum(run + 1, _FADE_PIECES)
        self._led[rows] = 0
        return np.rint(self._faded(rows, run)).astype(np.int16)

    def merge(self, rows: NDArray[np.intp], pieces: NDArray[np.int16]) -> None:
        """Lead from concealment back into the real ``[k, shape.piece]`` pieces, in place, and end the gap."""
        run, led = self.run[rows], self._led[rows]
        # After silence there is nothing to lead back from, and a bridge has led back already.
        bridged = (run > 0) & (run * self._piece == self._gap[rows])
        silent = ((run >= _FADE_PIECES) & (led == 0)) | bridged
        lead = np.where(led > 0, self._lead[rows], np.where(run <= _SHORT_PIECES, 1, 2))
        self._lead[rows] = lead
        share = ((led[:, None] + self._ramp) / lead[:, None]).astype(np.float32)
        mixed = self._faded(rows, run) * (1 - share) + pieces * share
        pieces[...] = np.where(silent[:, None], pieces, np.rint(mixed))
        over = silent | (led + 1 >= lead)
        self.run[rows] = np.where(over, 0, run + 1)
        self._led[rows] = np.where(over, 0, led + 1)

    def _find(self, history: NDArray[np.int16]) -> NDArray[np.int64]:
        """Period of each history in samples: found at 8 kHz, and at a higher rate brought into step."""
        per_tick, window = self._per_tick, _WINDOW_SAMPLES * self._per_tick
        periods = find_periods(thin(history, per_tick).astype(np.float32)) * per_tick
        if per_tick == 1:
            return periods
        recent = history[:, -window:].astype(np.float32)
        near = np.clip(periods[:, None] + np.arange(-per_tick, per_tick + 1), self._least, self._most)
        at = self._end - window + np.arange(window) - near[:, :, None]
        earlier = history[np.arange(len(history))[:, None, None], at].astype(np.float32)
        product = np.einsum("kls,ks->kl", earlier, recent)
        energy = np.einsum("kls,kls->kl", earlier, earlier)
        best = np.argmax(product / np.sqrt(energy + 1.0), axis=1)
        found: NDArray[np.int64] = near[np.arange(len(near)), best]
        return found

    def _faded(self, rows: NDArray[np.intp], run: NDArray[np.int64]) -> NDArray[np.float32]:
        gain, last = self._gain(run)[:, None], self._gain(run + 1)[:, None]
        wave: NDArray[np.float32] = self._continue(rows, run) * (gain + (last - gain) * self._ramp)
        bridged = self._gap[rows] > run * self._piece
        if somewhere(bridged):
            wave[bridged] = self._meet(rows[bridged], run[bridged], wave[bridged])
        return wave

    def _meet(
        self, rows: NDArray[np.intp], run: NDArray[np.int64], wave: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Let the sound before the gap go over into the sound behind it, which is repeated backwards."""
        gap, period = self._gap[rows][:, None], self._period[rows][:, None]
        at = run[:, None] * self._piece + self._offsets
        future = self._future[rows]
        behind = np.take_along_axis(future, (at - gap) % period, axis=1)
        step = future[:, :1] - np.take_along_axis(future, period, axis=1)
        behind += step * np.clip(1 - (gap - 1 - at) * 4 / period, 0.0, 1.0)
        left = gap - at
        fading = (_FADE_PIECES - _FULL_PIECES) * self._piece
        behind *= np.clip((_FADE_PIECES * self._piece - left) / fading, 0.0, 1.0)
        met: NDArray[np.float32] = (wave + (behind - wave) * ((at + 0.5) / gap)).astype(np.float32)
        return met

    @staticmethod
    def _gain(run: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.clip((_FADE_PIECES - run) / (_FADE_PIECES - _FULL_PIECES), 0.0, 1.0).astype(np.float32)

    def _continue(self, rows: NDArray[np.intp], run: NDArray[np.int64]) -> NDArray[np.float32]:
        """The periodic continuation of each history, `run` pieces on."""
        cycles = np.minimum(1 + run // _LONGER_PIECES, _CYCLES)
        wave = self._repeat(rows, run, cycles)
        longer = (run > 0) & (run % _LONGER_PIECES == 0) & (run < _LONGER_PIECES * _CYCLES)
        if somewhere(longer):
            before = self._repeat(rows[longer], run[longer], cycles[longer] - 1)
            wave[longer] += (before - wave[longer]) * (1 - self._ramp)
        first = run == 0
        if somewhere(first):
            history, period = self._history[rows[first]], self._period[rows[first]]
            # The sound goes on from where it was: the step at the seam dies away.
            step = history[:, -1] - history[np.arange(len(period)), self._end - 1 - period]
            wave[first] += step[:, None] * np.clip(1 - self._offsets * 4 / period[:, None], 0.0, 1.0)
        return wave

    def _repeat(
        self, rows: NDArray[np.intp], run: NDArray[np.int64], cycles: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """The last `cycles` periods of each history as a loop whose end leads into its begin."""
        period = self._period[rows][:, None]
        length = period * cycles[:, None]
        at = (run[:, None] * self._piece + self._offsets) % length
        rows = rows[:, None]
        wave = self._history[rows, self._end - length + at]
        quarter = period // 4
        share = np.clip((at - length + quarter + 1) / (quarter + 1), 0.0, 1.0).astype(np.float32)
        before = self._history[rows, np.maximum(self._end - 2 * length + at, 0)]
        joined: NDArray[np.float32] = wave + (before - wave) * share
        return joined
