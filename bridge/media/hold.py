"""Keeps what a decoder makes up in a gap from dying away before the gap ends.

libopus lets its own concealment fade within 40 to 80 ms, so a burst of four lost packets has a hole in its
middle. Here made-up sound is lifted to the level of what was before the gap and, where that has come, of what
is behind it: never by more than 20 dB, and for no longer than 120 ms.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hold"]

Pcm = NDArray[np.int16]

_BLOCKS_PER_S = 200
"""Levels are taken every 5 ms."""
_LEVEL_BLOCKS = 4
"""Of the 20 ms at each side of the gap."""
_KEPT = 0.5
"""Made-up sound is held 6 dB below: it never stands out, and is no silence either."""
_MOST = 10.0
_FULL_BLOCKS, _FADED_BLOCKS = 12, 24
"""Without anything behind the gap it fades between 60 and 120 ms."""
_NOTHING: Pcm = np.zeros(1, np.int16)


class Hold:
    """Level of one leg's gaps.

    Args:
        rate_hz: Of its sound.
    """

    def __init__(self, rate_hz: int) -> None:
        self._block = rate_hz // _BLOCKS_PER_S
        self._before = _NOTHING
        self._gain = 1.0

    def save(self) -> tuple[Pcm, float]:
        """The whole state, for `restore`."""
        return self._before, self._gain

    def restore(self, state: tuple[Pcm, float]) -> None:
        """Be again as when `state` was saved."""
        self._before, self._gain = state

    def hear(self, sound: Pcm) -> Pcm:
        """Take sound that was not made up, next to be heard; return it, led to from the gap before it."""
        self._before = sound
        if self._gain > 1.0:
            lead = min(self._block, len(sound))
            gains = np.ones(len(sound))
            gains[:lead] = np.linspace(self._gain, 1.0, lead, endpoint=False)
            sound = _lifted(sound, gains)
            self._gain = 1.0
        return sound

    def carry(self, made: Pcm, *, begin: int) -> Pcm:
        """Lift sound that is made up while nothing newer has come.

        Args:
            made: As the decoder made it.
            begin: Samples made up before it in the same gap.
        """
        blocks = begin / self._block + np.arange(self._count(made)) + 0.5
        fade = np.clip((_FADED_BLOCKS - blocks) / (_FADED_BLOCKS - _FULL_BLOCKS), 0.0, 1.0)
        return self._lift(made, _level(self._before[-_LEVEL_BLOCKS * self._block :]) * fade)

    def bridge(self, made: Pcm, behind: Pcm) -> Pcm:
        """Lift sound that is made up up to what is behind the gap, which is heard next."""
        blocks = self._count(made)
        share = (np.arange(blocks) + 0.5) / blocks
        before = _level(self._before[-_LEVEL_BLOCKS * self._block :])
        after = _level(behind[: _LEVEL_BLOCKS * self._block])
        return self._lift(made, before ** (1 - share) * after**share)

    def _count(self, made: Pcm) -> int:
        return -(-len(made) // self._block)

    def _lift(self, made: Pcm, wanted: NDArray[np.float64]) -> Pcm:
        begins = np.arange(self._count(made)) * self._block
        squares = np.add.reduceat(np.square(made, dtype=np.float64), begins)
        sizes = np.diff(np.append(begins, len(made)))
        levels = np.sqrt(squares / sizes) + 1.0
        gains = np.clip(_KEPT * wanted / levels, 1.0, _MOST)
        ends = begins + sizes
        curve = np.interp(np.arange(len(made)), np.append(0, ends), np.append(self._gain, gains))
        self._gain = float(gains[-1])
        return _lifted(made, curve)


def _level(sound: Pcm) -> float:
    """Root mean square, and never quite nothing."""
    return float(np.sqrt(np.square(sound, dtype=np.float64).mean())) + 1.0


def _lifted(sound: Pcm, gains: NDArray[np.float64]) -> Pcm:
    lifted: Pcm = np.rint(sound * gains).clip(-32768, 32767).astype(np.int16)
    return lifted
