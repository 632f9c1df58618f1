"""What the plane tells the control process: rare facts, never audio.

Positions are absolute sample indices of the row's playout ring: everything before was sent.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "FLUSH_CAUSES",
    "Digit",
    "Ducked",
    "FlushCause",
    "Flushed",
    "KeysSent",
    "Latched",
    "PlaneEvent",
    "PlayoutIdle",
    "Resumed",
    "RowFailed",
    "SpeechStarted",
    "VoiceQuestioned",
    "VoiceStarted",
    "VoiceStopped",
]

FlushCause: TypeAlias = Literal["speech", "dtmf", "command"]
FLUSH_CAUSES: tuple[FlushCause, ...] = ("speech", "dtmf", "command")
"""By the number under which `Columns.flush_cause` names them."""


@dataclass(frozen=True, slots=True)
class _RowEvent:
    row: int
    generation: int
    at_ns: int
    """When it happened in the plane."""


@dataclass(frozen=True, slots=True)
class SpeechStarted(_RowEvent):
    """The first packet with samples of an utterance was built after silence."""

    position: int
    """Index of its first sample."""


@dataclass(frozen=True, slots=True)
class PlayoutIdle(_RowEvent):
    """Everything written of a closed utterance was sent."""

    position: int


@dataclass(frozen=True, slots=True)
class Ducked(_RowEvent):
    """The first silent packet under a caller's voice was built: `at_ns` is mark t2 at our side."""

    position: int
    """Where playout is held."""
    onset_ns: int
    """When the voice began, as far as packets tell: mark t0 plus the way here."""
    gate_ns: int
    """When the gate opened: mark t1."""


@dataclass(frozen=True, slots=True)
class Resumed(_RowEvent):
    """It was no speech: playout goes on from `position` with the next packet."""

    position: int


@dataclass(frozen=True, slots=True)
class Flushed(_RowEvent):
    """What was not yet sent is forgotten: mark t4."""

    position: int
    """Index after the last sample sent."""
    epoch: int
    """The new epoch; writes under an older one are discarded."""
    verdict_ns: int
    """When it was decided: mark t3."""
    cause: FlushCause


@dataclass(frozen=True, slots=True)
class VoiceStarted(_RowEvent):
    """The gate opened on a caller's voice."""

    onset_ns: int


@dataclass(frozen=True, slots=True)
class VoiceStopped(_RowEvent):
    """The caller has been quiet for a while."""

    ended_ns: int
    """When the voice really ended."""


@dataclass(frozen=True, slots=True)
class Digit(_RowEvent):
    """A key was pressed and released, whatever carried it: RFC 4733, tones in the sound, SIP INFO."""

    digit: str
    """One of ``0123456789*#ABCD``."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Latched(_RowEvent):
    """The peer's media comes from `remote_key`; ours goes there from now on."""

    remote_key: int


@dataclass(frozen=True, slots=True)
class RowFailed(_RowEvent):
    """An invariant of this row broke; the row is out of service until it is closed."""

    message: str


@dataclass(frozen=True, slots=True)
class KeysSent(_RowEvent):
    """The keys of one request were pressed, or those of them that will ever be."""

    ticket: int
    """Which request."""
    count: int
    """Keys of it that were pressed; fewer than were asked for when it found no room or was called off."""


@dataclass(frozen=True, slots=True)
class VoiceQuestioned(_RowEvent):
    """Somebody should say whether this voice is speech: see `bridge.plane.plane.Plane.verdict`."""

    question: int


PlaneEvent: TypeAlias = (
    SpeechStarted
    | PlayoutIdle
    | Ducked
    | Resumed
    | Flushed
    | VoiceStarted
    | VoiceStopped
    | Digit
    | Latched
    | RowFailed
    | KeysSent
    | VoiceQuestioned
)
