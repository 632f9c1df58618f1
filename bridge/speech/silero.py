"""What Silero's voice activity detector needs around its network, and what its answers amount to.

The network takes windows of 256 samples at 8 kHz, each behind the last 32 samples of the window before, and
hands a state from window to window. It says how likely each window holds speech; a voice is judged by a few.
"""

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONTEXT_SAMPLES", "STATE_WIDTH", "WINDOW_SAMPLES", "Opinion", "Streams", "opinion"]

WINDOW_SAMPLES = 256
"""32 ms at 8 kHz."""
CONTEXT_SAMPLES = 32
STATE_WIDTH = 128
_FULL_SCALE = np.float32(1 / 32768)


class Opinion(Enum):
    """What is thought of a voice so far."""

    OPEN = 0
    """Too early to say."""
    SPEECH = 1
    NOISE = 2


_SURE_OF_TWO = (1.01, 0.85, 0.65)
"""Mean probability of two windows in a row that makes it speech, by sensitivity; the lowest needs three."""
_SURE_OF_THREE = (0.88, 0.75, 0.55)
_BEYOND_DOUBT = (0.97, 0.92)
"""The same two where a voice is doubted."""
_ENOUGH = 6
"""Windows after which a voice that was not speech so far is none …"""
_HOPELESS = 4
"""… or so many, if none of them was like speech at all."""
_UNLIKE = 0.12


def opinion(likelihoods: Sequence[float], *, sensitivity: int, is_doubted: bool = False) -> Opinion:
    """Judge a voice by its windows since the onset.

    Args:
        likelihoods: What the network said of each, 0 to 1.
        sensitivity: 0 low, 1 medium, 2 high: how little is needed for speech.
        is_doubted: The surroundings are known to be noisy, and nobody waits in silence for the answer.
    """
    count = len(likelihoods)
    two, three = _SURE_OF_TWO[sensitivity], _SURE_OF_THREE[sensitivity]
    if is_doubted:
        two, three = max(two, _BEYOND_DOUBT[0]), max(three, _BEYOND_DOUBT[1])
    if _best(likelihoods, 2) >= two or _best(likelihoods, 3) >= three:
        return Opinion.SPEECH
    if count >= _ENOUGH or (count >= _HOPELESS and max(likelihoods) < _UNLIKE):
        return Opinion.NOISE
    return Opinion.OPEN


def _best(likelihoods: Sequence[float], run: int) -> float:
    means = (sum(likelihoods[at : at + run]) / run for at in range(len(likelihoods) - run + 1))
    return max(means, default=0.0)


class Streams:
    """State and context of as many voices as are judged at a time; a slot each."""

    def __init__(self, slots: int) -> None:
        self._state = np.zeros((2, slots, STATE_WIDTH), np.float32)
        self._context = np.zeros((slots, CONTEXT_SAMPLES), np.float32)

    def restart(self, slot: int) -> None:
        """The next window of this slot begins a new voice."""
        self._state[:, slot] = 0
        self._context[slot] = 0

    def inputs(
        self, slots: NDArray[np.intp], windows: NDArray[np.int16]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Input ``[k, 288]`` and state ``[2, k, 128]`` of one run over these distinct slots."""
        sound = windows.astype(np.float32) * _FULL_SCALE
        joined = np.concatenate((self._context[slots], sound), axis=1)
        self._context[slots] = sound[:, -CONTEXT_SAMPLES:]
        return joined, self._state[:, slots]

    def keep(self, slots: NDArray[np.intp], state: NDArray[np.float32]) -> None:
        """Take the state that the run of these slots ended with."""
        self._state[:, slots] = state
