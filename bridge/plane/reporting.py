"""RTCP of every row: what we report, and when (RFC 3550 §6.2 to §6.4).

Two parties only: the interval is its least value, drawn anew around it for every report, with the timer
reconsideration of §6.3.6. A report goes out with the first packet that is built after it is due.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.feedback import Feedback
from bridge.plane.latch import Latch
from bridge.plane.packets import HEADER_BYTES, TRAILER_BYTES, Arrivals, Departures
from bridge.plane.quality import Quality
from bridge.plane.reception import Reception
from bridge.plane.rows import FOREVER_NS, Rows
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.rtcp import (
    CNAME,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build,
    ntp_of,
)

__all__ = ["Reporting"]

_MS = 1_000_000
_SECOND_NS = 1000 * _MS
_TICKS_HZ = 8000
"""What the columns count jitter in, whatever the clock of the stream."""
_AT_ONCE = 32
"""Reports of one turn; more rows than these wait for the next one."""
_MOST_BYTES = 512
_COMPENSATION = 1.21828
"""e − 3/2: reconsideration makes intervals longer than drawn (§6.3.1)."""
_MULTIPLIER, _INCREMENT = 6364136223846793005, 1442695040888963407
"""Knuth's MMIX generator: spreads reports of rows, each begun by its random SSRC; it guards no secret."""


@dataclass(slots=True)
class _Reporter:
    """One row's part in its session."""

    ssrc: int
    cname: bytes
    dice: int
    last_ns: int
    """When the last report went out, or the row was opened."""
    reports: int = 0
    packets: tuple[int, int] = (0, 0)
    """Packets sent by the report before the last, and by the last."""
    expected: int = 0
    received: int = 0
    """Both as the last report counted them."""


class Reporting:
    """Everything about RTCP that the plane needs to know.

    Args:
        columns: Where figures are told.
        rows: Where our streams stand.
        latch: Which stream each row believes.
        reception: What has come of it.
        settings: The interval.
        wall_offset_ns: What to add to `now_ns` to get nanoseconds since 1970; it must not change.
        due_ns: Where to tell when reports are due; None makes an array for it.
    """

    def __init__(
        self,
        columns: Columns,
        rows: Rows,
        latch: Latch,
        reception: Reception,
        settings: PlaneSettings,
        *,
        wall_offset_ns: int,
        due_ns: NDArray[np.int64] | None = None,
    ) -> None:
        n = columns.capacity
        self.due_ns: NDArray[np.int64] = np.empty(n, np.int64) if due_ns is None else due_ns
        """When the next report of each row is to be considered; `FOREVER_NS` while a row is free."""
        self.due_ns[:] = FOREVER_NS
        self._columns = columns
        self._rows = rows
        self._latch = latch
        self._reception = reception
        self._interval_ns = settings.rtcp_interval_ms * _MS
        self._wall_offset_ns = wall_offset_ns
        self._feedback = Feedback(columns, latch, wall_offset_ns=wall_offset_ns)
        self._quality = Quality(columns, reception, self._feedback)
        self._reporters: dict[int, _Reporter] = {}
        self._packets = np.zeros(n, np.int64)
        self._octets = columns.tx_octets
        self._buffer = np.zeros((_AT_ONCE, _MOST_BYTES + TRAILER_BYTES), np.uint8)

    def open(self, row: int, spec: RowSpec, *, now_ns: int) -> None:
        """Take part in a session; the first report comes after half an interval (§6.2)."""
        self._feedback.open(row, spec)
        self._quality.open(row)
        # Both are 0, unless the row is taken over from a process that died: our stream is still the same.
        self._packets[row] = self._columns.tx_packets[row]
        reporter = _Reporter(spec.ssrc, spec.cname.encode(), dice=spec.ssrc, last_ns=now_ns)
        reporter.received = int(self._columns.rx_packets[row])
        self._reporters[row] = reporter
        self.due_ns[row] = now_ns + self._draw_ns(reporter)

    def update(self, row: int, spec: RowSpec) -> None:
        """Take a re-INVITE; the session goes on."""
        self._feedback.update(row, spec)

    def close(self, row: int) -> None:
        """Forget the row; harmless when it is free."""
        self._reporters.pop(row, None)
        self.due_ns[row] = FOREVER_NS

    def take(self, arrivals: Arrivals, index: NDArray[np.intp], *, now_ns: int) -> NDArray[np.intp]:
        """Hear the RTCP among these datagrams; return the indices of the others."""
        return self._feedback.take(arrivals, index, now_ns=now_ns)

    def sent(self, departures: Departures) -> None:
        """Account for the RTP packets of distinct rows that leave now."""
        self._packets[departures.rows] += 1
        self._octets[departures.rows] += departures.lengths - HEADER_BYTES

    def sent_one(self, row: int, octets: int) -> None:
        """Account for one packet of one row with so many bytes of payload."""
        self._packets[row] += 1
        self._octets[row] += octets

    def review(self, rows: NDArray[np.intp], *, now_ns: int) -> None:
        """Bring the figures of these rows up to date, once a second."""
        self._quality.review(rows, now_ns=now_ns)

    def report(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        """Build the reports of these rows, which are due; valid until the next call."""
        sent: list[tuple[int, int, bytes]] = []
        for row in rows[:_AT_ONCE].tolist():
            reporter = self._reporters[row]
            due_ns = reporter.last_ns + self._draw_ns(reporter)
            if due_ns > now_ns:
                self.due_ns[row] = due_ns
                continue
            name, key = self._feedback.destination(row)
            if key:
                sent.append((name, key, self._compound(row, reporter, now_ns)))
                reporter.reports += 1
            reporter.last_ns = now_ns
            self.due_ns[row] = now_ns + self._draw_ns(reporter)
        return self._departures(sent)

    def farewell(self, row: int, *, now_ns: int) -> Departures:
        """Build the goodbye of a row that is about to be closed, unless nobody ever heard of it (§6.3.7)."""
        reporter = self._reporters.get(row)
        if reporter is None or not (self._packets[row] or reporter.reports):
            return self._departures([])
        name, key = self._feedback.destination(row)
        goodbye = Goodbye((reporter.ssrc,))
        return self._departures([(name, key, self._compound(row, reporter, now_ns, goodbye))] if key else [])

    def _draw_ns(self, reporter: _Reporter) -> int:
        """The next interval: 0.5 to 1.5 times its least value (§6.3.1)."""
        reporter.dice = reporter.dice * _MULTIPLIER + _INCREMENT & 0xFFFF_FFFF_FFFF_FFFF
        least_ns = self._interval_ns if reporter.reports else self._interval_ns // 2
        return int(least_ns * (0.5 + (reporter.dice >> 32) / (1 << 32)) / _COMPENSATION)

    def _compound(self, row: int, reporter: _Reporter, now_ns: int, *last: RtcpPacket) -> bytes:
        blocks = self._blocks(row, reporter, now_ns)
        packets = int(self._packets[row])
        report: RtcpPacket = ReceiverReport(reporter.ssrc, blocks)
        # §6.4: a sender is who sent since the report before the last one.
        if packets > reporter.packets[0]:
            ahead_ns, clock_hz = int(self._rows.due_ns[row]) - now_ns, int(self._rows.clock_hz[row])
            report = SenderReport(
                ssrc=reporter.ssrc,
                ntp=ntp_of(now_ns + self._wall_offset_ns),
                rtp_timestamp=int(self._rows.timestamp[row]) - ahead_ns * clock_hz // _SECOND_NS
                & 0xFFFF_FFFF,
                packets=packets & 0xFFFF_FFFF,
                octets=int(self._octets[row]) & 0xFFFF_FFFF,
                blocks=blocks,
            )
        reporter.packets = reporter.packets[1], packets
        self._columns.rtcp_sent[row] += np.uint64(1)
        return build((report, SourceDescription(reporter.ssrc, ((CNAME, reporter.cname),)), *last))

    def _blocks(self, row: int, reporter: _Reporter, now_ns: int) -> tuple[ReportBlock, ...]:
        """How the peer's stream is received, if anything of it came since the last report (§A.3)."""
        here = np.array([row])
        ssrc = int(self._latch.ssrcs(here)[0])
        expected, received = int(self._reception.expected(here)[0]), int(self._columns.rx_packets[row])
        due, came = expected - reporter.expected, received - reporter.received
        reporter.expected, reporter.received = expected, received
        # After a re-INVITE nobody is believed until the new source has proven itself.
        if came == 0 or ssrc < 0:
            return ()
        last_sr, delay = self._feedback.last_sr(row, now_ns=now_ns)
        return (
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=min((due - came << 8) // due, 255) if due > came else 0,
                cumulative_lost=self._reception.lost(row),
                highest_sequence=self._reception.highest(row) & 0xFFFF_FFFF,
                jitter_ticks=int(self._columns.jitter_ticks[row] * self._rows.clock_hz[row] / _TICKS_HZ),
                last_sr=last_sr,
                delay_since_last_sr=delay,
            ),
        )

    def _departures(self, sent: list[tuple[int, int, bytes]]) -> Departures:
        for packet, (_, _, data) in zip(self._buffer, sent, strict=False):
            packet[: len(data)] = np.frombuffer(data, np.uint8)
        return Departures(
            self._buffer[: len(sent)],
            np.array([len(data) for _, _, data in sent], np.int32),
            np.array([name for name, _, _ in sent], np.intp),
            np.array([key for _, key, _ in sent], np.int64),
        )
