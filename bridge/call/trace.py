"""What happened in one call, stamped: the record behind the API, the page and the demo."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

from bridge.call.figures import StageFigure, quality_of, silence_of, told_stages
from bridge.call.lanes import Lanes
from bridge.speech.budget import BargeInTrace

__all__ = ["TEXTS", "BargeInRecord", "CallTrace", "UtteranceRecord", "WordsRecord"]

_KEPT = 256
TEXTS = ("text", "heard", "unheard")
"""What of an utterance's record tells what was said."""


@dataclass(slots=True)
class UtteranceRecord:
    """One thing the bot said. Text is kept only in memory, for the agent and the call's own page."""

    start_sample: int
    """Index in the leg's playout of its first sample."""
    text: str = ""
    heard: str = ""
    unheard: str = ""
    interrupted: bool = False
    estimated: bool = False
    end_sample: int = 0
    """Index after the last sample written, or after the last one heard if it was cut."""
    task_id: str = ""
    first_text_ns: int | None = None
    """When its first text was handed to the synthesizer."""
    first_audio_ns: int | None = None
    """When its first packet left."""
    failure: str = ""
    cause: str = ""
    """What interrupted it: ``speech``, ``dtmf`` or ``command``."""
    label: str = ""
    """What whoever ordered it by the API knows it as."""
    is_over: bool = False
    ended_ns: int | None = None
    """When its last sample had left, or the floor was taken."""
    number: int = 0
    """Counts the utterances of a call from 1."""


@dataclass(slots=True)
class BargeInRecord(BargeInTrace):
    """One interruption: its marks, what caused it and where it cut."""

    cause: str = ""
    """``speech``, ``dtmf`` or ``command``."""
    position: int = 0
    """Index in the leg's playout after the last sample that was sent."""
    number: int = 0
    """Counts the interruptions of a call from 1."""


@dataclass(frozen=True, slots=True)
class WordsRecord:
    """One sentence of the caller; kept only where texts are."""

    text: str
    began_ns: int
    ended_ns: int
    number: int = 0
    """Counts the sentences that are kept of a call from 1."""


@dataclass(slots=True)
class CallTrace:
    """Everything known of one call, bounded."""

    id: str
    sip_call_id: str
    direction: str
    started_ns: int
    called: str = ""
    """Whom it is for; told to nobody who may not know."""
    caller: str = ""
    """Who calls; likewise."""
    keeps_text: bool = False
    """Whether `detail` may show what was said: transcripts are off unless asked for."""
    state: str = "ringing"
    """``calling`` and ``ringing``, then ``up``, then ``ended``."""
    reason: str = ""
    cause: str = ""
    """Why the other side ended it, in its own words (RFC 3326): ``Q.850;cause=16``; empty if it said none."""
    status: int = 0
    """SIP status with which the other side declined a call of ours."""
    answered_ns: int | None = None
    ended_ns: int | None = None
    utterances: deque[UtteranceRecord] = field(default_factory=lambda: deque(maxlen=_KEPT))
    codec: str = ""
    """What is spoken on the line, by the name that the settings give it."""
    rate_hz: int = 8000
    """What positions count: samples of the leg at this rate."""
    barge_ins: deque[BargeInRecord] = field(default_factory=lambda: deque(maxlen=_KEPT))
    words: deque[WordsRecord] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """What the caller said, if a recogniser understood it and `keeps_text`."""
    breaches: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    false_alarms: int = 0
    """Ducks that ended in a resume: doors, coughs, clicks."""
    digits: int = 0
    """How many digits were received; which ones is the caller's business."""
    media: dict[str, float] = field(default_factory=dict)
    """The leg's counters when the call ended."""
    via: str = "phone"
    """``phone`` or ``browser``."""
    lanes: Lanes = field(default_factory=Lanes)
    """Who sounded when."""
    stages: dict[str, StageFigure] = field(default_factory=dict)
    """How long the stages of all its interruptions took."""

    def say(self, record: UtteranceRecord) -> None:
        """Keep the record of an utterance that begins."""
        record.number = _after(self.utterances)
        self.utterances.append(record)

    def interrupt(self, record: BargeInRecord) -> None:
        """Keep the record of an interruption."""
        record.number = _after(self.barge_ins)
        self.barge_ins.append(record)

    def understand(self, text: str, *, began_ns: int, ended_ns: int) -> None:
        """Keep a sentence of the caller."""
        self.words.append(WordsRecord(text, began_ns, ended_ns, _after(self.words)))

    def measure(self, stages_ms: Mapping[str, float], over: Collection[str]) -> None:
        """Account for stages of an interruption; `over` names those that broke their budget."""
        for name, took_ms in stages_ms.items():
            self.stages.setdefault(name, StageFigure()).take(took_ms, is_over=name in over)

    @property
    def floor(self) -> str:
        """Who sounds now: ``nobody``, ``bot``, ``caller`` or ``both``."""
        if self.state != "up":
            return "nobody"
        last = self.utterances[-1] if self.utterances else None
        is_saying = last is not None and last.first_audio_ns is not None and not last.is_over
        sounds = is_saying and self.lanes.ducks.open is None
        if self.lanes.voices.open is None:
            return "bot" if sounds else "nobody"
        return "both" if sounds else "caller"

    @property
    def first_audio_ns(self) -> int | None:
        """When the bot's first audible packet left."""
        return next((u.first_audio_ns for u in self.utterances if u.first_audio_ns is not None), None)

    def summary(self) -> dict[str, Any]:
        """One line of ``GET /api/calls``: no text, no digits."""
        return {
            "id": self.id,
            "sip_call_id": self.sip_call_id,
            "direction": self.direction,
            "codec": self.codec,
            "rate_hz": self.rate_hz,
            "state": self.state,
            "reason": self.reason,
            "cause": self.cause,
            "status": self.status,
            "started_ns": self.started_ns,
            "answered_ns": self.answered_ns,
            "ended_ns": self.ended_ns,
            "first_audio_ns": self.first_audio_ns,
            "utterances": len(self.utterances),
            "barge_ins": len(self.barge_ins),
            "false_alarms": self.false_alarms,
            "digits": self.digits,
            "breaches": list(self.breaches),
            "via": self.via,
            "stages": told_stages(self.stages),
            "quality": quality_of(self.media) if self.media else None,
            "silence_ms": silence_of(self.media) if self.media else None,
        }

    def detail(self) -> dict[str, Any]:
        """The whole record, as ``GET /api/calls/{id}`` returns it."""
        hidden = {} if self.keeps_text else dict.fromkeys(TEXTS)
        return self.summary() | {
            "utterances": [_fields(u) | hidden for u in self.utterances],
            "barge_ins": [_fields(b) | {"stages_ms": b.stages_ms()} for b in self.barge_ins],
            "words": [_fields(each) for each in self.words] if self.keeps_text else [],
            **self.lanes.told(),
            "has_transcript": self.keeps_text,
            "media": self.media,
        }

    @classmethod
    def revived(cls, detail: Mapping[str, Any]) -> Self:
        """Make the trace of a call that is over from its `detail`, which an older bridge may have written."""
        own = {item.name for item in fields(cls)} - {"utterances", "barge_ins", "words", "digits", "stages"}
        trace = cls(**{name: value for name, value in detail.items() if name in own})
        trace.digits = detail.get("digits", 0)
        trace.utterances.extend(_revived(UtteranceRecord, detail, "utterances"))
        trace.barge_ins.extend(_revived(BargeInRecord, detail, "barge_ins"))
        trace.words.extend(_revived(WordsRecord, detail, "words"))
        trace.lanes = Lanes.revived(lambda name: detail.get(name, []))
        trace.stages = {name: StageFigure(**each) for name, each in detail.get("stages", {}).items()}
        texts = (record.text for record in trace.utterances)
        trace.keeps_text = detail.get("has_transcript", any(text is not None for text in texts))
        return trace


def _fields(record: UtteranceRecord | BargeInRecord | WordsRecord) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(record)}


Record = TypeVar("Record", UtteranceRecord, BargeInRecord, WordsRecord)


def _revived(kind: type[Record], detail: Mapping[str, Any], name: str) -> Iterable[Record]:
    known = {item.name for item in fields(kind)}
    for number, told in enumerate(detail.get(name, ()), 1):
        # Records had no numbers once.
        yield kind(**{"number": number} | {key: value for key, value in told.items() if key in known})


def _after(records: deque[Any]) -> int:
    """The number of the record that is to follow these."""
    return records[-1].number + 1 if records else 1
