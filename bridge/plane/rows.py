"""What signalling agreed on for every row, and where our own stream of packets stands (RFC 3550 §5.1)."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.g711 import DECODE, ENCODE
from bridge.plane.masks import somewhere
from bridge.plane.spec import RowSpec

__all__ = ["FOREVER_NS", "Rows"]

FOREVER_NS = int(np.iinfo(np.int64).max)
"""Value of `Rows.due_ns` for rows that are free."""

_MS = 1_000_000
_FRAME_NS = 20 * _MS
_ABANDON_NS = 100 * _MS
"""Slots missed by more than this are skipped: a burst would only overflow the peer's jitter buffer."""


class Rows:
    """One entry per row in each array."""

    def __init__(self, capacity: int) -> None:
        self.open: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.sending: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.receiving: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.payload_type: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.dtmf_payload_type: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self.dtmf_offered: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self.dtmf_events: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.decode_base: NDArray[np.intp] = np.zeros(capacity, np.intp)
        self.encode_base: NDArray[np.intp] = np.zeros(capacity, np.intp)
        self.ssrc: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.sequence: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.timestamp: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.marker: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.due_ns: NDArray[np.int64] = np.full(capacity, FOREVER_NS, np.int64)

    def second_byte(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Marker and payload type of each row's next packet."""
        second: NDArray[np.int64] = self.payload_type[rows] | self.marker[rows]
        return second.astype(np.uint8)

    def is_late(self, rows: NDArray[np.intp], now_ns: int) -> NDArray[np.bool_]:
        """Where a packet built now misses its slot altogether."""
        late: NDArray[np.bool_] = now_ns - self.due_ns[rows] > _FRAME_NS
        return late

    def begin(self, row: int, spec: RowSpec, now_ns: int) -> None:
        """Start our stream where signalling says; the first packet is due now."""
        self.open[row] = True
        self.sending[row] = False
        self.agree(row, spec)
        self.ssrc[row], self.sequence[row], self.timestamp[row] = spec.ssrc, spec.sequence, spec.timestamp
        self.due_ns[row] = now_ns

    def agree(self, row: int, spec: RowSpec) -> None:
        """Take what was negotiated, now or anew; the stream itself runs on."""
        if spec.sending and not self.sending[row]:
            # RFC 3551 §4.1: the first packet after a silence in which none were sent.
            self.marker[row] = 0x80
        self.sending[row], self.receiving[row] = spec.sending, spec.receiving
        self.payload_type[row], self.dtmf_payload_type[row] = spec.payload_type, spec.dtmf_payload_type
        self.dtmf_offered[row] = spec.dtmf_offered
        # Where there are no events, no key is one.
        self.dtmf_events[row] = spec.dtmf_events if spec.dtmf_payload_type >= 0 else 0
        self.decode_base[row] = spec.codec * DECODE.shape[1]
        self.encode_base[row] = spec.codec * ENCODE.shape[1]

    def end(self, row: int) -> None:
        """Nothing is due any more."""
        self.open[row] = False
        self.due_ns[row] = FOREVER_NS

    def catch_up(self, rows: NDArray[np.intp], columns: Columns, now_ns: int) -> None:
        """Skip the slots of rows that are hopelessly late: their timestamps run on, nothing is sent."""
        late_ns = now_ns - self.due_ns[rows]
        abandoned = late_ns > _ABANDON_NS
        if somewhere(abandoned):
            rows, slots = rows[abandoned], late_ns[abandoned] // _FRAME_NS
            self.due_ns[rows] += slots * _FRAME_NS
            self.timestamp[rows] = self.timestamp[rows] + slots * FRAME_SAMPLES & 0xFFFF_FFFF
            self.marker[rows] = 0x80
            columns.silence_bridge_late[rows] += slots.astype(np.uint64)

    def advance(self, rows: NDArray[np.intp], sent: NDArray[np.bool_]) -> None:
        """One slot on for all, one packet on for those that sent."""
        self.timestamp[rows] = self.timestamp[rows] + FRAME_SAMPLES & 0xFFFF_FFFF
        self.sequence[rows] = self.sequence[rows] + sent & 0xFFFF
        self.marker[rows[sent]] = 0
        self.due_ns[rows] += _FRAME_NS
