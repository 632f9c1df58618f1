"""Who sounded when in one call: the caller's voice, our silences at a sound, keys; no word, no digit."""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

from bridge.engine.commands import LegEvent
from bridge.plane.events import Digit, Ducked, Flushed, Resumed, VoiceStarted, VoiceStopped

__all__ = ["Lane", "Lanes", "Span"]

_KEPT = 256
_NAMES = ("voices", "ducks", "keys")


@dataclass(slots=True)
class Span:
    """A stretch of time on a lane."""

    number: int
    """Counts the spans of its lane from 1."""
    began_ns: int
    ended_ns: int | None = None
    """None while it goes on."""
    outcome: str = ""
    """Of a duck: ``resumed`` or ``flushed``, once it is known."""


class Lane:
    """The last spans of one kind."""

    def __init__(self) -> None:
        self.spans: deque[Span] = deque(maxlen=_KEPT)

    @property
    def open(self) -> Span | None:
        """The span that goes on now."""
        return self.spans[-1] if self.spans and self.spans[-1].ended_ns is None else None

    def begin(self, at_ns: int) -> None:
        """Begin a span; one that goes on ends there."""
        self.end(at_ns)
        self.spans.append(Span((self.spans[-1].number if self.spans else 0) + 1, at_ns))

    def end(self, at_ns: int, outcome: str = "") -> None:
        """End the span that goes on, if one does."""
        if (span := self.open) is not None:
            span.ended_ns, span.outcome = max(at_ns, span.began_ns), outcome


class Lanes:
    """What one call's media process told, as spans."""

    def __init__(self) -> None:
        self.voices: Lane = Lane()
        """The caller's voice."""
        self.ducks: Lane = Lane()
        """We are silent because of a sound, and wait for a verdict."""
        self.keys: Lane = Lane()
        """A key is held."""

    def note(self, event: LegEvent) -> None:
        """Take one report; most mean nothing here."""
        match event:
            case VoiceStarted(onset_ns=onset_ns):
                self.voices.begin(onset_ns)
            case VoiceStopped(ended_ns=ended_ns):
                self.voices.end(ended_ns)
            case Ducked(at_ns=at_ns):
                self.ducks.begin(at_ns)
            case Resumed(at_ns=at_ns):
                self.ducks.end(at_ns, "resumed")
            case Flushed(at_ns=at_ns):
                self.ducks.end(at_ns, "flushed")
            case Digit(at_ns=at_ns, duration_ms=duration_ms):
                self.keys.begin(at_ns - duration_ms * 1_000_000)
                self.keys.end(at_ns)

    def close(self, now_ns: int) -> None:
        """End what goes on: the call is over."""
        self.voices.end(now_ns)
        self.ducks.end(now_ns)

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """The lanes by name, as a call's record has them."""
        return {name: [asdict(span) for span in getattr(self, name).spans] for name in _NAMES}

    @classmethod
    def revived(cls, told: Callable[[str], list[dict[str, Any]]]) -> Self:
        """Make the lanes of a record again.

        Args:
            told: Returns what `told` had under a name; nothing for records that are older than lanes.
        """
        lanes = cls()
        for name in _NAMES:
            getattr(lanes, name).spans.extend(Span(**span) for span in told(name))
        return lanes
