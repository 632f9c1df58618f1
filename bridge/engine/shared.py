"""The memory that both processes see: the planes' columns, bank by bank, and a page of gauges behind them."""

import mmap
import os
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bridge.plane.codec import ROW_RATES_HZ
from bridge.plane.columns import Columns
from bridge.plane.shape import Shape

__all__ = [
    "LATENESS_BOUNDS_NS",
    "EngineGauges",
    "GaugeColumns",
    "SharedMemory",
    "bank_sizes",
    "lay_banks",
]

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
    "strangers",
)
_TICKS, _MAX_LATE = _WORDS.index("ticks"), _WORDS.index("max_late_ns")
_GAUGE_WORDS = len(_WORDS) + len(LATENESS_BOUNDS_NS) + 1


class EngineGauges:
    """A reading of a media process's own health; counts go on when another one takes over from it."""

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
        self.strangers: int = values["strangers"]
        """Packets on shared ports that belong to no call."""
        self.lateness_max_ns: int = values["max_late_ns"]
        self.lateness_counts: tuple[int, ...] = tuple(copy[len(_WORDS) :].tolist())
        """Ticks per bound of `LATENESS_BOUNDS_NS`; the last entry is everything above."""

    @classmethod
    def zero(cls) -> "EngineGauges":
        """The reading of a process that has done nothing."""
        return cls(np.zeros(_GAUGE_WORDS, np.uint64))

    @classmethod
    def together(cls, readings: Sequence[NDArray[np.uint64]]) -> "EngineGauges":
        """The reading of several processes as if they were one."""
        if not readings:
            return cls.zero()
        words = np.stack(readings).sum(axis=0, dtype=np.uint64).reshape(-1)
        words[_MAX_LATE] = max(int(reading[_MAX_LATE]) for reading in readings)
        return cls(words)

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
        # What a process that died has counted counts on.
        self._max_late_ns: int = self._values[3]
        self._before: tuple[int, ...] = tuple(self._values[at] for at in (2, 4, 5, 6, 8))

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
        self,
        *,
        rows: int,
        cpu_ns: int,
        rtcp_packets: int,
        socket_errors: int,
        events_dropped: int,
        strangers: int,
    ) -> None:
        """Store the present values."""
        values, before = self._values, self._before
        values[1], values[2] = rows, cpu_ns + before[0]
        values[4], values[5] = rtcp_packets + before[1], socket_errors + before[2]
        values[6], values[8] = events_dropped + before[3], strangers + before[4]


class SharedMemory:
    """An unnamed file that both processes map.

    Not `multiprocessing.shared_memory`: in 3.11 its resource tracker unlinks the memory when a
    child dies, and containers give /dev/shm 64 MB.

    Args:
        capacity: Number of rows of 8 kHz.
        wide: Number of rows of each higher rate.
        fd: Descriptor handed over by the other process; None makes new, zeroed memory.
    """

    def __init__(self, capacity: int, *, wide: int = 0, fd: int | None = None) -> None:
        self.wide: int = wide
        """Number of rows of each higher rate."""
        end = _bank_begins(capacity, wide)[-1]
        size = end + _GAUGE_WORDS * 8
        self.fd: int = _unnamed_file(size) if fd is None else fd
        """To be handed to other processes; closed by `close_fd`, after which the mapping stays."""
        try:
            self._map = mmap.mmap(self.fd, size)
        except (OSError, ValueError):
            os.close(self.fd)
            raise
        # Pages of rows that no leg has used are not backed.
        self.banks: tuple[Columns, ...] = lay_banks(self._map, capacity, wide)
        """Columns of each rate; rows are numbered through."""
        self.columns: Columns = self.banks[0]
        """Those of 8 kHz."""
        self._gauges: NDArray[np.uint64] = np.frombuffer(self._map, np.uint64, _GAUGE_WORDS, end)

    def locate(self, row: int) -> tuple[Columns, int]:
        """The bank that has this row, and the row's number in it.

        Raises:
            IndexError: If no bank has it.
        """
        for bank in self.banks:
            if row < bank.capacity:
                return bank, row
            row -= bank.capacity
        raise IndexError(f"{row} rows too far")

    @property
    def cpu_ns(self) -> int:
        """CPU time that the processes which carried these rows have had."""
        return int(self._gauges[_WORDS.index("cpu_ns")])

    def gauge_columns(self) -> GaugeColumns:
        """For the process that writes them."""
        return GaugeColumns(self._gauges)

    def gauges(self) -> EngineGauges:
        """For the process that reads them."""
        return EngineGauges(self._gauges)

    def readings(self) -> NDArray[np.uint64]:
        """A copy of the gauges as they lie, for `EngineGauges.together`."""
        return self._gauges.copy()

    @property
    def ticks(self) -> int:
        """The first of the gauges: a process that carries calls moves it 50 times a second at least."""
        return int(self._gauges[_TICKS])

    def close_fd(self) -> None:
        """Close the descriptor; the memory lives until the last array over it is gone."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def bank_sizes(capacity: int, wide: int) -> list[tuple[int, int]]:
    """Rate in Hz and number of rows of every bank, in the order in which rows are numbered."""
    narrow, *others = ROW_RATES_HZ
    return [(narrow, capacity), *((rate_hz, wide) for rate_hz in others if wide)]


def lay_banks(memory: mmap.mmap, capacity: int, wide: int) -> tuple[Columns, ...]:
    """Columns of each rate over a memory of this layout; see `SharedMemory.banks`."""
    begins = _bank_begins(capacity, wide)
    return tuple(
        Columns(memoryview(memory)[begin:], rows, Shape(rate_hz))
        for begin, (rate_hz, rows) in zip(begins, bank_sizes(capacity, wide), strict=False)
    )


def _bank_begins(capacity: int, wide: int) -> list[int]:
    """Where each bank begins, and where the last one ends: on borders of pages."""
    begins = [0]
    for rate_hz, rows in bank_sizes(capacity, wide):
        pages = -(-Columns.size_bytes(rows, Shape(rate_hz)) // mmap.PAGESIZE)
        begins.append(begins[-1] + pages * mmap.PAGESIZE)
    return begins


def _unnamed_file(size: int) -> int:
    if sys.platform.startswith("linux"):
        fd = os.memfd_create("cosybridge-media")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd
