"""Where records of calls outlive the process: what a record is, and what is asked of whoever keeps it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.call.trace import CallTrace

__all__ = ["Archive", "CallRecord", "moved", "record_of"]

_MARKS = ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7")
_SPAN = ("began_ns", "ended_ns")
_MARKS_OF = {
    "utterances": ("first_text_ns", "first_audio_ns", "ended_ns"),
    "barge_ins": (*_MARKS, "next_text"),
    "words": _SPAN,
    "voices": _SPAN,
    "ducks": _SPAN,
    "keys": _SPAN,
}
"""Names of times in what a detail lists."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call that is over: columns to look for, and everything that the API tells of it."""

    id: str
    sip_call_id: str
    direction: str
    called: str
    """Whom it was for; empty unless numbers are kept."""
    caller: str
    """Who called; empty unless numbers are kept."""
    codec: str
    started_unix_ns: int
    """When it began, in ns since 1970."""
    duration_ms: int | None
    """From the answer to the end; None if it was not answered."""
    reason: str
    status: int
    mos: float | None
    """Lowest mean opinion score of either direction; None without one."""
    mute_p50_ms: float | None
    """Median of the time from the caller's first sound to our first silent packet."""
    mute_p95_ms: float | None
    offset_ns: int
    """What made the monotonic times of `detail` times since 1970."""
    summary: Mapping[str, Any]
    detail: Mapping[str, Any]


class Archive(Protocol):
    """Keeps records of calls and looks after recordings; `bridge.call.archive_sqlite` in life."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Running totals, by what became of records and recordings."""
        ...

    def keep(self, record: CallRecord) -> None:
        """Keep a record; never waits and never fails: what cannot be kept is counted."""
        ...

    async def latest(self, most: int) -> list[dict[str, Any]]:
        """Summaries of the calls that began last, newest first, in monotonic time of today."""
        ...

    async def find(self, call_id: str) -> dict[str, Any] | None:
        """A call in full, by our id or by its SIP Call-ID; None if it is not kept."""
        ...


def record_of(trace: CallTrace, *, offset_ns: int, keeps_numbers: bool) -> CallRecord:
    """Make the record of a call that is over.

    Args:
        trace: What is known of it; texts are taken over only if it keeps them.
        offset_ns: What to add to its times to get ns since 1970.
        keeps_numbers: Whether it is kept who called whom.
    """
    answered_ns, ended_ns = trace.answered_ns, trace.ended_ns
    is_whole = answered_ns is not None and ended_ns is not None
    scores = [score for way in ("in", "out") if (score := trace.media.get(f"mos_{way}_lowest", 0.0)) > 0]
    mutes = sorted(took for each in trace.barge_ins if (took := each.stages_ms().get("mute")) is not None)
    return CallRecord(
        id=trace.id,
        sip_call_id=trace.sip_call_id,
        direction=trace.direction,
        called=trace.called if keeps_numbers else "",
        caller=trace.caller if keeps_numbers else "",
        codec=trace.codec,
        started_unix_ns=trace.started_ns + offset_ns,
        duration_ms=((ended_ns or 0) - (answered_ns or 0)) // 1_000_000 if is_whole else None,
        reason=trace.reason,
        status=trace.status,
        mos=min(scores, default=None),
        mute_p50_ms=_percentile(mutes, 0.5),
        mute_p95_ms=_percentile(mutes, 0.95),
        offset_ns=offset_ns,
        summary=trace.summary(),
        detail=trace.detail(),
    )


def moved(record: dict[str, Any], by_ns: int) -> dict[str, Any]:
    """Bring the monotonic times of a summary or a detail to those of another start of the machine."""
    told = _shifted(record, [name for name in record if name.endswith("_ns")], by_ns)
    for name, marks in _MARKS_OF.items():
        if isinstance(told.get(name), list):  # a summary only counts some of them
            told[name] = [_shifted(each, marks, by_ns) for each in told[name]]
    return told


def _shifted(values: dict[str, Any], names: Sequence[str], by_ns: int) -> dict[str, Any]:
    return values | {name: values[name] + by_ns for name in names if values.get(name) is not None}


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of all do not exceed (nearest rank); None of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
