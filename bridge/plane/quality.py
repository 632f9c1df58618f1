"""A live estimate of how every row sounds, both ways, once a second (`bridge.rtp.quality`)."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.feedback import Feedback
from bridge.plane.masks import somewhere
from bridge.plane.reception import Reception
from bridge.rtp.quality import burst_ratio, mean_opinion, rating

__all__ = ["Quality"]

_SECOND_NS = 1_000_000_000
_KEPT = 7 / 8
"""Of the seconds before: one lost packet of a second weighs 0.25 %, and is forgotten after some 20 s."""
_LEAST_PACKETS = 25
"""Below this a loss says nothing about the network."""
_TICKS_PER_MS = 8
_PACKET_MS = 20


class Quality:
    """Loss of the last seconds and mean opinion scores of every row.

    The delay of what we hear is half the round trip, a packet, and what waits in our jitter ring. The peer's
    buffer nobody knows: it is taken to be as ours, a packet and three times its jitter.
    """

    def __init__(self, columns: Columns, reception: Reception, feedback: Feedback) -> None:
        n = columns.capacity
        self._columns = columns
        self._reception = reception
        self._feedback = feedback
        self._second = np.full(n, -1, np.int64)
        # Packets expected, packets missing, gaps: as counted at the last look, and of the last seconds.
        self._seen = np.zeros((n, 3), np.float64)
        self._recent = np.zeros((n, 3), np.float64)

    def open(self, row: int) -> None:
        """Nothing is known yet."""
        self._second[row] = -1
        self._recent[row] = 0
        # What was lost under a process that died is not lost again.
        self._seen[row] = 0, int(self._columns.rx_lost[row] + self._columns.rx_late[row]), 0

    def review(self, rows: NDArray[np.intp], *, now_ns: int) -> None:
        """Look at those of these rows that were not looked at in this second."""
        second = now_ns // _SECOND_NS
        waits = self._second[rows] != second
        if not somewhere(waits):
            return
        rows = rows[waits]
        self._second[rows] = second
        columns = self._columns
        counted = np.stack(
            (
                self._reception.expected(rows),
                # What comes too late to be played is as good as lost.
                (columns.rx_lost[rows] + columns.rx_late[rows]).view(np.int64),
                self._reception.gaps[rows],
            ),
            axis=1,
        )
        # A packet counted as lost that comes after all is taken off again.
        recent = np.maximum(self._recent[rows] * _KEPT + counted - self._seen[rows], 0.0)
        self._seen[rows], self._recent[rows] = counted, recent
        expected, missing, gaps = recent.T
        loss = np.minimum(missing / np.maximum(expected, 1.0), 1.0)
        columns.loss_in[rows] = loss
        trip_ms = columns.round_trip_ms[rows] / 2 + _PACKET_MS
        burst = burst_ratio(np.minimum(missing, expected), gaps, expected)
        self._tell(
            columns.mos_in,
            columns.mos_in_lowest,
            rows,
            mean_opinion(rating(trip_ms + columns.depth_samples[rows] / _TICKS_PER_MS, loss, burst)),
            expected >= _LEAST_PACKETS,
        )
        buffer_ms = _PACKET_MS + 3 * columns.jitter_out_ticks[rows] / _TICKS_PER_MS
        self._tell(
            columns.mos_out,
            columns.mos_out_lowest,
            rows,
            mean_opinion(rating(trip_ms + buffer_ms, columns.loss_out[rows], 1.0)),
            self._feedback.has_reported[rows],
        )

    @staticmethod
    def _tell(
        now: NDArray[np.float64],
        lowest: NDArray[np.float64],
        rows: NDArray[np.intp],
        score: NDArray[np.float64],
        is_known: NDArray[np.bool_],
    ) -> None:
        rows, score = rows[is_known], score[is_known]
        now[rows] = score
        before = lowest[rows]
        lowest[rows] = np.where(before > 0, np.minimum(before, score), score)
