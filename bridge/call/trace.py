"""What happened in one call, stamped: the record behind the API, the page and the demo."""

from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any

from bridge.speech.budget import BargeInTrace

__all__ = ["BargeInRecord", "CallTrace", "UtteranceRecord", "WordsRecord"]

_KEPT = 256


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


@dataclass(slots=True)
class BargeInRecord(BargeInTrace):
    """One interruption: its marks, what caused it and where it cut."""

    cause: str = ""
    """``speech``, ``dtmf`` or ``command``."""
    position: int = 0
    """Index in the leg's playout after the last sample that was sent."""


@dataclass(frozen=True, slots=True)
class WordsRecord:
    """One sentence of the caller; kept only where texts are."""

    text: str
    began_ns: int
    ended_ns: int


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
        }

    def detail(self) -> dict[str, Any]:
        """The whole record, as ``GET /api/calls/{id}`` returns it."""
        hidden = {} if self.keeps_text else {"text": None, "heard": None, "unheard": None}
        return self.summary() | {
            "utterances": [_fields(u) | hidden for u in self.utterances],
            "barge_ins": [_fields(b) | {"stages_ms": b.stages_ms()} for b in self.barge_ins],
            "words": [_fields(each) for each in self.words] if self.keeps_text else [],
            "media": self.media,
        }


def _fields(record: UtteranceRecord | BargeInRecord | WordsRecord) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(record)}
