"""Another tempo for finished sound, at the same pitch: waveform similarity overlap-add (WSOLA)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["stretched"]

_FRAME_MS = 30
_SEARCH_MS = 7  # either way: half the period of the lowest voices

Sound = NDArray[np.float32]


def stretched(sound: Sound, rate: int, factor: float) -> Sound:
    """Make `sound`, at `rate` Hz, last `factor` times as long, to the sample.

    Frames are laid down at a steady pace; each is taken where it goes on best from the one before it.
    """
    hop = rate * _FRAME_MS // 2000
    search = rate * _SEARCH_MS // 1000
    count = round(len(sound) * factor)
    if factor == 1.0 or len(sound) < 2 * hop + search:
        return np.resize(sound, count) if len(sound) else sound
    frames = -(-count // hop) + 1
    padded = np.concatenate([np.zeros(search, np.float32), sound, np.zeros(4 * hop + 2 * search, np.float32)])
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    out = np.zeros((frames + 1) * hop, np.float32)
    at = search
    for index in range(frames):
        if index:
            wanted = search + min(round(index * hop / factor), len(sound))
            follows = padded[at + hop : at + 2 * hop]
            around = padded[wanted - search : wanted + search + hop]
            at = wanted - search + int(np.correlate(around, follows, "valid").argmax())
            at = min(at, len(padded) - 3 * hop)
        out[index * hop : (index + 2) * hop] += padded[at : at + 2 * hop] * window
    return out[hop // 2 : hop // 2 + count] if count else out[:0]
