"""The one place where tasks are started: every task has an owner, a name and a loud end."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Tasks"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Tasks:
    """A group of tasks that end no later than their owner.

    Unlike `asyncio.TaskGroup`, one failing task does not end its siblings: one call's
    bug must not hang up the others. The failure is logged with its traceback, and
    handed to `on_failure`.

    Args:
        name: Prefix of every task's name, e.g. ``"sip"``.
        on_failure: Called on the loop with the task's name and its exception.
        patience_s: How long `close` waits for tasks that do not end when cancelled; None is for ever.
    """

    def __init__(
        self,
        name: str,
        *,
        on_failure: Callable[[str, BaseException], None] | None = None,
        patience_s: float | None = None,
    ) -> None:
        self._patience_s = patience_s
        self.name: str = name
        self._on_failure = on_failure
        self._running: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._running)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run `work` until it ends or the group is closed.

        Whoever awaits the returned task sees its exception as well; the log has it in any case.

        Raises:
            RuntimeError: If the group is closed; `work` is then closed unrun.
        """
        if self._is_closed:
            work.close()
            raise RuntimeError(f"{self.name} is closed and cannot start {name}")
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}:{name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait for it; safe twice.

        The task that calls this is spared: it cannot wait for itself.
        """
        self._is_closed = True
        others = self._running - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            _, stuck = await asyncio.wait(others, timeout=self._patience_s)
            for task in stuck:
                _log.error("task %s does not end when it is cancelled; it is left behind", task.get_name())

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("task %s failed: %s", task.get_name(), error, exc_info=error)
        if self._on_failure is not None:
            self._on_failure(task.get_name(), error)
