"""What the media process tells the control plane, and what of it may be lost when nobody reads."""

from collections import Counter

from bridge.engine.commands import Datagram, Report, RowClosed
from bridge.engine.link import Link
from bridge.plane.events import (
    Digit,
    Ducked,
    Flushed,
    KeysSent,
    Latched,
    PlayoutIdle,
    Resumed,
    RowFailed,
    SpeechStarted,
    VoiceStarted,
    VoiceStopped,
)

__all__ = ["MOST_OWED", "Reports"]

_DISPENSABLE = (VoiceStarted, VoiceStopped, Ducked, Resumed, SpeechStarted, PlayoutIdle, Latched, Datagram)
"""The columns tell the same, or the next of its kind does; who sent a datagram will send it again."""
_UNSOLICITED = (Digit, Flushed, RowFailed, KeysSent)
MOST_OWED = 64
"""Digits, flushes and failures of one row that may wait: more than a hand can press while a call lives."""


class Reports:
    """Writes reports to the pipe; those that a call cannot do without are never dropped.

    While the control plane does not read, what waits is bounded: the link's limit for what is
    dispensable, and on top of it, per row, `MOST_OWED`, one failure, and the one opening and closing
    that were asked for. A row that would exceed that ends, because it can no longer keep its word.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._owed: Counter[int] = Counter()
        self.dropped: int = 0
        """Reports that were lost."""

    def post(self, report: Report) -> int | None:
        """Tell it now or as soon as there is room; return the row to be taken out of service, if any."""
        if isinstance(report, _DISPENSABLE):
            if not self._link.send(report):
                self.dropped += 1
            return None
        if isinstance(report, RowClosed):
            # The row is given away only after all of this was read.
            del self._owed[report.row]
        elif isinstance(report, _UNSOLICITED) and not self._may_wait(report.row):
            self.dropped += 1
            if self._owed[report.row] > MOST_OWED + 1:
                return None
            message = f"{MOST_OWED} reports of it wait, and the control plane does not read"
            failed = RowFailed(report.row, report.generation, report.at_ns, message=message)
            self._link.send(failed, is_vital=True)
            return report.row
        self._link.send(report, is_vital=True)
        return None

    def _may_wait(self, row: int) -> bool:
        if not self._link.waiting:
            self._owed.clear()
        self._owed[row] += 1
        return self._owed[row] <= MOST_OWED
