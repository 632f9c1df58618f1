"""What the desk's WebSocket says, as models for the document."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bridge.app.api.answers import CallSummary, Line, Timeline
from bridge.app.api.notes import Pong

__all__ = ["DESK", "Change", "DeskCall", "Snapshot"]


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Percentiles(_Note):
    """Of the last 1000 values; null of none."""

    count: int
    p50: float | None
    p95: float | None


class CallCounts(_Note):
    """How many calls there are."""

    up: int
    ringing: int
    """Those that do not stand yet."""
    ended: int
    """Those that stood, since the bridge began."""
    room: int
    """Calls in G.711 that fit."""


class ProcessLoad(_Note):
    """One media process, which has a core to itself."""

    place: int
    load: float | None
    """Part of that core that it took during the last second; null at first."""
    legs: int
    stalls: int
    """Wake-ups that came over 20 ms late."""
    late_p99_ms: float
    """How late its timer woke it, in 99 of 100 cases at most."""


class EngineState(_Note):
    """The media processes."""

    running: int
    restarts: int
    takeovers: int
    has_standby: bool
    processes: list[ProcessLoad]


class VoiceState(_Note):
    """The connections to the voice, since the bridge began."""

    idle: int
    busy: int
    warm_starts: int
    """Utterances that found an open connection."""
    cold_starts: int
    failures: int


class DeskTotals(_Note):
    """Totals of the whole bridge."""

    calls: CallCounts
    first_audio_ms: Percentiles
    """From the answer to the first sound."""
    stages_ms: dict[str, Percentiles]
    """Of interruptions, by stage."""
    engine: EngineState
    voice: VoiceState


class DeskCall(CallSummary):
    """One call in the list."""

    caller: Annotated[str | None, Field(alias="from")]
    to: str | None
    floor: Literal["nobody", "bot", "caller", "both"]
    """Who sounds."""


class Detail(_Note):
    """The call that is followed: at first everything, then what is new or has changed."""

    call: str
    known: bool
    """False if there is no such call; then there is nothing else."""
    timeline: Timeline | None = None
    transcript: list[Line] | None = None
    """Null if none is kept, or the token does not open it."""
    media: dict[str, float] | None = None
    """Counters of its media."""


class May(_Note):
    """What the token opens."""

    order: bool
    recordings: bool
    transcripts: bool


class _Framed(_Note):
    seq: int
    """Counts the messages from 1."""
    at_ns: int
    """Monotonic time of the bridge."""
    time: str
    """UTC, RFC 3339 with ms."""


class Snapshot(_Framed):
    """How things stand."""

    type: Literal["snapshot"]
    may: May
    budget_ms: dict[str, float]
    totals: DeskTotals
    calls: list[DeskCall]
    more: int
    """Calls that follow in the next messages."""
    gone: list[str]
    detail: Detail | None


class Change(_Framed):
    """What changed; what is not there has not."""

    type: Literal["change"]
    totals: DeskTotals | None = None
    calls: list[DeskCall] | None = None
    gone: list[str] | None = None
    """Ids of calls that left the list."""
    detail: Detail | None = None


DeskMessage: TypeAlias = Annotated[Snapshot | Change | Pong, Field(discriminator="type")]

DESK: TypeAdapter[DeskMessage] = TypeAdapter(DeskMessage)
