"""Questions to whoever can tell speech from noise: is this voice speech? One at a time per row.

A question is a number in shared memory, so that the answer can say which voice it means. It is open from the
duck, or from the voice where ducks rest, until the answer, the flush, or the end of its time.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.spec import PlaneSettings

__all__ = ["Inquiry"]

_MS = 1_000_000
_FRAME_MS = 20


class Inquiry:
    """The open question of each row."""

    def __init__(self, columns: Columns, settings: PlaneSettings) -> None:
        # Looked at once a frame: that is how much earlier it has to be over.
        self._verdict_ns = (settings.verdict_ms - _FRAME_MS) * _MS
        self._number = columns.question
        self._asked_ns = np.zeros(columns.capacity, np.int64)
        self._asked = np.zeros(columns.capacity, np.uint64)
        self.agreed: NDArray[np.bool_] = np.zeros(columns.capacity, np.bool_)
        """Answered with speech, before the gate had heard enough of it."""

    def restart(self, row: int) -> None:
        """Another leg: nothing is asked."""
        self._number[row] = 0
        self._asked[row] = 0
        self.agreed[row] = False

    def resume(self, row: int, *, now_ns: int) -> None:
        """A row of a process that died: nothing is asked, and no number is given that it may have given."""
        self.restart(row)
        self._asked[row] = now_ns // _MS

    def ask(self, rows: NDArray[np.intp], *, now_ns: int) -> None:
        """Open a question for each of these distinct rows."""
        self._asked[rows] += np.uint64(1)
        self._asked_ns[rows] = now_ns
        self.agreed[rows] = False
        self._number[rows] = self._asked[rows]

    def close(self, rows: NDArray[np.intp]) -> None:
        """Nobody needs the answer any more."""
        self._number[rows] = 0
        self.agreed[rows] = False

    def is_open(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Where an answer is awaited."""
        asked: NDArray[np.bool_] = self._number[rows] != 0
        return asked

    def is_overdue(self, rows: NDArray[np.intp], *, now_ns: int) -> NDArray[np.bool_]:
        """Where no answer came in time."""
        return self.is_open(rows) & (now_ns - self._asked_ns[rows] >= self._verdict_ns)

    def number(self, row: int) -> int:
        """The open question, 0 if there is none."""
        return int(self._number[row])
