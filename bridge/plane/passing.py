"""Opus packets that leave as the voice made them, beside the sound that they decode to (RFC 6716 §3.1).

The control process writes sound into the playout ring as always, and beside it the packets, each under the
place of its first sample. Where a frame about to be sent is just what a packet decodes to, untouched by gain,
fade, bed or key, the packet is sent; else the frame is encoded. So a packet is heard whole or not at all.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns

__all__ = ["Passing", "is_passable"]

_MODES = 16
"""From this configuration on it is CELT alone, with frames of 2.5, 5, 10 and 20 ms."""
_OF_20_MS = (1, 5, 9, 13, 15)
"""Configurations of SILK and of both together whose frames have 20 ms."""


def is_passable(payload: bytes) -> bool:
    """Whether it is one mono frame of 20 ms."""
    if not payload or payload[0] & 0b111:
        return False
    config = payload[0] >> 3
    return config in _OF_20_MS or (config >= _MODES and config % 4 == 3)


class Passing:
    """The reading end of the packets beside the playout rings."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._frame = columns.shape.frame
        self._within = np.arange(self._frame)
        # Where the last frame began that was looked at: in silence the index stands still.
        self._last = np.full(columns.capacity, -1, np.int64)

    def restart(self, row: int) -> None:
        """Another leg: nothing was played."""
        self._last[row] = -1

    def payload(self, row: int, pcm: NDArray[np.int16]) -> bytes | None:
        """The packet that decodes to this frame, which `row` is about to send; None if there is none."""
        columns = self._columns
        begin = int(columns.played[row]) - self._frame
        if begin <= self._last[row]:
            return None
        self._last[row] = begin
        slot = begin // self._frame % columns.packet_begin.shape[1]
        is_there = (
            int(columns.packet_begin[row, slot]) == begin
            and columns.packet_stamp[row, slot] == columns.play_stamp[row]
            and int(columns.packet_length[row, slot]) > 0
        )
        if not is_there:
            return None
        ring = columns.play_samples[row]
        if not np.array_equal(ring[(begin + self._within) % len(ring)], pcm):
            return None
        length = int(columns.packet_length[row, slot])
        return columns.packet_bytes[row, slot, :length].tobytes()
