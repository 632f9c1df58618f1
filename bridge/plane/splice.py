"""Time taken out of sound, or put into it, so that nobody hears it: from one place to another like it.

In silence any place will do. In a voice it is a whole number of pitch periods away, where the sound repeats.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["LONGEST_PERIOD", "SEEN_SAMPLES", "blend", "periods_ahead"]

SHORTEST_PERIOD = 20
LONGEST_PERIOD = 120
"""2.5 to 15 ms: 400 Hz down to 67 Hz; a higher voice repeats two or more of its periods."""
_WINDOW_SAMPLES = 80
SEEN_SAMPLES = LONGEST_PERIOD + _WINDOW_SAMPLES
"""What has to be known of a sound to find its period."""
_ALIKE = 0.8
"""Correlation from which a leap of one period is not heard."""
_FAINT = 100.0**2 * _WINDOW_SAMPLES
"""Energy under which nothing is heard at all: 50 dB below full scale."""
_LAGGED = np.arange(SHORTEST_PERIOD, LONGEST_PERIOD + 1)[:, None] + np.arange(_WINDOW_SAMPLES)[None, :]
_FADE_TICKS = 80


def periods_ahead(sound: NDArray[np.int16]) -> NDArray[np.int64]:
    """Pitch period of each of ``[k, SEEN_SAMPLES]`` sounds at 8 kHz; 0 where none is good enough."""
    wave = sound.astype(np.float32)
    first = wave[:, :_WINDOW_SAMPLES]
    lagged = wave[:, _LAGGED]
    energy = np.einsum("ks,ks->k", first, first)
    energies = np.einsum("kls,kls->kl", lagged, lagged)
    likeness = np.einsum("ks,kls->kl", first, lagged) / np.sqrt(energies * energy[:, None] + 1.0)
    best = np.argmax(likeness, axis=1)
    alike = likeness[np.arange(len(best)), best] >= _ALIKE
    faint = np.maximum(energy, energies[:, -1]) < _FAINT
    period = np.where(alike, best + SHORTEST_PERIOD, 0)
    return np.where(faint, LONGEST_PERIOD, period)


@cache
def _fade(per_tick: int) -> NDArray[np.float32]:
    return np.linspace(0.0, 1.0, _FADE_TICKS * per_tick + 2, dtype=np.float32)[1:-1]


def blend(old: NDArray[np.int16], new: NDArray[np.int16], per_tick: int = 1) -> NDArray[np.int16]:
    """Begin as `old` and end as `new`, ``[k, L]`` each: within 10 ms of so many samples a tick."""
    fade = _fade(per_tick)
    joined = new.copy()
    joined[:, : len(fade)] = np.rint(old[:, : len(fade)] * (1 - fade) + new[:, : len(fade)] * fade)
    return joined
