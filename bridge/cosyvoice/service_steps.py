"""What a client may do when, and what the service's side of a connection asks of its edge."""

from dataclasses import dataclass
from enum import Enum, auto

from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.hearing import HearingParameters
from bridge.cosyvoice.message import Event

__all__ = [
    "TRANSITIONS",
    "Abandon",
    "Audio",
    "Begin",
    "BeginHearing",
    "Close",
    "End",
    "Flush",
    "Hear",
    "Output",
    "Speak",
    "Step",
    "TaskState",
]


class TaskState(Enum):
    IDLE = auto()
    """No task; the connection closes when this lasts."""
    RUNNING = auto()
    FINISHING = auto()
    """The text is complete, the sound is not; the client may stay silent."""
    CLOSED = auto()


class Step(Enum):
    RUN = auto()
    CONTINUE = auto()
    FINISH = auto()
    CANCEL = auto()
    DONE = auto()
    """The voice has delivered everything."""
    FAIL = auto()
    TIMEOUT = auto()
    """Raised by `ServerTask.handle_timeout` only."""


# What is absent is illegal. A finish or cancel may cross our terminal event on the wire: IDLE ignores both.
TRANSITIONS: dict[TaskState, dict[Step, TaskState]] = {
    TaskState.IDLE: {
        Step.RUN: TaskState.RUNNING,
        Step.FINISH: TaskState.IDLE,
        Step.CANCEL: TaskState.IDLE,
        Step.FAIL: TaskState.CLOSED,
        Step.TIMEOUT: TaskState.CLOSED,
    },
    TaskState.RUNNING: {
        Step.CONTINUE: TaskState.RUNNING,
        Step.FINISH: TaskState.FINISHING,
        Step.CANCEL: TaskState.IDLE,
        Step.FAIL: TaskState.CLOSED,
        Step.TIMEOUT: TaskState.CLOSED,
    },
    TaskState.FINISHING: {
        Step.FINISH: TaskState.FINISHING,
        Step.CANCEL: TaskState.IDLE,
        Step.DONE: TaskState.IDLE,
        Step.FAIL: TaskState.CLOSED,
    },
    TaskState.CLOSED: {},
}


@dataclass(frozen=True, slots=True)
class Audio:
    """To the client: one binary frame."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """To the client: close the socket with this code; the last output there is."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Begin:
    """To the voice: prepare for a task; its parameters are checked, its voice is accepted."""

    task_id: str
    model: str
    parameters: TaskParameters
    request_id: str
    """Ours, made for this task; what a finished task reports as its request_uuid."""


@dataclass(frozen=True, slots=True)
class BeginHearing:
    """To the recogniser: prepare for a task; its parameters are checked."""

    task_id: str
    parameters: HearingParameters


@dataclass(frozen=True, slots=True)
class Hear:
    """To the recogniser: the next sound of the task, as it came."""

    task_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Speak:
    """To the voice: append text; speak what is complete, hold back the rest."""

    task_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Flush:
    """To the voice: speak what is held back."""

    task_id: str


@dataclass(frozen=True, slots=True)
class End:
    """To the voice or the recogniser: finish what is held back, then report `ServerTask.done`."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """To the voice or the recogniser: stop; nothing more of this task is wanted."""

    task_id: str


Output = Event | Audio | Close | Begin | BeginHearing | Hear | Speak | Flush | End | Abandon
