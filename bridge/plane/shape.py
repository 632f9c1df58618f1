"""How long things are at a row's audio rate: every count of samples that the plane's arrays have.

Time is counted in ticks of 8 kHz whatever the rate; `per_tick` samples lie in each of them.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bridge.plane.codec import ROW_RATES_HZ

__all__ = ["FRAME_TICKS", "NARROW", "PIECE_TICKS", "TICKS_PER_MS", "Shape", "thin"]

TICKS_PER_MS = 8
FRAME_TICKS = 160
"""20 ms: what a row plays and sends at a time."""
PIECE_TICKS = 40
"""5 ms: the grain of the jitter ring."""

_PLAY_TICKS = 32768
_CAPTURE_FRAMES = 104
"""No power of two: rows whose rings lie that far apart push each other out of the processor's cache."""


class Shape:
    """Lengths in samples at one rate.

    Args:
        rate_hz: 8000, 16000, 24000 or 48000.

    Raises:
        ValueError: If rows have no such rate.
    """

    def __init__(self, rate_hz: int) -> None:
        if rate_hz not in ROW_RATES_HZ:
            raise ValueError(f"rows have a rate of {ROW_RATES_HZ} Hz, not {rate_hz}")
        self.rate_hz: int = rate_hz
        self.per_tick: int = rate_hz // 8000
        """Samples in a tick of 8 kHz."""

    @cached_property
    def frame(self) -> int:
        """Samples of 20 ms."""
        return FRAME_TICKS * self.per_tick

    @cached_property
    def piece(self) -> int:
        """Samples of 5 ms."""
        return PIECE_TICKS * self.per_tick

    @cached_property
    def play(self) -> int:
        """Room of one playout ring: 4.1 to 5.5 s; a power of two."""
        return _power_of_two(_PLAY_TICKS * self.per_tick)

    @cached_property
    def packets(self) -> int:
        """Opus packets beside one playout ring: more than it has frames; 1 where none are passed on."""
        return 1 if self.per_tick == 1 else _power_of_two(self.play // self.frame)

    @cached_property
    def capture(self) -> int:
        """Room of one lane of a capture ring: 2.08 s, a whole number of frames."""
        return _CAPTURE_FRAMES * self.frame


NARROW = Shape(8000)
"""That of G.711."""


def thin(pcm: NDArray[np.int16], per_tick: int) -> NDArray[np.int16]:
    """Reduce ``[k, L]`` samples to one per tick of 8 kHz, the mean: good enough for whoever only listens.

    What is left over at the end is left out.
    """
    if per_tick == 1:
        return pcm
    rows, length = pcm.shape
    ticks = length // per_tick
    sums = pcm[:, : ticks * per_tick].reshape(rows, ticks, per_tick).sum(axis=2, dtype=np.int32)
    thinned: NDArray[np.int16] = (sums // per_tick).astype(np.int16)
    return thinned


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
