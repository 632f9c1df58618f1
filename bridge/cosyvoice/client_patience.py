"""How long the client's side of a task waits for what, and what it says when that did not come."""

from dataclasses import dataclass

from bridge.cosyvoice.client_steps import ClientState, Failed
from bridge.cosyvoice.failures import TIMEOUT

__all__ = ["ClientPatience", "Deadlines", "Waits", "late"]

_S = 1_000_000_000
_AT_WORK = (ClientState.STARTING, ClientState.RUNNING, ClientState.FINISHING)


@dataclass(frozen=True, slots=True)
class ClientPatience:
    """How long to wait for what, in ns."""

    started_ns: int = 5 * _S
    """From run-task to task-started."""
    silence_ns: int = 20 * _S
    """Without text for this long the task is ended: after 23 s the service would fail it."""
    stall_ns: int = 10 * _S
    """Without anything from a service that is in mid-sentence or has all the text."""
    cancel_ns: int = 300_000_000
    """From a cancel to its terminal event; past it the connection is not worth waiting for."""
    first_sound_ns: int = 10 * _S
    """From the first whole sentence, or the end of the text, to the first sound."""
    connection_ns: int = 10 * _S
    """For a connection, while as many as may be are in use."""
    task_ns: int | None = None
    """From run-task to the end, however well it goes; None sets no bound."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long to wait for what, in seconds; each has an error of its own."""

    open_s: float = 5.0
    """For a connection to open, its handshake included."""
    connection_s: float = 10.0
    """For a connection to become free, while as many as may be are in use."""
    started_s: float = 5.0
    """For the service to start a task."""
    first_sound_s: float = 10.0
    """For the first sound, from the first whole sentence or the end of the text."""
    sound_s: float = 10.0
    """For more sound, from a service that is in mid-sentence or has all the text."""
    task_s: float | None = None
    """For a whole task; None sets no bound. Not tried again."""
    cancel_s: float = 0.3
    """For the answer to a cancel; past it the connection is replaced, unheard."""
    text_pause_s: float = 12.0
    """For more text, before the running task is ended; the next begins with the next text."""

    def patience(self) -> ClientPatience:
        return ClientPatience(
            started_ns=round(self.started_s * _S),
            stall_ns=round(self.sound_s * _S),
            cancel_ns=round(self.cancel_s * _S),
            first_sound_ns=round(self.first_sound_s * _S),
            connection_ns=round(self.connection_s * _S),
            task_ns=None if self.task_s is None else round(self.task_s * _S),
        )


def late(stage: str, patience_ns: int) -> Failed:
    """What is told when the wait that `stage` names was in vain."""
    seconds = f"{patience_ns / _S:g} s"
    text = {
        "connection": f"no connection became free within {seconds}: raise max_connections, or ask for less",
        "start": f"no task-started within {seconds}",
        "text": f"no text for {seconds}",
        "first-sound": f"no first sound within {seconds} of the text",
        "sound": f"no sound for {seconds}",
        "task": f"the task took longer than {seconds}",
    }[stage]
    # What took too long as a whole takes as long again.
    return Failed(TIMEOUT, text, retryable=stage != "task", stage=stage)


class Waits:
    """What is awaited, and since when."""

    def __init__(self, patience: ClientPatience) -> None:
        self.patience = patience
        self.queued_ns: int | None = None
        self.bound_ns = 0
        self.since_ns = 0
        """The last message that the service had of us."""
        self.is_held = False
        self._owed_ns: int | None = None
        self._served_ns = 0
        self._has_sounded = False

    def owe(self, *, now_ns: int) -> None:
        """The service has something to speak."""
        if self._owed_ns is None:
            self._owed_ns = now_ns
        self._served_ns = max(self._served_ns, now_ns)

    def served(self, *, now_ns: int, is_sound: bool) -> None:
        self._served_ns = now_ns
        self._has_sounded |= is_sound

    def resumed(self, *, now_ns: int) -> None:
        self.is_held = False
        self._served_ns = now_ns

    def length_ns(self, stage: str) -> int:
        """How long the wait that `stage` names may be; 0 where it has no bound."""
        patience = self.patience
        return {
            "connection": patience.connection_ns,
            "start": patience.started_ns,
            "text": patience.silence_ns,
            "first-sound": patience.first_sound_ns,
            "sound": patience.stall_ns,
            "task": patience.task_ns or 0,
        }[stage]

    def due(self, state: ClientState, *, is_in_sentence: bool) -> tuple[int, str] | None:
        """When the wait that ends first ends, and which it is."""
        due = self._due_of_state(state)
        owed = None if self.is_held else self._due_of_sound(state, is_in_sentence=is_in_sentence)
        if owed is not None and (due is None or owed < due):
            due = owed
        if self.patience.task_ns is not None and state in _AT_WORK:
            whole = (self.bound_ns + self.patience.task_ns, "task")
            due = whole if due is None else min(due, whole)
        return due

    def _due_of_state(self, state: ClientState) -> tuple[int, str] | None:
        patience = self.patience
        if state is ClientState.RUNNING:
            return self.since_ns + patience.silence_ns, "text"
        if state is ClientState.STARTING:
            return self.since_ns + patience.started_ns, "start"
        if state is ClientState.CANCELLING:
            return self.since_ns + patience.cancel_ns, "cancel"
        if state is ClientState.WAITING and self.queued_ns is not None:
            return self.queued_ns + patience.connection_ns, "connection"
        return None

    def _due_of_sound(self, state: ClientState, *, is_in_sentence: bool) -> tuple[int, str] | None:
        is_finishing = state is ClientState.FINISHING
        if not is_finishing and state is not ClientState.RUNNING:
            return None
        if not self._has_sounded and self._owed_ns is not None:
            return max(self._owed_ns, self._served_ns) + self.patience.first_sound_ns, "first-sound"
        if is_finishing or is_in_sentence:
            return self._served_ns + self.patience.stall_ns, "sound"
        return None
