"""Where sound is a silence: far quieter than what was said at the same place."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["PIECE_MS", "is_silent", "powers", "quietest_around"]

PIECE_MS = 5
_SPOKEN = 150.0
"""Root mean square of speech; what is quieter may well be silent."""
_SILENT = 0.25
"""Less than this part of what was said, 12 dB below it, is a silence."""
_WINDOW = 4
"""Pieces in 20 ms."""
_AROUND = 4
"""Pieces on either side among which the quietest 20 ms of what was said count: the delay may change."""


def powers(sound: NDArray[np.generic], piece: int) -> NDArray[np.float64]:
    """Mean square of each `piece` samples, which are 5 ms."""
    pieces = sound[: len(sound) // piece * piece].reshape(-1, piece)
    squares: NDArray[np.float64] = np.square(pieces, dtype=np.float64).mean(axis=1)
    return squares


def quietest_around(said: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each piece of what was said, the power of the quietest 20 ms that lie near it."""
    view = np.lib.stride_tricks.sliding_window_view
    smooth = view(np.pad(said, (_WINDOW // 2, _WINDOW // 2 - 1)), _WINDOW).mean(axis=1)
    quietest: NDArray[np.float64] = view(np.pad(smooth, _AROUND, mode="edge"), 2 * _AROUND + 1).min(axis=1)
    return quietest


def is_silent(heard: NDArray[np.float64], least: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pieces are silent although somebody spoke, by their powers and `quietest_around` there."""
    around = np.pad(heard, 1)
    # A period of a deep voice is longer than a piece.
    near = np.maximum(heard + around[2:], heard + around[:-2]) / 2
    silent: NDArray[np.bool_] = (least > _SPOKEN**2) & (near < _SILENT**2 * least)
    return silent
