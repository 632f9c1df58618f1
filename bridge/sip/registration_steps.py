"""The steps of a registration (RFC 3261 §10.2); what is done at each is `registration`."""

from enum import Enum, auto

__all__ = ["TRANSITIONS", "Event", "State"]


class State(Enum):
    IDLE = auto()
    LOCATING = auto()
    """Waiting for the address of the registrar."""
    REGISTERING = auto()
    REGISTERED = auto()
    PAUSED = auto()
    """The last attempt failed; the next one is due later."""
    STOPPING = auto()
    """Told to stop, but a request is still open (§10.2: one at a time)."""
    UNREGISTERING = auto()
    GONE = auto()


class Event(Enum):
    START = auto()
    LOCATED = auto()
    LOST = auto()
    """The registrar's name has no address."""
    ACCEPTED = auto()
    AGAIN = auto()
    """A challenge, a longer expiry or a learnt address: the next request goes out at once."""
    REDIRECTED = auto()
    REFUSED = auto()
    """Refused, or not answered."""
    DUE = auto()
    STOP = auto()
    STOP_UNBOUND = auto()
    """Told to stop while the registrar knows nothing of us."""


# What is absent is ignored: answers may come late, and stopping twice is harmless.
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.IDLE: {
        Event.START: State.LOCATING,
        Event.STOP: State.GONE,
        Event.STOP_UNBOUND: State.GONE,
    },
    State.LOCATING: {
        Event.LOCATED: State.REGISTERING,
        Event.LOST: State.PAUSED,
        Event.STOP: State.UNREGISTERING,
        Event.STOP_UNBOUND: State.GONE,
    },
    State.REGISTERING: {
        Event.ACCEPTED: State.REGISTERED,
        Event.AGAIN: State.REGISTERING,
        Event.REDIRECTED: State.LOCATING,
        Event.REFUSED: State.PAUSED,
        Event.STOP: State.STOPPING,
        Event.STOP_UNBOUND: State.STOPPING,
    },
    State.REGISTERED: {
        Event.DUE: State.LOCATING,
        Event.STOP: State.UNREGISTERING,
        Event.STOP_UNBOUND: State.GONE,
    },
    State.PAUSED: {
        Event.DUE: State.LOCATING,
        Event.STOP: State.UNREGISTERING,
        Event.STOP_UNBOUND: State.GONE,
    },
    State.STOPPING: {
        Event.ACCEPTED: State.UNREGISTERING,
        Event.AGAIN: State.UNREGISTERING,
        Event.REDIRECTED: State.GONE,
        Event.REFUSED: State.GONE,
    },
    State.UNREGISTERING: {
        Event.ACCEPTED: State.GONE,
        Event.AGAIN: State.UNREGISTERING,
        Event.REDIRECTED: State.GONE,
        Event.REFUSED: State.GONE,
    },
    State.GONE: {},
}
