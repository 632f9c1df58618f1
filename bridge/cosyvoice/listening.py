"""The client's side of one recognition task: sound goes up, sentences come down, until its terminal event.

It moves through the states of `bridge.cosyvoice.client_steps` and yields what its edge is to write, to tell
the listener and to tell the pool. A cancelled task swallows what still comes, so that nothing of it reaches
the next one on its connection.
"""

from dataclasses import dataclass

from bridge.cosyvoice.client_side import ClientSide
from bridge.cosyvoice.client_steps import (
    ClientState,
    ClientStep,
    Ended,
    Failed,
    Freed,
)
from bridge.cosyvoice.failures import BUSY, TIMEOUT
from bridge.cosyvoice.message import (
    Event,
    FinishTask,
    ResultGenerated,
    RunTask,
    TaskStarted,
)
from bridge.cosyvoice.transcript import Transcript

__all__ = ["HearingPatience", "HearingTask", "HearingYield", "Listen", "Understood"]

_S = 1_000_000_000
_ENDED = (ClientState.CANCELLING, ClientState.DONE, ClientState.FAILED)


@dataclass(frozen=True, slots=True)
class HearingPatience:
    """How long to wait for what, in ns."""

    connection_ns: int = 10 * _S
    """For a connection."""
    started_ns: int = 5 * _S
    """From run-task to task-started."""
    result_ns: int = 30 * _S
    """From the end of the sound to the end of the task, and from each sentence on: words may be late."""
    cancel_ns: int = 300_000_000
    """From a cancel to its terminal event; past it the connection is not worth waiting for."""


@dataclass(frozen=True, slots=True)
class Listen:
    """To the service: one binary frame of the sound that it is to understand."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Understood:
    """To the listener: what the service makes of the present sentence."""

    transcript: Transcript


HearingYield = RunTask | FinishTask | Listen | Understood | Ended | Failed | Freed


class HearingTask(ClientSide[Listen | Understood]):
    """One utterance at the service.

    Args:
        run: What opens the task.
        most_kept_bytes: Sound kept until the service is ready for it; where there is more, the task fails.
        now_ns: When it was asked for.
        patience: Bounds.
    """

    def __init__(
        self,
        run: RunTask,
        *,
        most_kept_bytes: int,
        now_ns: int,
        patience: HearingPatience | None = None,
    ) -> None:
        super().__init__(run)
        self._patience = patience or HearingPatience()
        self._since_ns = now_ns
        self._kept: list[bytes] = []
        self._room_bytes = most_kept_bytes
        self._has_sound = False
        self._is_complete = False

    @property
    def is_over(self) -> bool:
        """Whether nothing will come of it any more."""
        return self.state in _ENDED

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nothing is awaited."""
        wait_ns = self._wait_ns()
        return None if wait_ns is None else self._since_ns + wait_ns

    def bind(self, *, now_ns: int) -> None:
        """A connection is there: open the task on it."""
        self._step(ClientStep.BIND)
        self._since_ns = now_ns
        self._outputs.append(self._run)

    def hear(self, pcm: bytes) -> None:
        """Append sound; it waits here until the service is ready for it. Harmless when the task has ended."""
        if self.is_over or self._is_complete or not pcm:
            return
        self._has_sound = True
        if self.state is ClientState.RUNNING:
            self._outputs.append(Listen(pcm))
            return
        self._room_bytes -= len(pcm)
        self._kept.append(pcm)
        if self._room_bytes < 0:
            message = "the recogniser is not ready for as much sound as had to wait for it"
            self._end(ClientStep.FAIL, Failed(BUSY, message, retryable=True))

    def finish(self, *, now_ns: int) -> None:
        """No more sound will follow; harmless when said twice or too late."""
        if self.is_over or self._is_complete:
            return
        self._is_complete = True
        if not self._has_sound:
            self.cancel(now_ns=now_ns)
        elif self.state is ClientState.RUNNING:
            self._complete(now_ns=now_ns)

    def cancel(self, *, now_ns: int) -> None:
        """Abandon the task; harmless when it has ended."""
        if self.is_over:
            return
        self._abandon()
        self._since_ns = now_ns
        self._kept.clear()

    def receive(self, item: Event | bytes, *, now_ns: int) -> None:
        """Take what the connection brought; what belongs to another task is counted and dropped."""
        has_begun = self.state not in (ClientState.WAITING, ClientState.DONE, ClientState.FAILED)
        if isinstance(item, bytes) or item.task_id != self.task_id or not has_begun:
            self.strays += 1
            return
        match item:
            case TaskStarted():
                self._started(now_ns=now_ns)
            case ResultGenerated():
                self._understand(item, now_ns=now_ns)
            case _:
                self._ended(item)

    def handle_timeout(self, *, now_ns: int) -> None:
        """Give up what did not come; harmless when early."""
        wait_ns = self._wait_ns()
        if wait_ns is None or now_ns < self._since_ns + wait_ns:
            return
        what = {ClientState.WAITING: "no connection", ClientState.STARTING: "no task-started"}
        message = f"{what.get(self.state, 'nothing understood')} within {wait_ns / _S:g} s"
        self._end(ClientStep.FAIL, Failed(TIMEOUT, message, retryable=True))

    def _wait_ns(self) -> int | None:
        patience = self._patience
        return {
            ClientState.WAITING: patience.connection_ns,
            ClientState.STARTING: patience.started_ns,
            ClientState.FINISHING: patience.result_ns,
            ClientState.CANCELLING: patience.cancel_ns,
        }.get(self.state)

    def _started(self, *, now_ns: int) -> None:
        if self.state is not ClientState.STARTING:
            return
        self._step(ClientStep.STARTED)
        self._outputs += [Listen(pcm) for pcm in self._kept]
        self._kept.clear()
        if self._is_complete:
            self._complete(now_ns=now_ns)

    def _complete(self, *, now_ns: int) -> None:
        self._step(ClientStep.COMPLETE)
        self._since_ns = now_ns
        self._outputs.append(FinishTask(self.task_id))

    def _understand(self, event: ResultGenerated, *, now_ns: int) -> None:
        if self.state is ClientState.CANCELLING:
            return
        if self.state is ClientState.FINISHING:
            self._since_ns = now_ns
        told = event.transcript
        if told is not None and not told.is_heartbeat:
            self._outputs.append(Understood(told))

    def _end(self, step: ClientStep, failure: Failed | None) -> None:
        super()._end(step, failure)
        self._kept.clear()
