"""Whose packets a row believes: latching, and the ways in which a peer's source may change.

Before the first packet only the address of the SDP is believed or, behind NAT, any port of the signalling
source. Two packets of a negotiated payload type, with one SSRC and consecutive sequence numbers, latch.
Afterwards the source moves only by re-INVITE, or after a silence to the same SSRC and address. A new SSRC or
a jump of the sequence numbers from the latched source must prove itself in the same way.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.masks import everywhere
from bridge.plane.packets import Headers
from bridge.plane.spec import PlaneSettings, RowSpec

__all__ = ["Admission", "Latch"]

_MS = 1_000_000


class Admission:
    """What became of one batch of packets, at most one of each row."""

    __slots__ = ("accepted", "moved", "restarted")

    def __init__(self, accepted: NDArray[np.bool_], restarted: list[int], moved: list[int]) -> None:
        self.accepted: NDArray[np.bool_] = accepted
        self.restarted: list[int] = restarted
        """Indices into the batch whose stream begins anew with this packet."""
        self.moved: list[int] = moved
        """Those of them that also set where we send."""


class Latch:
    """Belief about the source of every row."""

    def __init__(self, columns: Columns, settings: PlaneSettings) -> None:
        n = columns.capacity
        self._columns = columns
        self._last_rx_ns = columns.last_rx_ns.view(np.int64)
        self._silence_ns = settings.silence_to_move_ms * _MS
        self._signalled = np.zeros(n, np.int64)
        self._nat_ip = np.zeros(n, np.int64)
        self._source = np.full(n, -1, np.int64)
        self._ssrc = np.full(n, -1, np.int64)
        self._payload_type = np.full(n, -1, np.int64)
        self._event_type = np.full(n, -1, np.int64)
        # The last packet that might be the first of two: who, and the sequence number that would prove it.
        self._candidate = np.full((n, 3), -1, np.int64)

    def open(self, row: int, spec: RowSpec, remote_key: int | None = None) -> None:
        """Believe what signalling says, and nothing that was learnt from packets.

        `remote_key` is where a process that died was sending: go on there. What comes from there has to
        prove itself again.
        """
        self._signalled[row] = self._columns.signalled_key[row] = spec.remote_key
        self._nat_ip[row] = spec.latch_ip
        self._payload_type[row], self._event_type[row] = spec.payload_type, spec.dtmf_payload_type
        self._source[row] = self._ssrc[row] = -1
        self._candidate[row] = -1
        self._columns.remote_key[row] = spec.remote_key if remote_key is None else remote_key
        self._columns.latched[row] = 0

    def update(self, row: int, spec: RowSpec) -> None:
        """Take a re-INVITE: only a changed address undoes the latch."""
        if (spec.remote_key, spec.latch_ip) != (self._signalled[row], self._nat_ip[row]):
            self.open(row, spec)
        self._payload_type[row], self._event_type[row] = spec.payload_type, spec.dtmf_payload_type

    def ssrcs(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """SSRC of the stream that each row believes; -1 while it believes none."""
        believed: NDArray[np.int64] = self._ssrc[rows]
        return believed

    def peer_ssrc(self, row: int) -> int:
        """SSRC of the latched stream; below 0 before there is one."""
        return int(self._ssrc[row])

    def admit(
        self,
        rows: NDArray[np.intp],
        sources: NDArray[np.int64],
        headers: Headers,
        plausible: NDArray[np.bool_],
        *,
        now_ns: int,
    ) -> Admission:
        """Judge packets of distinct rows; strangers are counted.

        Args:
            rows: Row of each packet.
            sources: Where each came from.
            headers: Their headers.
            plausible: Whether each sequence number may follow the row's highest (RFC 3550 §A.1).
            now_ns: Arrival time.
        """
        same_source = self._source[rows] == sources
        same_ssrc = self._ssrc[rows] == headers.ssrcs
        accepted = same_source & same_ssrc & plausible
        if everywhere(accepted):
            return Admission(accepted, [], [])
        nat_ip = self._nat_ip[rows]
        unlatched = self._source[rows] < 0
        silent = now_ns - self._last_rx_ns[rows] > self._silence_ns
        believable = np.where(
            unlatched,
            (sources == self._signalled[rows])
            | (sources == self._columns.remote_key[rows])
            | ((nat_ip != 0) & (sources >> 16 == nat_ip)),
            same_source | (same_ssrc & silent & (self._source[rows] >> 16 == sources >> 16)),
        )
        self._columns.rx_stranger[rows[~believable]] += np.uint64(1)
        # A phone that suppresses silence may press keys before it has said a word.
        expected_type = headers.payload_types == self._payload_type[rows]
        expected_type |= headers.payload_types == self._event_type[rows]
        restarted, moved = [], []
        for at in np.flatnonzero(believable & expected_type & ~accepted).tolist():
            row = int(rows[at])
            who = (int(sources[at]), int(headers.ssrcs[at]), int(headers.sequences[at]))
            proven = tuple(self._candidate[row].tolist()) == who
            self._candidate[row] = (*who[:2], (who[2] + 1) & 0xFFFF)
            if not proven:
                continue
            accepted[at] = True
            restarted.append(at)
            if self._source[row] != who[0]:
                moved.append(at)
                self._columns.remote_key[row] = who[0]
                self._columns.latched[row] = 1
            self._source[row], self._ssrc[row] = who[:2]
        return Admission(accepted, restarted, moved)
