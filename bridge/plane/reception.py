"""What a row knows of its peer's stream by sequence number and arrival time (RFC 3550 §6.4.1, §A.1, §A.8)."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.masks import everywhere

__all__ = ["Reception"]

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
"""§A.1: beyond these a sequence number is not believed until another one follows it."""
_WINDOW_BITS = 64
_MAX_STEP_TICKS = 1600
"""A step of the transit time beyond 200 ms is a new time line and no jitter; the ring could not follow it."""
_NS_PER_TICK = 125_000


class Reception:
    """Sequence numbers seen, packets lost, and jitter, of every row."""

    def __init__(self, columns: Columns) -> None:
        n = columns.capacity
        self._columns = columns
        self._lost = columns.rx_lost.view(np.int64)
        self._highest = np.zeros(n, np.int64)
        self._window = np.zeros(n, np.uint64)
        self._transit = np.zeros(n, np.int64)
        self._has_transit = np.zeros(n, np.bool_)
        self._first = np.ones(n, np.int64)
        # What came before the present stream: packets that should have come, and packets that came.
        self._expected_before = np.zeros(n, np.int64)
        self._received_before = np.zeros(n, np.int64)
        self.gaps: NDArray[np.int64] = np.zeros(n, np.int64)
        """Runs of missing sequence numbers, of all streams of the row."""

    def open(self, row: int) -> None:
        """Nothing was expected and nothing has come."""
        self._first[row] = self._highest[row] + 1
        self._expected_before[row] = self._received_before[row] = self.gaps[row] = 0

    def restart(self, row: int, sequence: int) -> None:
        """Begin a new stream whose present packet has this number; the one before it proved its source."""
        self._expected_before[row] += self._highest[row] + 1 - self._first[row]
        self._received_before[row] = int(self._columns.rx_packets[row])
        self._highest[row] = self._first[row] = sequence - 1
        self._window[row] = 1
        self._has_transit[row] = False

    def expected(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Packets that should have come by their numbers, of all streams of each row."""
        count: NDArray[np.int64] = self._expected_before[rows] + self._highest[rows] + 1 - self._first[rows]
        return count

    def lost(self, row: int) -> int:
        """Of the present stream, duplicates taken off as §A.3 wants it: negative when they prevail."""
        expected = int(self._highest[row]) + 1 - int(self._first[row])
        return expected - (int(self._columns.rx_packets[row]) - int(self._received_before[row]))

    def highest(self, row: int) -> int:
        """Extended highest sequence number of the present stream (§A.1)."""
        return int(self._highest[row])

    def step(self, rows: NDArray[np.intp], sequences: NDArray[np.int64]) -> NDArray[np.int64]:
        """Signed way from the highest number of each row to the given one."""
        way: NDArray[np.int64] = (sequences - self._highest[rows] + 0x8000 & 0xFFFF) - 0x8000
        return way

    @staticmethod
    def is_plausible(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether numbers so far from the highest can belong to the same run."""
        return np.logical_and(steps < _MAX_DROPOUT, steps > -_MAX_MISORDER)

    def account(self, rows: NDArray[np.intp], sequences: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Count one packet of each of these rows; false for those that were here before."""
        steps = self.step(rows, sequences)
        if everywhere(steps == 1):
            self._highest[rows] += 1
            self._window[rows] = self._window[rows] << np.uint64(1) | np.uint64(1)
            return np.ones(len(rows), np.bool_)
        newer = steps > 0
        window = self._window[rows]
        shift = np.minimum(np.abs(steps), _WINDOW_BITS - 1).astype(np.uint64)
        bit = np.uint64(1) << shift
        # Shifted by 63 only the newest survives, which is as good as forgotten at distances beyond it.
        advanced = np.where(steps < _WINDOW_BITS, window << shift, np.uint64(0)) | np.uint64(1)
        seen = ~newer & (window & bit != 0)
        self._window[rows] = np.where(newer, advanced, window | bit)
        self._highest[rows] += np.where(newer, steps, 0)
        self.gaps[rows] += newer & (steps > 1)
        lost = self._lost[rows] + np.where(newer, steps - 1, np.where(seen, 0, -1))
        self._lost[rows] = np.maximum(lost, 0)
        self._columns.rx_duplicate[rows[seen]] += np.uint64(1)
        fresh: NDArray[np.bool_] = ~seen
        return fresh

    def time(
        self, rows: NDArray[np.intp], timestamps: NDArray[np.int64], *, arrived_ns: NDArray[np.int64]
    ) -> None:
        """Update the jitter estimate with one packet of each of these rows."""
        transit = arrived_ns // _NS_PER_TICK - timestamps
        step = np.abs((transit - self._transit[rows] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000)
        known = self._has_transit[rows] & (step <= _MAX_STEP_TICKS)
        jitter = self._columns.jitter_ticks[rows]
        self._columns.jitter_ticks[rows] = jitter + np.where(known, (step - jitter) / 16, 0.0)
        self._transit[rows] = transit
        self._has_transit[rows] = True
