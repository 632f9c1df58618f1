"""Who has the floor, as a table: one state per row, moved for all rows of an event at once.

A duck silences us while it is decided whether the caller speaks; speech flushes, anything else resumes.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.spec import PlaneSettings

__all__ = [
    "ACTION",
    "DUCKED",
    "IDLE",
    "NEXT",
    "SPEAKING",
    "TRANSITIONS",
    "Floor",
    "FloorAction",
    "FloorEvent",
    "FloorState",
]

_MS = 1_000_000
_MINUTE_NS = 60_000 * _MS


class FloorState(IntEnum):
    IDLE = 0
    """We have nothing to say."""
    SPEAKING = 1
    DUCKED = 2
    """Silent in mid-utterance, position held, until a verdict."""


class FloorEvent(IntEnum):
    STARTED = 0
    """The first samples of an utterance are ready."""
    ENDED = 1
    """The last samples of an utterance were sent."""
    VOICE = 2
    """The gate is open and may interrupt."""
    SPEECH = 3
    """Verdict: it is speech."""
    NOISE = 4
    """Verdict: it is not."""
    DIGIT = 5
    """A key was pressed and may interrupt."""
    COMMAND = 6
    """The agent says stop."""


class FloorAction(IntEnum):
    NONE = 0
    DUCK = 1
    RESUME = 2
    FLUSH = 3


# What is absent changes nothing: voices and verdicts may come at any time.
TRANSITIONS: dict[tuple[FloorState, FloorEvent], tuple[FloorState, FloorAction]] = {
    (FloorState.IDLE, FloorEvent.STARTED): (FloorState.SPEAKING, FloorAction.NONE),
    (FloorState.IDLE, FloorEvent.DIGIT): (FloorState.IDLE, FloorAction.FLUSH),
    (FloorState.IDLE, FloorEvent.COMMAND): (FloorState.IDLE, FloorAction.FLUSH),
    (FloorState.SPEAKING, FloorEvent.ENDED): (FloorState.IDLE, FloorAction.NONE),
    (FloorState.SPEAKING, FloorEvent.VOICE): (FloorState.DUCKED, FloorAction.DUCK),
    (FloorState.SPEAKING, FloorEvent.SPEECH): (FloorState.IDLE, FloorAction.FLUSH),
    (FloorState.SPEAKING, FloorEvent.DIGIT): (FloorState.IDLE, FloorAction.FLUSH),
    (FloorState.SPEAKING, FloorEvent.COMMAND): (FloorState.IDLE, FloorAction.FLUSH),
    (FloorState.DUCKED, FloorEvent.ENDED): (FloorState.IDLE, FloorAction.NONE),
    (FloorState.DUCKED, FloorEvent.SPEECH): (FloorState.IDLE, FloorAction.FLUSH),
    (FloorState.DUCKED, FloorEvent.NOISE): (FloorState.SPEAKING, FloorAction.RESUME),
    (FloorState.DUCKED, FloorEvent.DIGIT): (FloorState.IDLE, FloorAction.FLUSH),
    (FloorState.DUCKED, FloorEvent.COMMAND): (FloorState.IDLE, FloorAction.FLUSH),
}

NEXT: NDArray[np.uint8] = np.array(
    [[TRANSITIONS.get((state, event), (state, 0))[0] for event in FloorEvent] for state in FloorState],
    np.uint8,
)
"""``[state, event]`` → state."""
ACTION: NDArray[np.uint8] = np.array(
    [[TRANSITIONS.get((state, event), (state, 0))[1] for event in FloorEvent] for state in FloorState],
    np.uint8,
)
"""``[state, event]`` → action."""

# Plain integers: comparing a column with a member of an Enum costs ten times as much.
IDLE, SPEAKING, DUCKED = int(FloorState.IDLE), int(FloorState.SPEAKING), int(FloorState.DUCKED)
_DUCK, _RESUME, _FLUSH = int(FloorAction.DUCK), int(FloorAction.RESUME), int(FloorAction.FLUSH)


class Floor:
    """State of every row, and how long it may stay ducked."""

    def __init__(self, columns: Columns, settings: PlaneSettings) -> None:
        n = columns.capacity
        self.state: NDArray[np.uint64] = columns.floor_state
        self._verdict_ns = settings.verdict_ms * _MS
        self._rest_ns = settings.duck_rest_ms * _MS
        self._rest_max_ns = settings.duck_rest_max_ms * _MS
        self._vain_ns = np.full((n, max(1, settings.vain_ducks_a_minute)), -_MINUTE_NS, np.int64)
        self.ducked_ns: NDArray[np.int64] = np.zeros(n, np.int64)
        """When the present duck was decided: mark t1."""
        self.unannounced: NDArray[np.bool_] = np.zeros(n, np.bool_)
        """Ducked, but no silent packet was built yet."""
        self._resumed_ns = np.full(n, -_MINUTE_NS, np.int64)
        self._rests_until_ns = np.zeros(n, np.int64)
        self._present_rest_ns = np.zeros(n, np.int64)

    def restart(self, row: int) -> None:
        """Nobody speaks, and no duck was in vain yet."""
        self.state[row] = FloorState.IDLE
        self.unannounced[row] = False
        self._rests_until_ns[row] = self._present_rest_ns[row] = 0
        self._resumed_ns[row] = self._vain_ns[row] = -_MINUTE_NS

    def apply(self, rows: NDArray[np.intp], event: FloorEvent, *, now_ns: int) -> NDArray[np.uint8]:
        """Move distinct rows by one event; return the action of each."""
        before = self.state[rows]
        actions: NDArray[np.uint8] = ACTION[before, event]
        self.state[rows] = NEXT[before, event]
        ducked = rows[actions == _DUCK]
        if len(ducked):
            self.ducked_ns[ducked] = now_ns
            self.unannounced[ducked] = True
        resumed = rows[actions == _RESUME]
        if len(resumed):
            self._rest(resumed, now_ns)
        # It was right to listen: the next voice is heard at once again.
        flushed = rows[actions == _FLUSH]
        self._present_rest_ns[flushed] = 0
        self._rests_until_ns[flushed] = self._vain_ns[flushed, 0] + _MINUTE_NS
        return actions

    def may_duck(self, rows: NDArray[np.intp], *, now_ns: int) -> NDArray[np.bool_]:
        """Where a voice may silence us now: ducks in vain are followed by ever longer rests."""
        rested: NDArray[np.bool_] = self._rests_until_ns[rows] <= now_ns
        return rested

    def is_calm(self, rows: NDArray[np.intp], *, now_ns: int) -> NDArray[np.bool_]:
        """Where no duck was in vain within twice the longest rest."""
        calm: NDArray[np.bool_] = now_ns - self._resumed_ns[rows] > 2 * self._rest_max_ns
        return calm

    def is_overdue(self, rows: NDArray[np.intp], *, now_ns: int) -> NDArray[np.bool_]:
        """Where a duck has lasted as long as it may without a verdict."""
        ducked = self.state[rows] == DUCKED
        overdue: NDArray[np.bool_] = ducked & (now_ns - self.ducked_ns[rows] >= self._verdict_ns)
        return overdue

    def _rest(self, rows: NDArray[np.intp], now_ns: int) -> None:
        # A line that was calm for twice the longest rest begins anew with the shortest.
        calm = self.is_calm(rows, now_ns=now_ns)
        doubled = np.minimum(self._present_rest_ns[rows] * 2, self._rest_max_ns)
        rest = np.where(calm | (doubled == 0), self._rest_ns, doubled)
        self._present_rest_ns[rows] = rest
        # A minute that has had its share of ducks in vain gets no more.
        self._vain_ns[rows] = np.roll(self._vain_ns[rows], -1, axis=1)
        self._vain_ns[rows, -1] = self.ducked_ns[rows]
        self._rests_until_ns[rows] = np.maximum(now_ns + rest, self._vain_ns[rows, 0] + _MINUTE_NS)
        self._resumed_ns[rows] = now_ns
