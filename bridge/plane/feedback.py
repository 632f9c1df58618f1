"""What the peer of every row tells by RTCP about itself and our stream, and whom we believe (RFC 3550 §6).

RTCP is believed from where RTP comes from when it shares that port, else from the address that signalling
named. Behind NAT that address is wrong: then any port of the media's host is believed if it speaks of the
stream that the row has latched. What is not about that stream is a stranger's, wherever it comes from.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.errors import RemoteProtocolError
from bridge.plane.columns import Columns
from bridge.plane.latch import Latch
from bridge.plane.masks import somewhere
from bridge.plane.packets import Arrivals
from bridge.plane.spec import RowSpec
from bridge.rtp.rtcp import Goodbye, ReceiverReport, ReportBlock, SenderReport, middle_of, ntp_of, parse

__all__ = ["Feedback"]

_FIRST_TYPE = np.uint8(192)
_TYPES = 32
"""Second bytes 192 to 223 are RTCP on a shared port (RFC 5761 §4)."""
_PER_SECOND = 16
"""Compounds of one row that are read within a second; an honest peer sends one in five."""
_SECOND_NS = 1_000_000_000
_TICKS_HZ = 8000
"""What the columns count jitter in, whatever the clock of the stream."""
_MOVE_NS = 15 * _SECOND_NS
"""Three reports missed: then RTCP may come from another port of the media's host."""
_LONGEST_TRIP_MS = 10_000
_ROUNDING_MS = 100
"""A peer may tell its delay so coarsely that the round trip comes out below nothing."""
_ONE = np.uint64(1)


class Feedback:
    """Where each row's RTCP comes from and goes to, and what it said.

    Args:
        columns: Where the peer's view of our stream is told.
        latch: Which stream each row believes.
        wall_offset_ns: From monotonic time to the wall time that our sender reports carry.
    """

    def __init__(self, columns: Columns, latch: Latch, *, wall_offset_ns: int) -> None:
        n = columns.capacity
        self._columns = columns
        self._latch = latch
        self._wall_offset_ns = wall_offset_ns
        self._ours = [0] * n
        self._clock_hz = [_TICKS_HZ] * n
        self._media = np.zeros(n, np.int64)
        self._signalled = np.zeros(n, np.int64)
        self._muxed = np.zeros(n, np.bool_)
        self._learnt = np.full(n, -1, np.int64)
        self._heard_ns = np.full(n, -_MOVE_NS, np.int64)
        # Of each row: a second, and the compounds read in it.
        self._budget = [(0, 0)] * n
        # Of each row: source, middle of its time, and arrival of the last sender report.
        self._last_sr = [(-1, 0, 0)] * n
        self.has_reported: NDArray[np.bool_] = np.zeros(n, np.bool_)
        """Whether the peer has told how it receives us."""

    def open(self, row: int, spec: RowSpec) -> None:
        """Believe what signalling says; nothing has been said yet."""
        self._learnt[row] = -1
        self._heard_ns[row] = -_MOVE_NS
        self._last_sr[row] = (-1, 0, 0)
        self.has_reported[row] = False
        self.update(row, spec)

    def update(self, row: int, spec: RowSpec) -> None:
        """Take a re-INVITE; what was learnt from packets holds until the address of the media changes."""
        if self._media[row] != spec.remote_key:
            self._learnt[row] = -1
        self._ours[row], self._clock_hz[row] = spec.ssrc, spec.clock_hz
        self._media[row], self._signalled[row] = spec.remote_key, spec.rtcp_key
        self._muxed[row] = spec.rtcp_mux

    def destination(self, row: int) -> tuple[int, int]:
        """Socket, as `Departures.rows` names it, and address for our reports; address 0 = nowhere."""
        media = int(self._columns.remote_key[row])
        if self._muxed[row]:
            return row, media
        if media == self._media[row] or self._signalled[row] == 0:
            return ~row, int(self._signalled[row])
        # RTP came from elsewhere than signalled: a NAT, behind which the signalled address means nothing.
        if self._learnt[row] >= 0:
            return ~row, int(self._learnt[row])
        return ~row, media + 1 if media & 0xFFFF < 0xFFFF else 0

    def last_sr(self, row: int, *, now_ns: int) -> tuple[int, int]:
        """Last sender report of the present stream and the delay since then, as a report block tells them."""
        source, middle, at_ns = self._last_sr[row]
        if source < 0 or source != int(self._latch.ssrcs(np.array([row]))[0]):
            return 0, 0
        return middle, ((now_ns - at_ns << 16) // _SECOND_NS) & 0xFFFF_FFFF

    def take(self, arrivals: Arrivals, index: NDArray[np.intp], *, now_ns: int) -> NDArray[np.intp]:
        """Hear the RTCP among these datagrams; return the indices of the others."""
        is_rtcp = arrivals.is_rtcp[index] | (arrivals.packets[index, 1] - _FIRST_TYPE < _TYPES)
        if not somewhere(is_rtcp):
            return index
        # A datagram too short to have a type shows that of an older one in the same place.
        is_rtcp &= arrivals.is_rtcp[index] | (arrivals.lengths[index] > 1)
        self._hear(arrivals, index[is_rtcp], now_ns)
        others: NDArray[np.intp] = index[~is_rtcp]
        return others

    def _hear(self, arrivals: Arrivals, index: NDArray[np.intp], now_ns: int) -> None:
        rows, sources = arrivals.rows[index], arrivals.sources[index]
        # In every packet that can be the first one its source stands where RTP has its timestamp.
        ssrcs = arrivals.headers["timestamp"][index]
        believed = self._believes(rows, sources, ssrcs, arrivals.is_rtcp[index], now_ns)
        np.add.at(self._columns.rtcp_stranger, rows[~believed], _ONE)
        for at in np.flatnonzero(believed).tolist():
            row = int(rows[at])
            if not self._may_read(row, now_ns):
                self._columns.rtcp_excess[row] += _ONE
                continue
            try:
                packets = parse(arrivals.packets[index[at], : arrivals.lengths[index[at]]].tobytes())
            except RemoteProtocolError:
                self._columns.rtcp_malformed[row] += _ONE
                continue
            self._columns.rtcp_received[row] += _ONE
            if arrivals.is_rtcp[index[at]]:
                self._learnt[row], self._heard_ns[row] = sources[at], now_ns
            source = int(ssrcs[at])
            for packet in packets:
                if isinstance(packet, SenderReport | ReceiverReport) and packet.ssrc == source:
                    self._note(row, packet, now_ns)
                elif isinstance(packet, Goodbye) and source in packet.ssrcs:
                    self._columns.rtcp_bye[row] += _ONE

    def _believes(
        self,
        rows: NDArray[np.intp],
        sources: NDArray[np.int64],
        ssrcs: NDArray[np.uint32],
        apart: NDArray[np.bool_],
        now_ns: int,
    ) -> NDArray[np.bool_]:
        known, media = self._latch.ssrcs(rows), self._columns.remote_key[rows]
        is_same_stream = known == ssrcs
        at_home = (sources == self._signalled[rows]) | (sources == self._learnt[rows])
        moves = is_same_stream & (sources >> 16 == media >> 16) & (now_ns - self._heard_ns[rows] >= _MOVE_NS)
        from_home = np.where(apart, at_home | moves, sources == media)
        believed: NDArray[np.bool_] = from_home & (is_same_stream | (known < 0))
        return believed

    def _may_read(self, row: int, now_ns: int) -> bool:
        """A flood of reports, true or false, must not cost the time of other rows."""
        second = now_ns // _SECOND_NS
        counted, read = self._budget[row]
        read = read + 1 if counted == second else 1
        self._budget[row] = second, read
        return read <= _PER_SECOND

    def _note(self, row: int, report: SenderReport | ReceiverReport, now_ns: int) -> None:
        if isinstance(report, SenderReport):
            self._last_sr[row] = report.ssrc, middle_of(report.ntp), now_ns
        for block in report.blocks:
            if block.ssrc == self._ours[row]:
                self._note_ours(row, block, now_ns)

    def _note_ours(self, row: int, block: ReportBlock, now_ns: int) -> None:
        columns = self._columns
        self.has_reported[row] = True
        columns.loss_out[row] = block.fraction_lost / 256
        columns.lost_out[row] = block.cumulative_lost
        columns.jitter_out_ticks[row] = block.jitter_ticks * _TICKS_HZ / self._clock_hz[row]
        if block.last_sr:
            now = middle_of(ntp_of(now_ns + self._wall_offset_ns))
            trip = (now - block.last_sr - block.delay_since_last_sr + 0x8000_0000) % (1 << 32) - 0x8000_0000
            trip_ms = trip * 1000 / 65536
            if -_ROUNDING_MS < trip_ms < _LONGEST_TRIP_MS:
                columns.round_trip_ms[row] = max(trip_ms, 0.0)
