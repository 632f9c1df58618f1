"""A call as a page draws it: who sounded when, what an interruption took, who said what."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol, TypeVar

from bridge.call.lanes import Span
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord, WordsRecord
from bridge.speech.budget import STAGES

__all__ = ["Told", "timeline_of", "transcript_of"]

_MARKS = ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "next_text", "t7")


class Numbered(Protocol):
    @property
    def number(self) -> int: ...


Item = TypeVar("Item", bound=Numbered)


@dataclass(slots=True)
class Told:
    """What somebody was told of a call already: up to which number each list had come to its rest.

    With a fresh one, everything is told; with the same one again, what is new or has changed since.
    """

    _rest: dict[str, int] = field(default_factory=dict)
    _moving: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """What was told last of each entry that was not at rest."""

    def news(
        self,
        name: str,
        items: Iterable[Item],
        draw: Callable[[Item], dict[str, Any] | None],
        *,
        is_over: Callable[[Item], bool],
    ) -> list[dict[str, Any]]:
        """Draw the entries of a list that are to be told now.

        Args:
            name: Of the list.
            items: Newest first.
            draw: Makes an entry; None leaves it out for now.
            is_over: Whether an item is never going to change.
        """
        known = self._rest.get(name, 0)
        rest, told = known, []
        fresh = list(takewhile(lambda each: each.number > known, items))
        if fresh:
            rest = max(rest, fresh[-1].number - 1)  # what is older is not kept any more
        for item in reversed(fresh):
            drawn = draw(item)
            if rest == item.number - 1 and is_over(item):
                rest = item.number
            key = name, item.number
            before = self._moving.pop(key, None)
            if drawn is None:
                continue
            if drawn != before:
                told.append(drawn)
            if rest < item.number:
                self._moving[key] = drawn
        self._rest[name] = rest
        return told


def timeline_of(trace: CallTrace, budget_ms: Mapping[str, float], told: Told | None = None) -> dict[str, Any]:
    """Draw both voices, our silences at a sound, keys, and the stages of interruptions.

    Args:
        trace: The call.
        budget_ms: What each stage may take, by its name.
        told: What is known already; None for nothing.
    """
    told = Told() if told is None else told
    is_call_over, newest = trace.state == "ended", trace.barge_ins[-1].number if trace.barge_ins else 0
    lanes = {"caller": trace.lanes.voices, "ducks": trace.lanes.ducks, "keys": trace.lanes.keys}
    drawn = {
        name: told.news(
            name,
            reversed(lane.spans),
            _duck if name == "ducks" else _span,
            is_over=lambda span: span.ended_ns is not None,
        )
        for name, lane in lanes.items()
    }
    return {
        "call": trace.id,
        "state": trace.state,
        "started_ns": trace.started_ns,
        "answered_ns": trace.answered_ns,
        "ended_ns": trace.ended_ns,
        **drawn,
        "bot": told.news(
            "bot",
            reversed(trace.utterances),
            lambda record: _sound(record, trace),
            is_over=lambda record: record.is_over,
        ),
        "barge_ins": told.news(
            "barge_ins",
            reversed(trace.barge_ins),
            lambda record: _interruption(record, budget_ms),
            is_over=lambda record: is_call_over or record.t7 is not None or record.number < newest,
        ),
    }


def transcript_of(trace: CallTrace, told: Told | None = None) -> list[dict[str, Any]] | None:
    """Write down who said what, in the order in which it began; None if the call keeps no texts."""
    if not trace.keeps_text:
        return None
    told = Told() if told is None else told
    bot = told.news("bot's", reversed(trace.utterances), _line, is_over=lambda record: record.is_over)
    caller = told.news("caller's", reversed(trace.words), _sentence, is_over=lambda _: True)
    return sorted(bot + caller, key=lambda line: line["began_ns"])


def _span(span: Span) -> dict[str, Any]:
    return {"number": span.number, "began_ns": span.began_ns, "ended_ns": span.ended_ns}


def _duck(span: Span) -> dict[str, Any]:
    return _span(span) | {"outcome": span.outcome or None}


def _ended_ns(record: UtteranceRecord, rate_hz: int) -> int | None:
    if record.ended_ns is not None or not record.is_over:
        return record.ended_ns
    # A record that is older than this mark: as long as its samples last.
    samples = max(0, record.end_sample - record.start_sample)
    return (record.first_audio_ns or record.first_text_ns or 0) + samples * 1_000_000_000 // rate_hz


def _sound(record: UtteranceRecord, trace: CallTrace) -> dict[str, Any] | None:
    if record.first_audio_ns is None:
        return None
    return {
        "number": record.number,
        "began_ns": record.first_audio_ns,
        "ended_ns": _ended_ns(record, trace.rate_hz),
        "interrupted": record.interrupted,
        "cause": record.cause or None,
    }


def _line(record: UtteranceRecord) -> dict[str, Any] | None:
    began_ns = record.first_audio_ns or record.first_text_ns
    if began_ns is None or not record.text:
        return None
    return {
        "number": record.number,
        "who": "bot",
        "began_ns": began_ns,
        "ended_ns": record.ended_ns,
        "text": record.text,
        "heard": record.heard,
        "unheard": record.unheard,
        "interrupted": record.interrupted,
    }


def _sentence(record: WordsRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "who": "caller",
        "began_ns": record.began_ns,
        "ended_ns": record.ended_ns,
        "text": record.text,
        "heard": None,
        "unheard": None,
        "interrupted": False,
    }


def _interruption(record: BargeInRecord, budget_ms: Mapping[str, float]) -> dict[str, Any] | None:
    marks = [at_ns for name in _MARKS if (at_ns := getattr(record, name)) is not None]
    if not marks:
        return None
    stages = []
    for stage in STAGES:
        if (took_ms := record.took_ms(stage)) is None:
            continue
        allowed_ms = budget_ms[stage.name]
        stages.append(
            {
                "name": stage.name,
                "began_ns": getattr(record, stage.begins),
                "ended_ns": getattr(record, stage.ends),
                "took_ms": round(took_ms, 1),
                "budget_ms": allowed_ms,
                "over": took_ms > allowed_ms,
            }
        )
    return {"number": record.number, "began_ns": min(marks), "cause": record.cause, "stages": stages}
