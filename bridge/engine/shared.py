"""The memory that both processes see: the plane's columns, a page of gauges behind them, and the beds."""

import mmap
import os
import sys
import tempfile
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from bridge.plane.bed import MOST_BEDS, SHELF_SAMPLES
from bridge.plane.columns import Columns

__all__ = ["LATENESS_BOUNDS_NS", "EngineGauges", "GaugeColumns", "SharedMemory"]

LATENESS_BOUNDS_NS: tuple[int, ...] = tuple(round(1000 * 1.25**step) for step in range(80))
"""Upper bounds of the lateness histogram: 1 µs to 45 s, each a quarter above the last."""

_WORDS = (
    "ticks",
    "rows",
    "cpu_ns",
    "max_late_ns",
    "rtcp_packets",
    "socket_errors",
    "events_dropped",
    "stalls",
)
_GAUGE_WORDS = len(_WORDS) + len(LATENESS_BOUNDS_NS) + 1


class EngineGauges:
    """A reading of the media process's own health; counts since that process started."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        copy = words.copy()
        values = dict(zip(_WORDS, copy[: len(_WORDS)].tolist(), strict=True))
        self.ticks: int = values["ticks"]
        """Wake-ups by the timer."""
        self.rows: int = values["rows"]
        """Legs carried now."""
        self.cpu_ns: int = values["cpu_ns"]
        """CPU time of the process."""
        self.rtcp_packets: int = values["rtcp_packets"]
        self.socket_errors: int = values["socket_errors"]
        """System errors on the legs' sockets, refused ports (ICMP) included."""
        self.events_dropped: int = values["events_dropped"]
        """Events that found the pipe and the waiting list full."""
        self.stalls: int = values["stalls"]
        """Wake-ups more than 20 ms late: the machine gave us no time."""
        self.lateness_max_ns: int = values["max_late_ns"]
        self.lateness_counts: tuple[int, ...] = tuple(copy[len(_WORDS) :].tolist())
        """Ticks per bound of `LATENESS_BOUNDS_NS`; the last entry is everything above."""

    @classmethod
    def zero(cls) -> "EngineGauges":
        """The reading of a process that has done nothing."""
        return cls(np.zeros(_GAUGE_WORDS, np.uint64))

    def lateness_ns(self, quantile: float) -> int:
        """Lateness that this share of the ticks did not exceed, to the next bound; 0 without ticks."""
        total = sum(self.lateness_counts)
        rank = quantile * total
        seen = 0
        for bound_ns, count in zip(LATENESS_BOUNDS_NS, self.lateness_counts, strict=False):
            seen += count
            if total and seen >= rank:
                return min(bound_ns, self.lateness_max_ns)
        return self.lateness_max_ns


class GaugeColumns:
    """The media process's side of the gauges.

    They lie in shared memory: the newest reading is always there, and telling it wakes nobody.
    """

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self._values = words.data  # ten times as quick as numpy for single words
        self._max_late_ns = 0

    def tick(self, late_ns: int) -> None:
        """Count one timed wake-up."""
        values = self._values
        values[0] += 1
        values[len(_WORDS) + bisect_left(LATENESS_BOUNDS_NS, late_ns)] += 1
        if late_ns > self._max_late_ns:
            values[3] = self._max_late_ns = late_ns
            # Beyond this a packet slot has passed.
        if late_ns > 20_000_000:
            values[7] += 1

    def note(
        self, *, rows: int, cpu_ns: int, rtcp_packets: int, socket_errors: int, events_dropped: int
    ) -> None:
        """Store the present values."""
        values = self._values
        values[1], values[2] = rows, cpu_ns
        values[4], values[5], values[6] = rtcp_packets, socket_errors, events_dropped


class SharedMemory:
    """An unnamed file that both processes map.

    Not `multiprocessing.shared_memory`: in 3.11 its resource tracker unlinks the memory when a
    child dies, and containers give /dev/shm 64 MB.

    Args:
        capacity: Number of rows.
        fd: Descriptor handed over by the other process; None makes new, zeroed memory.
    """

    def __init__(self, capacity: int, *, fd: int | None = None) -> None:
        columns_bytes = -(-Columns.size_bytes(capacity) // mmap.PAGESIZE) * mmap.PAGESIZE
        shelf_at = columns_bytes + -(-_GAUGE_WORDS * 8 // mmap.PAGESIZE) * mmap.PAGESIZE
        size = shelf_at + MOST_BEDS * SHELF_SAMPLES * 2
        self.fd: int = _unnamed_file(size) if fd is None else fd
        """To be handed to the other process, then closed by `close_fd`; the mapping stays."""
        try:
            self._map = mmap.mmap(self.fd, size)
        except (OSError, ValueError):
            os.close(self.fd)
            raise
        self.columns: Columns = Columns(self._map, capacity)
        self._gauges: NDArray[np.uint64] = np.frombuffer(self._map, np.uint64, _GAUGE_WORDS, columns_bytes)
        # Last, and only what holds a bed takes memory.
        shelf = np.frombuffer(self._map, np.int16, MOST_BEDS * SHELF_SAMPLES, shelf_at)
        self.shelf: NDArray[np.int16] = shelf.reshape(MOST_BEDS, SHELF_SAMPLES)
        """The beds (`bridge.plane.bed`), written by the control process."""

    def gauge_columns(self) -> GaugeColumns:
        """For the process that writes them."""
        return GaugeColumns(self._gauges)

    def gauges(self) -> EngineGauges:
        """For the process that reads them."""
        return EngineGauges(self._gauges)

    def close_fd(self) -> None:
        """Close the descriptor; the memory lives until the last array over it is gone."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _unnamed_file(size: int) -> int:
    if sys.platform.startswith("linux"):
        fd = os.memfd_create("cosybridge-media")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd
