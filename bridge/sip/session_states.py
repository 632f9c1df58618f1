"""The states of a call, as a table (RFC 3261 §12 to §15)."""

from enum import Enum, auto

__all__ = ["TRANSITIONS", "Event", "State"]


class State(Enum):
    INVITED = auto()
    """Called: no final answer given yet."""
    ANSWERED = auto()
    """Called: 200 sent, waiting for the ACK."""
    CLOSING = auto()
    """Called: hung up before the ACK; §15 makes us wait for it before the BYE."""
    CALLING = auto()
    """Calling: not a word yet."""
    ABANDONED = auto()
    """Calling: hung up before any answer; §9.1 makes us wait for one before the CANCEL."""
    PROCEEDING = auto()
    """Calling: the peer is at it."""
    CANCELLING = auto()
    """Calling: CANCEL sent."""
    CONFIRMED = auto()
    ENDING = auto()
    """BYE sent."""
    ENDED = auto()


class Event(Enum):
    ANSWER = auto()
    REJECT = auto()
    HANGUP = auto()
    CANCEL = auto()
    """The caller gives up."""
    BYE = auto()
    """The peer hangs up."""
    ACK = auto()
    UNACKED = auto()
    """A 2xx of ours stayed without ACK for 64·T1."""
    PROVISIONAL = auto()
    SUCCESS = auto()
    CHALLENGED = auto()
    """Our INVITE is on its way once more, with credentials."""
    UNSERVED = auto()
    """Our INVITE is on its way to another server, for the first one does not serve it."""
    FAILURE = auto()
    EXPIRED = auto()
    """No final answer to our INVITE, nor to the CANCEL after it."""
    BYE_DONE = auto()


# What is absent is ignored when it comes from the peer, and a bug when it comes from us.
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.INVITED: {
        Event.ANSWER: State.ANSWERED,
        Event.REJECT: State.ENDED,
        Event.HANGUP: State.ENDED,
        Event.CANCEL: State.ENDED,
        Event.BYE: State.ENDED,
    },
    State.ANSWERED: {
        Event.ACK: State.CONFIRMED,
        Event.UNACKED: State.ENDING,
        Event.BYE: State.ENDED,
        Event.HANGUP: State.CLOSING,
    },
    State.CLOSING: {
        Event.ACK: State.ENDING,
        Event.UNACKED: State.ENDING,
        Event.BYE: State.ENDED,
    },
    State.CALLING: {
        Event.PROVISIONAL: State.PROCEEDING,
        Event.CHALLENGED: State.CALLING,
        Event.UNSERVED: State.CALLING,
        Event.SUCCESS: State.CONFIRMED,
        Event.FAILURE: State.ENDED,
        Event.EXPIRED: State.ENDED,
        Event.HANGUP: State.ABANDONED,
    },
    State.ABANDONED: {
        Event.PROVISIONAL: State.CANCELLING,
        Event.SUCCESS: State.ENDING,
        Event.FAILURE: State.ENDED,
        Event.EXPIRED: State.ENDED,
    },
    State.PROCEEDING: {
        Event.PROVISIONAL: State.PROCEEDING,
        Event.CHALLENGED: State.CALLING,
        Event.UNSERVED: State.CALLING,
        Event.SUCCESS: State.CONFIRMED,
        Event.FAILURE: State.ENDED,
        Event.EXPIRED: State.ENDED,
        Event.HANGUP: State.CANCELLING,
    },
    State.CANCELLING: {
        Event.SUCCESS: State.ENDING,
        Event.FAILURE: State.ENDED,
        Event.EXPIRED: State.ENDED,
    },
    State.CONFIRMED: {
        Event.HANGUP: State.ENDING,
        Event.BYE: State.ENDED,
        Event.UNACKED: State.ENDING,
    },
    State.ENDING: {
        Event.BYE: State.ENDED,
        Event.BYE_DONE: State.ENDED,
    },
    State.ENDED: {},
}
