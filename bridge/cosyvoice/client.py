"""The client's side of one CosyVoice task, from run-task to its terminal event.

The edge writes what `drain` hands out, feeds back what the socket brings, and frees the connection
when told. Audio carries no task id: after a cancel this machine swallows it until the terminal
event, so that the connection never delivers a stale word to the next task.
"""

from dataclasses import dataclass

from bridge.cosyvoice.client_steps import (
    TRANSITIONS,
    ClientState,
    ClientStep,
    Ended,
    Failed,
    Freed,
    Sound,
    Yield,
)
from bridge.cosyvoice.message import (
    ContinueTask,
    Event,
    FinishTask,
    ResultGenerated,
    RunTask,
    TaskFinished,
    TaskStarted,
)
from bridge.cosyvoice.words import WordTimeline
from bridge.errors import LocalProtocolError
from bridge.ports import WordTime

__all__ = ["ClientPatience", "ClientTask"]

_S = 1_000_000_000

_RETRYABLE = (
    "Throttling",
    "InternalError",
    "ServiceUnavailable",
    "ModelUnavailable",
    "RequestTimeOut",
    "ResponseTimeout",
    "CLIENT_ERROR",
)

# Half of what a message may carry, since a hanzi counts two: a longer text goes in several messages.
_MESSAGE_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class ClientPatience:
    """How long to wait for what, in ns."""

    started_ns: int = 5 * _S
    silence_ns: int = 20 * _S
    """Without text for this long the task is ended: after 23 s the service would fail it."""
    stall_ns: int = 10 * _S
    """Without anything from a service that has all the text."""
    cancel_ns: int = 300_000_000
    """From a cancel to its terminal event; past it the connection is not worth waiting for."""


class ClientTask:
    """One utterance at the service.

    Args:
        run: What opens the task.
        rate: Sampling frequency of the PCM it asks for, in Hz.
        patience: Bounds; the defaults follow the documented timers.
    """

    def __init__(self, run: RunTask, *, rate: int, patience: ClientPatience | None = None) -> None:
        self.state: ClientState = ClientState.WAITING
        self.strays: int = 0
        """Events of other tasks and sound outside a running task: dropped and counted."""
        self.was_silent: bool = False
        """The task was ended by us, since its text paused for too long."""
        self._run = run
        self._patience = patience or ClientPatience()
        self._timeline = WordTimeline(rate)
        self._kept: list[str] = []
        self._is_complete = False
        self._failure: Failed | None = None
        self._half = b""
        # When the present wait began: for task-started, text, sound or the terminal event.
        self._since_ns = 0
        self._outputs: list[Yield] = []

    @property
    def task_id(self) -> str:
        return self._run.task_id

    @property
    def words(self) -> list[WordTime]:
        """Word times so far, in the whole text, from the first sample."""
        return self._timeline.words

    @property
    def failure(self) -> Failed | None:
        """Why the task failed, if it did."""
        return self._failure

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nothing is awaited."""
        patience = {
            ClientState.STARTING: self._patience.started_ns,
            ClientState.RUNNING: self._patience.silence_ns,
            ClientState.FINISHING: self._patience.stall_ns,
            ClientState.CANCELLING: self._patience.cancel_ns,
        }.get(self.state)
        return None if patience is None else self._since_ns + patience

    def bind(self, *, now_ns: int) -> None:
        """A connection is there: open the task on it."""
        self._step(ClientStep.BIND)
        self._since_ns = now_ns
        self._outputs.append(self._run)

    def send_text(self, text: str, *, now_ns: int) -> bool:
        """Append text; it waits here until the service is ready for it.

        Returns:
            False if the task has ended and nobody will speak it.

        Raises:
            LocalProtocolError: After `finish`.
        """
        if self.state in (ClientState.CANCELLING, ClientState.DONE, ClientState.FAILED):
            return False
        if self._is_complete:
            raise LocalProtocolError(f"text after the end of task {self.task_id}")
        if self.state is ClientState.FINISHING:
            return False
        if text:
            self._timeline.text_sent(text)
            self._kept.append(text)
            self._write_kept(now_ns=now_ns)
        return True

    def finish(self, *, now_ns: int) -> None:
        """No more text will follow; harmless when said twice or too late."""
        self._is_complete = True
        self._write_kept(now_ns=now_ns)

    def cancel(self, *, now_ns: int) -> None:
        """Abandon the task; harmless when it has ended."""
        if ClientStep.CANCEL not in TRANSITIONS[self.state]:
            return
        self._step(ClientStep.CANCEL)
        self._since_ns = now_ns
        if self.state is ClientState.CANCELLING:
            self._outputs.append(FinishTask(self.task_id, cancel=True))
        if self._failure is None:
            self._outputs.append(Ended())

    def receive(self, item: Event | bytes, *, now_ns: int) -> None:
        """Take what the connection brought; what belongs to another task is counted and dropped."""
        if isinstance(item, bytes):
            self._receive_sound(item, now_ns=now_ns)
            return
        if item.task_id != self.task_id or self.state in (ClientState.WAITING, ClientState.DONE):
            self.strays += 1
            return
        match item:
            case TaskStarted():
                self._started(now_ns=now_ns)
            case ResultGenerated():
                self._note(item, now_ns=now_ns)
            case TaskFinished():
                self._end(ClientStep.FINISHED, None)
            case _:
                retryable = item.code.startswith(_RETRYABLE)
                self._end(ClientStep.FAIL, Failed(item.code or "Unknown", item.message, retryable))

    def lost(self, failure: Failed) -> None:
        """The connection is gone, or none could be opened; harmless when the task has ended."""
        self._end(ClientStep.FAIL, failure)

    def resumed(self, *, now_ns: int) -> None:
        """The listener reads again: the time it took is not held against the service."""
        if self.state is ClientState.FINISHING:
            self._since_ns = now_ns

    def handle_timeout(self, *, now_ns: int) -> None:
        """Act on what did not come; harmless when early."""
        if self.deadline_ns is None or now_ns < self.deadline_ns:
            return
        match self.state:
            case ClientState.STARTING:
                self._late("no task-started within", self._patience.started_ns)
            case ClientState.FINISHING:
                self._late("no sound for", self._patience.stall_ns)
            case ClientState.CANCELLING:
                self._step(ClientStep.FAIL)
                self._outputs.append(Freed(reusable=False))
            case _:
                self._silent(now_ns=now_ns)

    def drain(self) -> list[Yield]:
        """What to write, to hand to the listener and to tell the pool, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _started(self, *, now_ns: int) -> None:
        if self.state is ClientState.STARTING:
            self._step(ClientStep.STARTED)
            self._since_ns = now_ns
            self._write_kept(now_ns=now_ns)

    def _write_kept(self, *, now_ns: int) -> None:
        if self.state is not ClientState.RUNNING:
            return
        text = "".join(self._kept)
        self._kept.clear()
        for start in range(0, len(text), _MESSAGE_CHARACTERS):
            self._outputs.append(ContinueTask(self.task_id, text[start : start + _MESSAGE_CHARACTERS]))
            self._since_ns = now_ns
        if self._is_complete and self._timeline.text:
            self._step(ClientStep.COMPLETE)
            self._since_ns = now_ns
            self._outputs.append(FinishTask(self.task_id))
        elif self._is_complete:
            # A task without text fails at the service; taken back, it costs nothing.
            self.cancel(now_ns=now_ns)

    def _receive_sound(self, data: bytes, *, now_ns: int) -> None:
        if self.state not in (ClientState.RUNNING, ClientState.FINISHING):
            self.strays += 1
            return
        if self.state is ClientState.FINISHING:
            self._since_ns = now_ns
        if self._half:
            data = self._half + data
        whole = len(data) & ~1
        self._half = data[whole:]
        if whole:
            self._timeline.sound_received(whole // 2)
            self._outputs.append(Sound(data[:whole] if self._half else data))

    def _note(self, event: ResultGenerated, *, now_ns: int) -> None:
        if self.state is ClientState.FINISHING:
            self._since_ns = now_ns
        if self.state is not ClientState.CANCELLING:
            self._timeline.receive(event)

    def _end(self, step: ClientStep, failure: Failed | None) -> None:
        if step not in TRANSITIONS[self.state]:
            return
        was, reusable = self.state, step is ClientStep.FINISHED
        self._step(step)
        if was is not ClientState.CANCELLING:
            self._failure = failure
            self._outputs.append(failure or Ended())
        if was is not ClientState.WAITING:
            self._outputs.append(Freed(reusable))

    def _late(self, what: str, patience_ns: int) -> None:
        message = f"{what} {patience_ns / _S:g} s"
        self._end(ClientStep.FAIL, Failed("Timeout", message, retryable=True))

    def _silent(self, *, now_ns: int) -> None:
        """No text for long: end the task ourselves, so that the connection outlives it."""
        self.was_silent = True
        if self._timeline.text:
            self._step(ClientStep.COMPLETE)
            self._since_ns = now_ns
            self._outputs.append(FinishTask(self.task_id))
            return
        message = f"no text for {self._patience.silence_ns / _S:g} s"
        self._failure = Failed("Timeout", message, retryable=True)
        self._outputs.append(self._failure)
        self.cancel(now_ns=now_ns)

    def _step(self, step: ClientStep) -> None:
        self.state = TRANSITIONS[self.state][step]
