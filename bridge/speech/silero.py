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


_AT_ONCE = ((1.01, 0.95), (0.95, 0.92), (0.85, 0.75))
"""Mean probability of two windows in a row, or of three, that makes it speech, by sensitivity."""
_STEADY = ((1.01, 0.88), (0.85, 0.75), (0.65, 0.55))
"""The same after so many windows, if the last one is like speech still: a note dies away, a word goes on."""
_STEADY_WINDOWS = 5
_FALLEN = 0.9
"""Part of the likeliest window below which the last one has fallen."""
_RISING = (1.01, 0.80, 0.70)
"""The last window of all, if it is the likeliest: a voice that has only begun to be heard."""
_UNFINISHED = 0.5
"""From here on such a window leaves the question open, to the gate's own evidence."""
_BEYOND_DOUBT = (0.97, 0.92)
"""What a voice that is doubted needs at any time."""
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
    if is_doubted:
        is_speech = _reaches(likelihoods, _BEYOND_DOUBT)
    else:
        is_speech = _reaches(likelihoods, _AT_ONCE[sensitivity]) or _lasts(likelihoods, sensitivity)
    if is_speech:
        return Opinion.SPEECH
    count, most = len(likelihoods), max(likelihoods, default=0.0)
    if count >= _ENOUGH:
        is_rising = likelihoods[-1] == most >= _UNFINISHED and not is_doubted
        return Opinion.OPEN if is_rising else Opinion.NOISE
    return Opinion.NOISE if count >= _HOPELESS and most < _UNLIKE else Opinion.OPEN


def _lasts(likelihoods: Sequence[float], sensitivity: int) -> bool:
    """Whether it was like speech, if not surely, and does not sound like something that dies away."""
    if len(likelihoods) < _STEADY_WINDOWS:
        return False
    last, most = likelihoods[-1], max(likelihoods)
    if len(likelihoods) >= _ENOUGH and last == most >= _RISING[sensitivity]:
        return True
    return last >= _FALLEN * most and _reaches(likelihoods, _STEADY[sensitivity])


def _reaches(likelihoods: Sequence[float], means: tuple[float, float]) -> bool:
    return _best(likelihoods, 2) >= means[0] or _best(likelihoods, 3) >= means[1]


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
