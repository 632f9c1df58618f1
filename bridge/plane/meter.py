"""How loud both directions are, for whoever watches a call: up at once, down by 50 dB a second."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns

__all__ = ["SILENT_DB", "Meter"]

SILENT_DB = -100.0
_FALL_DB = 1.0
"""Per packet of 20 ms."""
_SUB_FRAME_SAMPLES = 80
_FULL_SCALE_ENERGY = 32768.0**2
_EPSILON = 1e-10


class Meter:
    """Writes `Columns.level_db`."""

    def __init__(self, columns: Columns) -> None:
        self._heard = columns.level_db[:, 0]
        self._sent = columns.level_db[:, 1]

    def restart(self, row: int) -> None:
        """Nobody was heard yet."""
        self._heard[row] = self._sent[row] = SILENT_DB

    def hear(self, rows: NDArray[np.intp], loudest_db: NDArray[np.float64]) -> None:
        """Take the loudest 10 ms of a packet of each of these distinct rows."""
        self._heard[rows] = np.maximum(loudest_db, self._heard[rows] - _FALL_DB)

    def send(self, rows: NDArray[np.intp], pcm: NDArray[np.int16]) -> None:
        """Take a frame that is being sent by each of these distinct rows, ``[k, 160]``."""
        blocks = pcm.reshape(len(pcm), -1, _SUB_FRAME_SAMPLES).astype(np.float32)
        energy = np.einsum("ksi,ksi->ks", blocks, blocks).max(axis=1)
        loudest_db = np.log10(energy / (_SUB_FRAME_SAMPLES * _FULL_SCALE_ENERGY) + _EPSILON) * 10.0
        self._sent[rows] = np.maximum(loudest_db, self._sent[rows] - _FALL_DB)
