"""When an utterance of the caller begins and ends, for whoever writes it down."""

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["TRANSITIONS", "Begin", "End", "ListenEvent", "ListenState", "Listening"]

_MS = 1_000_000


class ListenState(Enum):
    IDLE = auto()
    HEARING = auto()
    PAUSING = auto()
    """The voice has stopped; perhaps for breath only."""


class ListenEvent(Enum):
    VOICE_STARTED = auto()
    VOICE_STOPPED = auto()
    PAUSED = auto()
    """Raised by `Listening.handle_timeout` only, as `FULL`."""
    FULL = auto()


@dataclass(frozen=True, slots=True)
class Begin:
    """Hear from now on."""

    has_lead: bool
    """Whether what was before counts as well: a gate opens a moment after the voice."""


@dataclass(frozen=True, slots=True)
class End:
    """That was one utterance."""


# What is absent is illegal. Media processes may leave out starts and stops when they are overrun.
TRANSITIONS: dict[ListenState, dict[ListenEvent, ListenState]] = {
    ListenState.IDLE: {
        ListenEvent.VOICE_STARTED: ListenState.HEARING,
        ListenEvent.VOICE_STOPPED: ListenState.IDLE,
    },
    ListenState.HEARING: {
        ListenEvent.VOICE_STARTED: ListenState.HEARING,
        ListenEvent.VOICE_STOPPED: ListenState.PAUSING,
        ListenEvent.FULL: ListenState.HEARING,
    },
    ListenState.PAUSING: {
        ListenEvent.VOICE_STARTED: ListenState.HEARING,
        ListenEvent.VOICE_STOPPED: ListenState.PAUSING,
        ListenEvent.PAUSED: ListenState.IDLE,
        ListenEvent.FULL: ListenState.IDLE,
    },
}


class Listening:
    """Joins what is said in one breath, and in a few.

    Args:
        pause_ms: Silence after a voice that ends an utterance.
        longest_ms: Length at which an utterance is cut in two: nobody waits for ever for words.
    """

    def __init__(self, *, pause_ms: int = 500, longest_ms: int = 25_000) -> None:
        self.state: ListenState = ListenState.IDLE
        self._pause_ns = pause_ms * _MS
        self._longest_ns = longest_ms * _MS
        self._begun_ns = 0
        self._stopped_ns = 0
        self._actions: list[Begin | End] = []

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nobody speaks."""
        full_ns = self._begun_ns + self._longest_ns
        if self.state is ListenState.HEARING:
            return full_ns
        return min(self._stopped_ns + self._pause_ns, full_ns) if self.state is ListenState.PAUSING else None

    def receive(self, item: ListenEvent, *, now_ns: int) -> None:
        """Advance on one event.

        Raises:
            KeyError: If the event is illegal in the present state.
        """
        before, self.state = self.state, TRANSITIONS[self.state][item]
        is_cut = item is ListenEvent.FULL and self.state is ListenState.HEARING
        if before is not ListenState.IDLE and (is_cut or self.state is ListenState.IDLE):
            self._actions.append(End())
        if self.state is ListenState.HEARING and (is_cut or before is ListenState.IDLE):
            self._begun_ns = now_ns
            self._actions.append(Begin(has_lead=not is_cut))
        if self.state is ListenState.PAUSING and before is ListenState.HEARING:
            self._stopped_ns = now_ns

    def handle_timeout(self, *, now_ns: int) -> None:
        """End what is over; harmless when early."""
        if self.deadline_ns is None or now_ns < self.deadline_ns:
            return
        is_full = now_ns >= self._begun_ns + self._longest_ns
        self.receive(ListenEvent.FULL if is_full else ListenEvent.PAUSED, now_ns=now_ns)

    def drain(self) -> list[Begin | End]:
        """What to do, in order, since the last call."""
        actions, self._actions = self._actions, []
        return actions
