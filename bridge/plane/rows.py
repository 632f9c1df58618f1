"""What signalling agreed on for every row, and where our own stream of packets stands (RFC 3550 §5.1)."""

import struct

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.g711 import DECODE, ENCODE
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.remains import Remains
from bridge.plane.spec import RowSpec

__all__ = ["FOREVER_NS", "Rows"]

FOREVER_NS = int(np.iinfo(np.int64).max)
"""Value of `Rows.due_ns` for rows that are free."""

_DECODE_FLAT, _ENCODE_FLAT = DECODE.reshape(-1), ENCODE.reshape(-1)
_HEADER = struct.Struct(">BBHII")
_MS = 1_000_000
_FRAME_MS = 20
_FRAME_NS = _FRAME_MS * _MS
_SLOTS_PER_S = 50
_ABANDON_NS = 100 * _MS
"""Slots missed by more than this are skipped: a burst would only overflow the peer's jitter buffer."""
_LEAST_SKIP = 2
"""Sequence numbers left out at least when a row is taken over: more than can be under way in one turn."""
_MOST_SKIP = 2000
"""… and at most: beyond 3000 a receiver does not believe the number (RFC 3550 §A.1)."""


class Rows:
    """One entry per row in each array.

    Where our stream stands lies in the shared columns, so that it outlives this process.

    Args:
        columns: Shared columns.
        due_ns: Where to tell when rows are due; None makes an array for it.
    """

    def __init__(self, columns: Columns, *, due_ns: NDArray[np.int64] | None = None) -> None:
        capacity = columns.capacity
        self.open: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.sending: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.receiving: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.payload_type: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.dtmf_payload_type: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self.dtmf_offered: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self.comfort_payload_type: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self.dtmf_events: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._table: NDArray[np.intp] = np.zeros(capacity, np.intp)
        self.ssrc: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.sequence: NDArray[np.int64] = columns.tx_sequence
        self.timestamp: NDArray[np.int64] = columns.tx_timestamp
        self.marker: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.clock_hz: NDArray[np.int64] = np.full(capacity, 8000, np.int64)
        self.slot_ticks: NDArray[np.int64] = np.full(capacity, 160, np.int64)
        """20 ms of each row's RTP clock."""
        self.apart: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Rows whose packets are made one by one: their codec is no table, or ptime is not 20 ms."""
        self.due_ns: NDArray[np.int64] = np.empty(capacity, np.int64) if due_ns is None else due_ns
        self.due_ns[:] = FOREVER_NS
        self._told_due_ns = columns.tx_due_ns

    def decode(self, rows: NDArray[np.intp], codes: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Samples of packets in G.711, ``[k, L]``, each by its row's table."""
        tables = self._table[rows]
        if everywhere(tables == tables[0]):
            pcm: NDArray[np.int16] = DECODE[tables[0]].take(codes)
        else:
            pcm = _DECODE_FLAT.take(codes + (tables * DECODE.shape[1])[:, None])
        return pcm

    def encode(self, rows: NDArray[np.intp], pcm: NDArray[np.int16]) -> NDArray[np.uint8]:
        """Packets in G.711 of these samples, ``[k, L]``, each by its row's table."""
        samples, tables = pcm.view(np.uint16), self._table[rows]
        if len(rows) and everywhere(tables == tables[0]):
            codes: NDArray[np.uint8] = ENCODE[tables[0]].take(samples)
        else:
            codes = _ENCODE_FLAT.take(samples + (tables * ENCODE.shape[1])[:, None])
        return codes

    def second_byte(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Marker and payload type of each row's next packet."""
        second: NDArray[np.int64] = self.payload_type[rows] | self.marker[rows]
        return second.astype(np.uint8)

    def is_late(self, rows: NDArray[np.intp], now_ns: int) -> NDArray[np.bool_]:
        """Where a packet built now misses its slot altogether."""
        late: NDArray[np.bool_] = now_ns - self.due_ns[rows] > _FRAME_NS
        return late

    def begin(self, row: int, spec: RowSpec, now_ns: int, remains: Remains | None = None) -> int:
        """Start our stream where signalling says, the first packet due now; or go on with what remains of it.

        Then the slots that passed count as lost, and are returned. No sequence number is used twice, even if
        some of the dead process's packets left after it had told where it stood.
        """
        self.open[row] = True
        self.sending[row] = False
        self.agree(row, spec)
        self.ssrc[row] = spec.ssrc
        if remains is None:
            self.sequence[row], self.timestamp[row] = spec.sequence, spec.timestamp
            self.due_ns[row] = self._told_due_ns[row] = now_ns
            return 0
        slots = max(0, (now_ns - remains.due_ns) // _FRAME_NS)
        # One store each, never back: this process may die here as well.
        self.sequence[row] = remains.sequence + min(max(slots, _LEAST_SKIP), _MOST_SKIP) & 0xFFFF
        self.timestamp[row] = remains.timestamp + slots * int(self.slot_ticks[row]) & 0xFFFF_FFFF
        self.due_ns[row] = self._told_due_ns[row] = remains.due_ns + slots * _FRAME_NS
        self.marker[row] = 0x80
        return slots

    def agree(self, row: int, spec: RowSpec) -> None:
        """Take what was negotiated, now or anew; the stream itself runs on."""
        if spec.sending and not self.sending[row]:
            # RFC 3551 §4.1: the first packet after a silence in which none were sent.
            self.marker[row] = 0x80
        self.sending[row], self.receiving[row] = spec.sending, spec.receiving
        self.payload_type[row], self.dtmf_payload_type[row] = spec.payload_type, spec.dtmf_payload_type
        self.dtmf_offered[row] = spec.dtmf_offered
        self.comfort_payload_type[row] = spec.comfort_payload_type
        # Where there are no events, no key is one.
        self.dtmf_events[row] = spec.dtmf_events if spec.dtmf_payload_type >= 0 else 0
        self.clock_hz[row], self.slot_ticks[row] = spec.clock_hz, spec.clock_hz // _SLOTS_PER_S
        self.apart[row] = not spec.is_by_column or spec.ptime_ms != _FRAME_MS
        self._table[row] = spec.codec if spec.is_by_column else 0

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
            self.timestamp[rows] = self.timestamp[rows] + slots * self.slot_ticks[rows] & 0xFFFF_FFFF
            self.marker[rows] = 0x80
            columns.silence_bridge_late[rows] += slots.astype(np.uint64)

    def packet(self, row: int, timestamp: int, payload: bytes, *, second: int | None = None) -> bytes:
        """Make the next packet of one row that is apart; its sequence number is used up.

        Args:
            row: Whose it is.
            timestamp: Of its first sample, or of the key it tells of.
            payload: What it carries.
            second: Marker and payload type; None for sound.
        """
        if second is None:
            second = int(self.payload_type[row]) | int(self.marker[row])
            self.marker[row] = 0
        sequence = int(self.sequence[row])
        self.sequence[row] = sequence + 1 & 0xFFFF
        return _HEADER.pack(0x80, second, sequence, timestamp, int(self.ssrc[row])) + payload

    def advance(self, rows: NDArray[np.intp], sent: NDArray[np.bool_]) -> None:
        """One slot on for all, one packet on for those that sent."""
        self.timestamp[rows] = self.timestamp[rows] + self.slot_ticks[rows] & 0xFFFF_FFFF
        self.sequence[rows] = self.sequence[rows] + sent & 0xFFFF
        self.marker[rows[sent]] = 0
        self.due_ns[rows] += _FRAME_NS
        # All rows at once is cheaper than these rows only.
        self._told_due_ns[:] = self.due_ns
