"""Comfort noise (RFC 3389): what is heard while a sender is quiet and says how its silence sounds.

A SID's level and spectrum become a loop of noise once; from then on a quiet row only reads it.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from bridge.plane.shape import NARROW, Shape

__all__ = ["ComfortNoise"]

_LOOP_PIECES = 100
"""Half a second: long enough that nobody hears it come round."""
_FULL_SCALE = 32768.0
_MAX_ORDER = 12
"""More coefficients than telephones send are not needed."""


class ComfortNoise:
    """A loop of noise for every row that ever asked for it."""

    def __init__(self, capacity: int, shape: Shape = NARROW) -> None:
        self._loops = np.zeros((capacity, _LOOP_PIECES, shape.piece), np.int16)
        self._at = np.zeros(capacity, np.int64)
        self._payloads: dict[int, bytes] = {}

    def restart(self, row: int) -> None:
        """Silence is silence again."""
        if self._payloads.pop(row, None) is not None:
            self._loops[row] = 0

    def describe(self, row: int, payload: bytes) -> None:
        """Take the payload of a SID: one octet of level, then reflection coefficients (§3).

        An empty one changes nothing.
        """
        payload = payload[: 1 + _MAX_ORDER]
        if payload and self._payloads.get(row) != payload:
            self._payloads[row] = payload
            self._loops[row] = _noise(payload, self._loops[row].size).reshape(_LOOP_PIECES, -1)

    def next(self, rows: NDArray[np.intp]) -> NDArray[np.int16]:
        """Next piece of each row, ``[k, shape.piece]``: silence if it never said how its own sounds."""
        at = self._at[rows]
        self._at[rows] = (at + 1) % _LOOP_PIECES
        pieces: NDArray[np.int16] = self._loops[rows, at]
        return pieces


@cache
def _white(samples: int) -> NDArray[np.complex128]:
    spectrum: NDArray[np.complex128] = np.fft.rfft(np.random.default_rng(3389).normal(size=samples))
    return spectrum


def _noise(payload: bytes, samples: int) -> NDArray[np.int16]:
    """One loop at the level that the first octet gives in -dBov, through the filter of the others."""
    level = _FULL_SCALE * 10 ** (-(payload[0] & 0x7F) / 20)
    spectrum = _white(samples) / np.abs(np.fft.rfft(_predictor(payload[1:]), samples))
    noise = np.fft.irfft(spectrum, samples)
    noise *= level / np.sqrt(np.mean(noise**2))
    rounded: NDArray[np.int16] = np.rint(noise.clip(-32768, 32767)).astype(np.int16)
    return rounded


def _predictor(octets: bytes) -> NDArray[np.float64]:
    """Coefficients of the whitening filter, from quantised reflection coefficients (§3.2)."""
    filter_ = np.ones(1)
    for octet in octets:
        reflection = 258 * (min(octet, 254) - 127) / 32768
        grown = np.append(filter_, 0.0)
        filter_ = grown + reflection * grown[::-1]
    return filter_
