"""Hears what a line's noise hides: a voice's first sound, in eight bands that each have a noise floor.

A voice bar, a breath or a weak vowel lies below the noise of the whole band for up to 100 ms, and well above
that of its own. The evidence of a sub-frame is the generalized log-likelihood ratio of "stronger than the
noise" against "the noise", both normal: the sum over the bands of n/2 (z - 1 - ln z), where the band is z
times as strong as its noise, z > 1, and n = 10 are its degrees of freedom.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["BANDS", "SUB_FRAME_SAMPLES", "Bands"]

BANDS = 8
SUB_FRAME_SAMPLES = 80
"""10 ms: ten blocks of as many samples as there are bands."""
_BLOCKS = SUB_FRAME_SAMPLES // BANDS
_HALF_FREEDOM = np.float32(_BLOCKS / 2)
_MOST = np.float32(40.0)
"""One band counts for no more: a whistle is no voice."""
_LEAST = np.float32(np.log(1000.0))
"""The lowest floor, some 80 dB under full scale: digital silence is no noise that can be learnt."""
_FOLLOW = np.float32(0.2)
_FALL = np.float32(-0.92)
"""Most that a floor falls with a packet: 4 dB."""
_RISE = np.float32(0.14)
"""… and rises: 0.6 dB, so that an onset of 100 ms does not teach it much."""
_LEARNT = 8
"""Packets that only teach the floors; the first sets them."""


def _cosines() -> NDArray[np.float32]:
    """The orthonormal DCT of a block, as columns."""
    order, at = np.arange(BANDS), np.arange(BANDS)[:, None]
    made = np.cos(np.pi * (at + 0.5) * order / BANDS) * np.sqrt(2 / BANDS)
    made[:, 0] /= np.sqrt(2)
    return np.ascontiguousarray(made, np.float32)


_COSINES = _cosines()
_SUM: NDArray[np.float32] = np.tile(np.eye(BANDS, dtype=np.float32), (_BLOCKS, 1))
"""Adds up the squares of a sub-frame's blocks, band by band."""


class Bands:
    """Noise of every row, by band."""

    def __init__(self, capacity: int) -> None:
        self._floor: NDArray[np.float32] = np.zeros((capacity, BANDS), np.float32)
        self._age = np.zeros(capacity, np.int64)

    def restart(self, row: int) -> None:
        """Another line: its noise has to be learnt anew."""
        self._age[row] = 0

    @staticmethod
    def of(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of the energy of whole sub-frames ``[k, s, 80]`` in each band: ``[k, s, 8]``."""
        turned = np.ascontiguousarray(blocks).reshape(-1, BANDS) @ _COSINES
        np.multiply(turned, turned, out=turned)
        energy = turned.reshape(-1, SUB_FRAME_SAMPLES) @ _SUM
        energy += np.float32(1)
        made: NDArray[np.float32] = np.log(energy, out=energy).reshape(len(blocks), -1, BANDS)
        return made

    def evidence(self, rows: NDArray[np.intp], logs: NDArray[np.float32]) -> NDArray[np.float32]:
        """How surely each sub-frame is more than noise, ``[k, s]``: in mere noise 3, and hardly ever 30."""
        over = logs - self._floor[rows, None]
        np.maximum(over, np.float32(0), out=over)
        ratio = np.expm1(over)
        ratio -= over
        ratio *= _HALF_FREEDOM
        np.minimum(ratio, _MOST, out=ratio)
        evidence: NDArray[np.float32] = ratio.sum(axis=2)
        evidence[self._age[rows] < _LEARNT] = 0
        return evidence

    def learn(self, rows: NDArray[np.intp], logs: NDArray[np.float32]) -> None:
        """Follow the noise of these distinct rows."""
        heard = logs.mean(axis=1)
        floor = self._floor[rows]
        step = np.minimum(np.maximum((heard - floor) * _FOLLOW, _FALL), _RISE)
        fresh = self._age[rows] == 0
        if np.count_nonzero(fresh):
            step[fresh] = heard[fresh] - floor[fresh]
        self._floor[rows] = np.maximum(floor + step, _LEAST)
        self._age[rows] += 1
