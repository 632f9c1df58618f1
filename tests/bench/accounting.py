"""What sequence numbers tell: which packets of which stream came, came twice, or never came."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Streams", "count_streams"]


@dataclass(frozen=True, slots=True)
class Streams:
    """One entry per stream, in the order of `ssrcs`."""

    ssrcs: NDArray[np.uint32]
    received: NDArray[np.int64]
    """Packets, copies included."""
    unique: NDArray[np.int64]
    """Sequence numbers that came."""
    lost: NDArray[np.int64]
    """Sequence numbers between the lowest and the highest that never came."""

    @property
    def duplicates(self) -> NDArray[np.int64]:
        """Copies of what had come before."""
        return self.received - self.unique


def count_streams(ssrc: NDArray[np.uint32], sequence: NDArray[np.uint16]) -> Streams:
    """Account for packets of many streams, in order of arrival within each.

    A step between two packets of a stream is taken the shorter way round, so numbers may wrap and packets may
    overtake each other.
    """
    order = np.argsort(ssrc, kind="stable")
    ssrcs, begins, received = np.unique(ssrc[order], return_index=True, return_counts=True)
    numbers = sequence[order].astype(np.int64)
    steps = np.diff(numbers, prepend=numbers[:1])
    steps = (steps + 0x8000) % 0x10000 - 0x8000
    steps[begins] = 0
    # Relative to each stream's first packet.
    total = np.cumsum(steps)
    stream = np.repeat(np.arange(len(ssrcs)), received)
    extended = total - total[begins][stream] if len(ssrcs) else total
    unique = np.zeros(len(ssrcs), np.int64)
    lost = np.zeros(len(ssrcs), np.int64)
    if len(ssrcs):
        place = np.lexsort((extended, stream))
        is_new = np.ones(len(place), np.bool_)
        is_new[1:] = (np.diff(extended[place]) != 0) | (np.diff(stream[place]) != 0)
        unique = np.bincount(stream[place][is_new], minlength=len(ssrcs))
        width = np.maximum.reduceat(extended, begins) - np.minimum.reduceat(extended, begins) + 1
        lost = width - unique
    return Streams(ssrcs, received.astype(np.int64), unique.astype(np.int64), lost.astype(np.int64))
