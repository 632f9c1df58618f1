"""How sharp a sound bends, against how sharp it bends anyway: what an ear takes for a click."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["bends", "click", "worst_click"]

_NEAR_SAMPLES = 3


def bends(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Second differences, as large as they are, with the place of the middle sample of each."""
    wave = sound.astype(np.float64)
    sharp = np.zeros(len(wave))
    sharp[1:-1] = np.abs(wave[2:] - 2 * wave[1:-1] + wave[:-2])
    return sharp


def click(sound: NDArray[np.int16], at: int, *, like: NDArray[np.int16]) -> float:
    """Sharpest bend around the sample `at`, over the sharpest that one in a hundred samples of `like` has.

    A sound that is cut at full level scores ten and more; 1 is what the sound does by itself.
    """
    near = bends(sound)[max(0, at - _NEAR_SAMPLES) : at + _NEAR_SAMPLES + 1]
    return float(near.max() / np.quantile(bends(like), 0.99))


def worst_click(sound: NDArray[np.int16], *, like: NDArray[np.int16]) -> float:
    """The same, of the sharpest bend anywhere."""
    return float(bends(sound).max() / np.quantile(bends(like), 0.99))
