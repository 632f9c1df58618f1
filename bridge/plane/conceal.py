"""What is heard in place of a lost slot: the last pitch period again and again, faded out within 60 ms."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["HISTORY_SLOTS", "SLOT_SAMPLES", "Concealer"]

SLOT_SAMPLES = 80
"""10 ms at 8 kHz: the unit in which the jitter ring counts."""
HISTORY_SLOTS = 4
"""Slots before the gap in which the pitch is sought."""

_MIN_PERIOD = 40
_MAX_PERIOD = 160
"""200 Hz down to 50 Hz; a higher voice repeats two or more of its periods."""
_FADE_SLOTS = 6
"""The first slot is repeated in full, the sixth ends in silence."""
_MERGE_SAMPLES = 32
"""4 ms in which the real signal takes over again."""

_HISTORY_SAMPLES = HISTORY_SLOTS * SLOT_SAMPLES
_RAMP = np.linspace(0.0, 1.0, SLOT_SAMPLES, endpoint=False, dtype=np.float32)
_MERGE = np.linspace(0.0, 1.0, _MERGE_SAMPLES, endpoint=False, dtype=np.float32)
# Where each candidate period would have begun, and every sample of the comparison window behind it.
_WINDOW = np.arange(_HISTORY_SAMPLES - SLOT_SAMPLES, _HISTORY_SAMPLES)
_LAGGED = _WINDOW[None, :] - np.arange(_MIN_PERIOD, _MAX_PERIOD + 1)[:, None]
_OFFSETS = np.arange(SLOT_SAMPLES)


def find_periods(history: NDArray[np.float32]) -> NDArray[np.int64]:
    """Pitch period at the end of each of ``[k, 320]`` histories, in samples: the lag of best correlation."""
    recent = history[:, _WINDOW]
    lagged = history[:, _LAGGED]
    product = np.einsum("ks,kls->kl", recent, lagged)
    energy = np.einsum("kls,kls->kl", lagged, lagged)
    best: NDArray[np.intp] = np.argmax(product / np.sqrt(energy + 1.0), axis=1)
    return best + _MIN_PERIOD


class Concealer:
    """Fills gaps, slot by slot; only rows that lose packets cost anything."""

    def __init__(self, capacity: int) -> None:
        self._history = np.zeros((capacity, _HISTORY_SAMPLES), np.float32)
        self._period = np.full(capacity, _MAX_PERIOD, np.int64)
        self.run: NDArray[np.int64] = np.full(capacity, _FADE_SLOTS, np.int64)
        """Slots concealed so far in the present gap; at rest in silence from 6 on."""

    def silence(self, rows: NDArray[np.intp]) -> None:
        """The sender is quiet on purpose: repeat nothing (RFC 3389)."""
        self.run[rows] = _FADE_SLOTS

    def needs_history(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these rows enter a gap with this slot."""
        return np.equal(self.run[rows], 0)

    def sounds(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Where the next slot is more than silence."""
        return np.less(self.run[rows], _FADE_SLOTS)

    def remember(self, rows: NDArray[np.intp], history: NDArray[np.int16]) -> None:
        """Take the ``[k, 320]`` samples before the gap of each row."""
        self._history[rows] = history
        self._period[rows] = find_periods(self._history[rows])

    def fill(self, rows: NDArray[np.intp]) -> NDArray[np.int16]:
        """Next lost slot of each row, ``[k, 80]``."""
        run = self.run[rows]
        self.run[rows] = np.minimum(run + 1, _FADE_SLOTS)
        gain, last = self._gain(run)[:, None], self._gain(run + 1)[:, None]
        return np.rint(self._continue(rows, run) * (gain + (last - gain) * _RAMP)).astype(np.int16)

    def merge(self, rows: NDArray[np.intp], slots: NDArray[np.int16]) -> None:
        """Lead from concealment back into the real ``[k, 80]`` slots, in place, and end the gap."""
        run = self.run[rows]
        self.run[rows] = 0
        audible = (run < _FADE_SLOTS).nonzero()[0]
        rows, run = rows[audible], run[audible]
        old = self._continue(rows, run)[:, :_MERGE_SAMPLES] * self._gain(run)[:, None]
        mixed = old * (1 - _MERGE) + slots[audible, :_MERGE_SAMPLES] * _MERGE
        slots[audible, :_MERGE_SAMPLES] = np.rint(mixed)

    @staticmethod
    def _gain(run: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.clip((_FADE_SLOTS - run) / (_FADE_SLOTS - 1), 0.0, 1.0).astype(np.float32)

    def _continue(self, rows: NDArray[np.intp], run: NDArray[np.int64]) -> NDArray[np.float32]:
        """The periodic continuation of each history, `run` slots on."""
        period = self._period[rows][:, None]
        phase = (run[:, None] * SLOT_SAMPLES + _OFFSETS) % period
        wave: NDArray[np.float32] = self._history[rows[:, None], _HISTORY_SAMPLES - period + phase]
        return wave
