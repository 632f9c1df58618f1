"""What the client's sides of both kinds of task share: their steps, their ends and what they hand out."""

from typing import Generic, TypeVar

from bridge.cosyvoice.client_steps import TRANSITIONS, ClientState, ClientStep, Ended, Failed, Freed
from bridge.cosyvoice.failures import is_retryable
from bridge.cosyvoice.message import FinishTask, RunTask, TaskFailed, TaskFinished

__all__ = ["ClientSide"]

Own = TypeVar("Own")
"""What only this kind of task hands out."""


class ClientSide(Generic[Own]):
    """One task at the service, from run-task to its terminal event.

    Args:
        run: What opens it.
    """

    def __init__(self, run: RunTask) -> None:
        self.state: ClientState = ClientState.WAITING
        self.strays: int = 0
        """Items that were not meant for this task."""
        self.failure: Failed | None = None
        """Why the task failed, if it did."""
        self._run = run
        self._outputs: list[Own | RunTask | FinishTask | Ended | Failed | Freed] = []

    @property
    def task_id(self) -> str:
        return self._run.task_id

    def lost(self, failure: Failed) -> None:
        """The connection is gone, or none could be opened; harmless when the task has ended."""
        self._end(ClientStep.FAIL, failure)

    def drain(self) -> list[Own | RunTask | FinishTask | Ended | Failed | Freed]:
        """What to write, to hand to the listener and to tell the pool, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _abandon(self) -> None:
        """Take the task back, at the service if it is there already."""
        self._step(ClientStep.CANCEL)
        if self.state is ClientState.CANCELLING:
            self._outputs.append(FinishTask(self.task_id, cancel=True))
        if self.failure is None:
            self._outputs.append(Ended())

    def _ended(self, event: TaskFinished | TaskFailed) -> None:
        """The service says that it is over."""
        if isinstance(event, TaskFinished):
            self._end(ClientStep.FINISHED, None)
        else:
            failure = Failed(event.code or "Unknown", event.message, is_retryable(event.code))
            self._end(ClientStep.FAIL, failure)

    def _end(self, step: ClientStep, failure: Failed | None) -> None:
        if step not in TRANSITIONS[self.state]:
            return
        was = self.state
        self._step(step)
        if was is not ClientState.CANCELLING:
            self.failure = failure
            self._outputs.append(failure or Ended())
        if was is not ClientState.WAITING:
            self._outputs.append(Freed(reusable=step is ClientStep.FINISHED))

    def _step(self, step: ClientStep) -> None:
        self.state = TRANSITIONS[self.state][step]
