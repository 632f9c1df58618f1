"""Was it a good call? One interrupted call, judged from what the caller sent and received.

Marks t0 (onset), t2 (mute) and t7 (next sound) are the caller's, by kernel receive times; t1 and t3 to t6
are the bridge's own. Both read the same monotonic clock, so they may be subtracted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.load.listen import FADE_SAMPLES, Heard, Match
from bridge.load.report import Report, Sentence
from bridge.load.story import BargeInStory, CallStory, UtteranceStory

__all__ = ["Evidence", "judge"]

_LATE_MS = 200.0
"""A busy machine may be late by this much within a sentence; what is muted and faded in again was ducked."""
_NOTHING = Match(-1, -1, 0, 0)
_END_SLACK_SAMPLES = 480
"""A sentence that stops this close to the last packet was cut by our own BYE."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the judgement rests on."""

    heard: Heard
    answered_ns: int
    onset_ns: int
    """t0: when the first sample of the caller's interruption was spoken."""
    script: str
    """What the caller said."""
    script_ms: float
    """How long that took."""
    story: CallStory
    rendered: Mapping[str, NDArray[np.uint8]] | None
    """G.711 of the service's PCM for each text the bot said; None when the service never says it twice
    the same way, and nothing can be compared."""
    budget_ms: Mapping[str, float]
    """`bargein.budget_ms` as configured."""


def judge(evidence: Evidence) -> Report:
    """Measure every stage, compare every payload, and say what is wrong if anything is."""
    faults: list[str] = []
    heard, story, onset_ns = evidence.heard, evidence.story, evidence.onset_ns
    sentences = _sentences(evidence)
    faults += [fault for sentence in sentences if (fault := _fault(sentence))]
    barge_in = _barge_in(story, onset_ns)
    if barge_in is None:
        faults.append("the bridge never gave the caller the floor")
    if not heard.was_audible(onset_ns - 100_000_000, onset_ns):
        faults.append("the bot was not talking when the caller began: nothing was interrupted")
    mute_ns = heard.mute_ns(onset_ns)
    # A voice that pauses may be taken for a noise at first, and the bot goes on for a moment; what must
    # not be heard is anything after the flush.
    flushed_ns = barge_in.marks["t4"] if barge_in else None
    quiet_ns = None if mute_ns is None else max(mute_ns, flushed_ns or 0)
    next_ns = None if quiet_ns is None else heard.audible_ns(quiet_ns)
    if quiet_ns is not None and evidence.rendered is not None:
        # What the hang-up cuts off ends with a fade, whose samples are no copies.
        spans = [s.span for s in sentences[_interrupted_index(sentences) + 1 :]]
        later = [(begin, end + FADE_SAMPLES) for begin, end in spans]
        stale = heard.uncovered(later, from_sample=heard.sample_after(quiet_ns))
        if stale:
            faults.append(f"{stale / 8:.0f} ms of sound after the flush belong to no later sentence")
    arrivals = heard.arrivals()
    if arrivals.lost:
        faults.append(f"{arrivals.lost} packets never arrived")
    marks = dict(barge_in.marks) if barge_in else {}
    marks |= {"t0": onset_ns, "t2": mute_ns, "t7": next_ns}
    reply = _reply(story)
    first_ns = heard.audible_ns(evidence.answered_ns)
    stages = {
        "mute": _between_ms(onset_ns, mute_ns),
        "verdict": _between_ms(marks.get("t1"), marks.get("t3")),
        "flush": _between_ms(marks.get("t3"), marks.get("t4")),
        "cancel": _between_ms(marks.get("t4"), marks.get("t5")),
        "spare_ready": _between_ms(marks.get("t4"), marks.get("t6")),
        "next_audio": _between_ms(reply.first_text_ns if reply else None, next_ns),
    }
    faults += _over_budget(stages, evidence.budget_ms)
    # The bridge's own account uses its own marks: where it saw a breach and we did not, both are said.
    faults += [f"the bridge reports: {breach}" for breach in story.breaches]
    cut = next((s for s in sentences if s.interrupted), None)
    return Report(
        first_audio_ms=_between_ms(evidence.answered_ns, first_ns),
        stages_ms=stages,
        heard_text=cut.heard if cut else "",
        unheard_text=cut.unheard if cut else "",
        packets_sent=int(story.counters.get("tx_packets", 0)),
        # What left after the bridge had read its counter is in neither figure.
        packets_received=heard.received_by(story.ended_ns),
        late_packets=arrivals.late,
        faults=tuple(faults),
        sentences=tuple(sentences),
        marks=marks,
        budget_ms=dict(evidence.budget_ms),
        script=evidence.script,
        script_ms=evidence.script_ms,
        answered_ns=evidence.answered_ns,
    )


def _sentences(evidence: Evidence) -> list[Sentence]:
    found: list[Sentence] = []
    cursor = 0
    utterances = evidence.story.utterances
    for index, said in enumerate(utterances):
        match, outcome = _NOTHING, "not compared"
        if evidence.rendered is not None:
            match = evidence.heard.match(evidence.rendered[said.text], from_sample=cursor)
            cursor = max(cursor, match.end_sample)
            outcome = _outcome(said, match, evidence.heard, is_last=index == len(utterances) - 1)
        found.append(
            Sentence(
                text=said.text,
                heard=said.heard,
                unheard=said.unheard,
                estimated=said.estimated,
                interrupted=said.interrupted and outcome != "hung up",
                outcome=outcome,
                span=(match.begin_sample, match.end_sample),
                matched_samples=match.matched,
                expected_samples=match.expected,
                paused_ms=sum(length for _, length in match.gaps) / 8,
            )
        )
    return found


def _outcome(said: UtteranceStory, match: Match, heard: Heard, *, is_last: bool) -> str:
    """One word for how a sentence arrived; `_fault` knows which of them are faults."""
    if match.is_whole:
        return "damaged" if said.interrupted and said.unheard else "whole"
    reached_the_end = match.begin_sample < 0 or match.end_sample >= len(heard.codes) - _END_SLACK_SAMPLES
    if is_last and reached_the_end and not said.interrupted:
        return "hung up"
    if match.begin_sample < 0:
        return "missing" if said.heard or not said.interrupted else "cut"
    if match.is_complete:
        paused_ms = sum(length for _, length in match.gaps) / 8
        return "late" if not match.altered and paused_ms <= _LATE_MS else "paused"
    return "cut" if said.interrupted else "damaged"


def _fault(sentence: Sentence) -> str | None:
    if (
        sentence.outcome in ("whole", "cut", "late", "paused", "damaged")
        and sentence.heard + sentence.unheard != sentence.text
    ):
        return f"heard and unheard do not make up the sentence {_short(sentence.text)}"
    match sentence.outcome:
        case "missing":
            return f"nothing arrived of the sentence {_short(sentence.text)}"
        case "paused":
            return f"{sentence.paused_ms:.0f} ms of silence inside the sentence {_short(sentence.text)}"
        case "damaged" if sentence.matched_samples == sentence.expected_samples:
            return f"the interrupted sentence arrived whole: {_short(sentence.text)}"
        case "damaged":
            return (
                f"only {sentence.matched_samples} of {sentence.expected_samples} samples arrived "
                f"as made of the sentence {_short(sentence.text)}"
            )
        case _:
            return None


def _interrupted_index(sentences: Sequence[Sentence]) -> int:
    return next((i for i, s in enumerate(sentences) if s.interrupted), len(sentences))


def _barge_in(story: CallStory, onset_ns: int) -> BargeInStory | None:
    for told in story.barge_ins:
        flushed_ns = told.marks["t4"]
        if flushed_ns is not None and flushed_ns >= onset_ns:
            return told
    return None


def _reply(story: CallStory) -> UtteranceStory | None:
    """What the bot said next after it was interrupted."""
    said = story.utterances
    index = next((i for i, u in enumerate(said) if u.interrupted), len(said))
    return said[index + 1] if index + 1 < len(said) else None


def _over_budget(stages: Mapping[str, float | None], budget_ms: Mapping[str, float]) -> list[str]:
    faults = []
    for stage, took_ms in stages.items():
        if took_ms is None:
            faults.append(f"{stage.replace('_', ' ')} never happened")
        elif stage in budget_ms and took_ms > budget_ms[stage]:
            faults.append(
                f"{stage.replace('_', ' ')} took {took_ms:.1f} ms, budget {budget_ms[stage]:.0f} ms"
            )
    return faults


def _between_ms(begin_ns: int | None, end_ns: int | None) -> float | None:
    return None if begin_ns is None or end_ns is None else (end_ns - begin_ns) / 1e6


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
