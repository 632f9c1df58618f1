"""A call as spans: what a trace viewer draws of it. No words, no numbers, no keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from bridge.speech.budget import STAGES

__all__ = ["SpanFacts", "Value", "spans_of"]

Value: TypeAlias = str | int | float | bool

_MARKS = ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "next_text", "t7")
_QUALITIES = ("mos_in_lowest", "mos_out_lowest", "loss_in", "loss_out", "round_trip_ms")


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """One span and what lies within it; times in monotonic ns."""

    name: str
    begin_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[tuple[str, int], ...] = ()
    """Names and times of its marks."""
    children: tuple["SpanFacts", ...] = ()
    failure: str = ""
    """Code of what went wrong; empty if nothing did."""


def spans_of(trace: CallTrace) -> SpanFacts:
    """Make the span of a call that is over: one child for each utterance and each interruption."""
    ended_ns = trace.ended_ns if trace.ended_ns is not None else trace.started_ns
    children = [_speech(each, trace) for each in trace.utterances if each.first_text_ns is not None]
    children += [_interruption(each) for each in trace.barge_ins if _marks(each)]
    attributes: dict[str, Value] = {
        "cosybridge.call.id": trace.id,
        "cosybridge.call.sip_call_id": trace.sip_call_id,
        "cosybridge.call.direction": trace.direction,
        "cosybridge.call.codec": trace.codec,
        "cosybridge.call.reason": trace.reason,
        "cosybridge.call.utterances": len(trace.utterances),
        "cosybridge.call.interruptions": len(trace.barge_ins),
        "cosybridge.call.false_alarms": trace.false_alarms,
        "cosybridge.call.over_budget": len(trace.breaches),
    }
    attributes |= {f"cosybridge.call.{name}": trace.media[name] for name in _QUALITIES if name in trace.media}
    answered = () if trace.answered_ns is None else (("answered", trace.answered_ns),)
    return SpanFacts(
        "call", trace.started_ns, ended_ns, attributes, events=answered, children=tuple(children)
    )


def _speech(record: UtteranceRecord, trace: CallTrace) -> SpanFacts:
    """From the first text to the last sample heard, had it been played without a pause."""
    begin_ns = record.first_text_ns or 0
    samples = max(0, record.end_sample - record.start_sample)
    attributes: dict[str, Value] = {
        "cosybridge.tts.task_id": record.task_id,
        "cosybridge.speech.samples": samples,
        "cosybridge.speech.interrupted": record.interrupted,
    }
    if record.first_audio_ns is None:
        return SpanFacts("speech", begin_ns, begin_ns, attributes, failure=record.failure)
    heard = SpanFacts("speech.first_audio", begin_ns, record.first_audio_ns)
    end_ns = record.first_audio_ns + samples * 1_000_000_000 // trace.rate_hz
    return SpanFacts(
        "speech",
        begin_ns,
        end_ns,
        attributes,
        events=(("first audio", record.first_audio_ns),),
        children=(heard,),
        failure=record.failure,
    )


def _interruption(record: BargeInRecord) -> SpanFacts:
    marks = _marks(record)
    stages = []
    for stage in STAGES:
        begin_ns, end_ns = getattr(record, stage.begins), getattr(record, stage.ends)
        if begin_ns is not None and end_ns is not None:
            stages.append(SpanFacts(f"bargein.{stage.name}", begin_ns, end_ns))
    times = [at_ns for _, at_ns in marks]
    return SpanFacts(
        "bargein",
        min(times),
        max(times),
        {"cosybridge.bargein.cause": record.cause, "cosybridge.bargein.position": record.position},
        events=marks,
        children=tuple(stages),
    )


def _marks(record: BargeInRecord) -> tuple[tuple[str, int], ...]:
    return tuple((name, at_ns) for name in _MARKS if (at_ns := getattr(record, name)) is not None)
