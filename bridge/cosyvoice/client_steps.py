"""What the client's side of a task may do when, and what it asks of its edge."""

from dataclasses import dataclass
from enum import Enum, auto

from bridge.cosyvoice.message import ContinueTask, FinishTask, RunTask

__all__ = [
    "TRANSITIONS",
    "ClientState",
    "ClientStep",
    "Ended",
    "Failed",
    "Freed",
    "Sound",
    "Yield",
]


class ClientState(Enum):
    WAITING = auto()
    """No connection yet; text is kept."""
    STARTING = auto()
    """Run-task is written; text is kept, for the service may drop what comes before task-started."""
    RUNNING = auto()
    FINISHING = auto()
    CANCELLING = auto()
    """Quarantine: sound still arrives, and is swallowed."""
    DONE = auto()
    FAILED = auto()


class ClientStep(Enum):
    BIND = auto()
    STARTED = auto()
    COMPLETE = auto()
    """Finish-task is written."""
    CANCEL = auto()
    FINISHED = auto()
    FAIL = auto()


# What is absent is illegal.
TRANSITIONS: dict[ClientState, dict[ClientStep, ClientState]] = {
    ClientState.WAITING: {
        ClientStep.BIND: ClientState.STARTING,
        ClientStep.CANCEL: ClientState.DONE,
        ClientStep.FAIL: ClientState.FAILED,
    },
    ClientState.STARTING: {
        ClientStep.STARTED: ClientState.RUNNING,
        ClientStep.CANCEL: ClientState.CANCELLING,
        ClientStep.FINISHED: ClientState.DONE,
        ClientStep.FAIL: ClientState.FAILED,
    },
    ClientState.RUNNING: {
        ClientStep.STARTED: ClientState.RUNNING,
        ClientStep.COMPLETE: ClientState.FINISHING,
        ClientStep.CANCEL: ClientState.CANCELLING,
        ClientStep.FINISHED: ClientState.DONE,
        ClientStep.FAIL: ClientState.FAILED,
    },
    ClientState.FINISHING: {
        ClientStep.STARTED: ClientState.FINISHING,
        ClientStep.CANCEL: ClientState.CANCELLING,
        ClientStep.FINISHED: ClientState.DONE,
        ClientStep.FAIL: ClientState.FAILED,
    },
    ClientState.CANCELLING: {
        ClientStep.STARTED: ClientState.CANCELLING,
        ClientStep.FINISHED: ClientState.DONE,
        ClientStep.FAIL: ClientState.DONE,
    },
    ClientState.DONE: {},
    ClientState.FAILED: {},
}


@dataclass(frozen=True, slots=True)
class Sound:
    """To the listener: whole samples of PCM, or a piece of a container as it came."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """To the listener: that was all, by its end or by a cancel."""


@dataclass(frozen=True, slots=True)
class Failed:
    """To the listener: the voice failed; what came before is all there is."""

    code: str
    message: str
    retryable: bool
    status: int = 0
    """HTTP status of a refused handshake."""
    request_id: str = ""
    stage: str = ""
    """What was awaited in vain, as `bridge.errors.SynthesisError` names it."""


@dataclass(frozen=True, slots=True)
class Freed:
    """To the pool: the connection carries this task no more."""

    reusable: bool
    """False: close it."""


Yield = RunTask | ContinueTask | FinishTask | Sound | Ended | Failed | Freed
