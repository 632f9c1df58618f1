"""Keys heard in the sound itself: the dual tones of ITU-T Q.23, found over all rows at once (ITU-T Q.24).

Windows of 20 ms begin every 10 ms. Each is projected on narrow bands around the eight frequencies: Goertzel's
filter, widened until a tone that is off by 2 % still fits. A window holds a key when nearly all of its energy
lies in one band of each group. That leaves no room for second harmonics or anything else that speech is made
of. Two such windows in a row, steady in level and in frequency, are a key.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.masks import somewhere

__all__ = ["HIGH_HZ", "LOW_HZ", "PAD", "ZERO_DBM0_PEAK", "ToneChange", "Tones"]

LOW_HZ = (697.0, 770.0, 852.0, 941.0)
HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
PAD = "123A456B789C*0#D"
"""Keys by row, then column: ``PAD[4 * low + high]``."""
ZERO_DBM0_PEAK = 22_300.0
"""Peak of a sine of 0 dBm0: full scale of G.711 is 3.14 to 3.17 dB above it."""

_RATE_HZ = 8000
_WINDOW = FRAME_SAMPLES
_HOP = _WINDOW // 2
_HOPS = FRAME_SAMPLES // _HOP
_HOP_MS = 1000 * _HOP // _RATE_HZ
_BAND = 0.02
"""Half width of a band, relative to its frequency."""
_DEGREES = 4
"""Real dimensions of a band: two complex ones."""
_DRIFT = 0.02
"""A tone further off than this is none; Q.24 asks for 1.5 % at least and 3.5 % at most.

The tones of 2, 6 and C are nearly an octave apart: 4.3 % more, and a note's second harmonic makes a key."""
_PURITY = 0.86
"""Least part of a window's energy that the two tones have; noise 12 dB below them takes 6 %."""
_LEAST_DBM0 = -31.0
"""Per tone; Q.24 asks for -25."""
_LOW_OVER_HIGH_DB = (-6.5, 10.0)
"""Twist: EIA-464 lets the high tone be 4 dB louder than the low one, and the low one 8 dB louder."""
_STEADY_DB = 2.5
_HITS = 2
_EVEN = 0.72
"""Least part of the louder half's energy that the other half of a window has: else the tone fills only one.

Tones of 20 ms are never taken, of 24 ms one in a hundred, of 40 ms all."""
_QUIET_MISSES = 2
"""A pause of 40 ms makes at least three quiet windows, a hole of 20 ms one."""
_MISSES = 9
"""… but where it stays loud it is no pause: something was put in the place of a lost packet."""
_PAUSE_RATIO = 0.25
"""Energy below this part of the tones' is a pause, not a disturbance."""

_EDGE_MS = 15
"""What the first and the last window of a key do not show of it, together and on average."""


def _band(frequency_hz: float) -> NDArray[np.float64]:
    """Orthonormal basis ``[window, 4]`` of all tones that are off by up to `_BAND`."""
    times_s = (np.arange(_WINDOW) - (_WINDOW - 1) / 2) / _RATE_HZ
    angles = 2 * np.pi * np.outer(times_s, frequency_hz * np.linspace(1 - _BAND, 1 + _BAND, 41))
    basis = np.linalg.svd(np.concatenate((np.cos(angles), np.sin(angles)), axis=1), full_matrices=False)[0]
    band: NDArray[np.float64] = basis[:, :_DEGREES]
    return band


_BANDS = np.stack([_band(hz) for hz in LOW_HZ + HIGH_HZ])
_FILTERS = np.concatenate(list(_BANDS), axis=1).astype(np.float32)
"""``[window, 8 * 4]``."""


def _unmixing() -> NDArray[np.float32]:
    """``[16, 8, 8]``: from what a key's two bands see to what is in each: they are not quite orthogonal."""
    pairs = [np.concatenate((_BANDS[low], _BANDS[4 + high]), axis=1) for low in range(4) for high in range(4)]
    return np.stack([np.linalg.inv(pair.T @ pair) for pair in pairs]).astype(np.float32)


def _phasors() -> NDArray[np.complex64]:
    """``[8, 4]``: from a band's degrees to the tone's complex amplitude in mid-window."""
    times_s = (np.arange(_WINDOW) - (_WINDOW - 1) / 2) / _RATE_HZ
    waves = [np.exp(-2j * np.pi * hz * times_s) for hz in LOW_HZ + HIGH_HZ]
    return np.stack([wave @ band for wave, band in zip(waves, _BANDS, strict=True)]).astype(np.complex64)


_UNMIXING = _unmixing()
_PHASORS = _phasors()
_HOP_TURN = np.exp(-2j * np.pi * np.array(LOW_HZ + HIGH_HZ) * _HOP / _RATE_HZ).astype(np.complex64)
_MOST_TURN = 2 * np.pi * _DRIFT * np.array(LOW_HZ + HIGH_HZ) * _HOP / _RATE_HZ
_ENERGY_0_DBM0 = ZERO_DBM0_PEAK**2 / 2 * _WINDOW
_LEAST_ENERGY = _ENERGY_0_DBM0 * 10 ** (_LEAST_DBM0 / 10)
_TWIST = tuple(10 ** (db / 10) for db in _LOW_OVER_HIGH_DB)
_STEADY = 10 ** (_STEADY_DB / 10)


@dataclass(frozen=True, slots=True)
class ToneChange:
    """A key of one row went down or came up."""

    row: int
    digit: str
    is_down: bool
    duration_ms: int = 0
    """How long it was held, once it is up."""


class Tones:
    """Tones heard so far, of every row.

    Args:
        capacity: Number of rows.
    """

    def __init__(self, capacity: int) -> None:
        n = capacity
        self._tail = np.zeros((n, _HOP), np.float32)
        self._candidate = np.full(n, -1, np.int64)
        self._hits = np.zeros(n, np.int64)
        self._quiet = np.zeros(n, np.int64)
        self._misses = np.zeros(n, np.int64)
        self._age = np.zeros(n, np.int64)
        self._phasor = np.zeros((n, 2), np.complex64)
        self._level = np.zeros(n, np.float32)
        self.down: NDArray[np.int64] = np.full(n, -1, np.int64)
        """Index into `PAD` of the key that is down; -1 = none."""

    def stop(self, row: int) -> list[ToneChange]:
        """Forget what was heard; a key that is down is up."""
        released = [self._released(row)] if self.down[row] >= 0 else []
        self._tail[row] = 0
        self._candidate[row] = -1
        self._hits[row] = self._quiet[row] = self._misses[row] = self._age[row] = 0
        return released

    def hear(self, rows: NDArray[np.intp], pcm: NDArray[np.int16]) -> list[ToneChange]:
        """Listen to the next frame of each of these distinct rows, ``[k, 160]``; return what changed."""
        sound = np.empty((len(rows), _HOP + FRAME_SAMPLES), np.float32)
        sound[:, :_HOP] = self._tail[rows]
        sound[:, _HOP:] = pcm
        self._tail[rows] = sound[:, FRAME_SAMPLES:]
        halves = sound.reshape(len(rows), _HOPS + 1, _HOP)
        energies = np.einsum("khi,khi->kh", halves, halves)
        changes: list[ToneChange] = []
        for hop in range(_HOPS):
            first, second = energies[:, hop], energies[:, hop + 1]
            total = first + second
            even = np.minimum(first, second) >= _EVEN * np.maximum(first, second)
            # Most of the time most callers listen: only what is loud enough for a key is looked at.
            busy = (total >= 2 * _LEAST_ENERGY) | (self.down[rows] >= 0) | (self._candidate[rows] >= 0)
            if somewhere(busy):
                at = rows[busy]
                window = sound[busy, hop * _HOP : hop * _HOP + _WINDOW]
                self._advance(at, self._recognise(at, window, total[busy], even[busy]), total[busy], changes)
        return changes

    def _recognise(
        self,
        rows: NDArray[np.intp],
        window: NDArray[np.float32],
        total: NDArray[np.float32],
        even: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """Key that fills each window, as an index into `PAD`; -1 = none. Remembers its phase and level."""
        seen = (window @ _FILTERS).reshape(len(rows), 8, _DEGREES)
        strength = np.einsum("kbd,kbd->kb", seen, seen)
        each = np.arange(len(rows))
        low, high = strength[:, :4].argmax(axis=1), strength[:, 4:].argmax(axis=1) + 4
        key = 4 * low + high - 4
        both = np.concatenate((seen[each, low], seen[each, high]), axis=1)
        parts = np.einsum("kij,kj->ki", _UNMIXING[key], both)
        pure = np.einsum("ki,ki->k", both, parts) >= _PURITY * total
        powers = np.einsum("ktd,ktd->kt", parts.reshape(-1, 2, _DEGREES), parts.reshape(-1, 2, _DEGREES))
        strong = (powers >= _LEAST_ENERGY).all(axis=1)
        balanced = (powers[:, 0] >= _TWIST[0] * powers[:, 1]) & (powers[:, 0] <= _TWIST[1] * powers[:, 1])
        found = even & pure & strong & balanced
        bands = np.stack((low, high), axis=1)
        phasor = np.einsum("ktd,ktd->kt", parts.reshape(-1, 2, _DEGREES), _PHASORS[bands])
        turn = np.angle(phasor * np.conj(self._phasor[rows]) * _HOP_TURN[bands])
        level = self._level[rows]
        steady = (np.abs(turn) <= _MOST_TURN[bands]).all(axis=1)
        steady &= (total <= _STEADY * level) & (level <= _STEADY * total)
        recognised = np.where(found, key, -1)
        again = found & steady & (recognised == self._candidate[rows])
        self._hits[rows] = np.where(again, self._hits[rows] + 1, found)
        self._candidate[rows] = recognised
        self._phasor[rows[found]], self._level[rows[found]] = phasor[found], total[found]
        return recognised

    def _advance(
        self,
        rows: NDArray[np.intp],
        key: NDArray[np.int64],
        total: NDArray[np.float32],
        changes: list[ToneChange],
    ) -> None:
        """Let one window of each row press or release its key."""
        down = self.down[rows]
        held = (down >= 0) & (key == down)
        missed = (down >= 0) & ~held
        misses = np.where(missed, self._misses[rows] + 1, 0)
        quiet = np.where(missed, self._quiet[rows] + (total < _PAUSE_RATIO * self._level[rows]), 0)
        # What was missed between two windows that have the key was no pause.
        self._age[rows] += np.where(held, 1 + self._misses[rows], 0)
        self._misses[rows], self._quiet[rows] = misses, quiet
        presses = (self._hits[rows] >= _HITS) & (key >= 0) & (key != down)
        releases = (down >= 0) & (presses | (quiet >= _QUIET_MISSES) | (misses >= _MISSES))
        for at in (presses | releases).nonzero()[0].tolist():
            row = int(rows[at])
            if releases[at]:
                changes.append(self._released(row))
            if presses[at]:
                changes.append(ToneChange(row, PAD[key[at]], is_down=True))
                self.down[row] = key[at]
                self._age[row] = _HITS
                self._misses[row] = self._quiet[row] = 0

    def _released(self, row: int) -> ToneChange:
        held_ms = int(self._age[row]) * _HOP_MS + _EDGE_MS
        change = ToneChange(row, PAD[int(self.down[row])], is_down=False, duration_ms=held_ms)
        self.down[row] = -1
        return change
