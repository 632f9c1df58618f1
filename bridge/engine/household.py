"""Every media process that was started and has not been waited for: one list, one owner.

Nobody else starts a process or waits for its end, so none is forgotten: not one that dies while the engine
closes, nor one whose owner is cancelled before it has done a thing.
"""

import asyncio
import errno
from collections.abc import Callable

from bridge.aio.tasks import Tasks
from bridge.engine.child import MediaProcess, MediaSettings, StartProcess
from bridge.engine.commands import Message

__all__ = ["Household"]

_STOP_S = 2.0
"""Time that a process has to end by itself."""


class Household:
    """Starts media processes, and sees each to its end; `close` leaves none.

    Args:
        start: Starts a process.
    """

    def __init__(self, *, start: StartProcess = MediaProcess) -> None:
        self._start = start
        self._tasks = Tasks("burials")
        self._living: dict[MediaProcess, asyncio.Task[int] | None] = {}
        """Those whose end was not seen yet, with the task that waits for it."""
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._living)

    def begin(
        self, settings: MediaSettings, *, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> MediaProcess:
        """Start a process; it ends by `end`, by `bury` or with the household.

        Raises:
            OSError: If the system refuses it, or the household is closed.
        """
        if self._is_closed:
            raise OSError(errno.ESHUTDOWN, "the media engine is closed")
        process = self._start(settings, on_message=on_message, on_end=on_end)
        self._living[process] = None
        return process

    def bury(self, process: MediaProcess, *, patience_s: float = _STOP_S) -> "asyncio.Task[int]":
        """See to it that this process ends, by force after a while, and is waited for.

        With patience 0 the result is a fence, as `MediaProcess.reap` has it.

        Harmless for one that is gone.

        Returns:
            What ends with the exit status. Await it shielded: it must outlive whoever waits for it.
        """
        burial = self._living.get(process)
        if burial is None:
            burial = self._tasks.start(self._burying(process, patience_s), name=f"bury {process.pid}")
            self._living[process] = burial
        return burial

    async def end(self, process: MediaProcess) -> None:
        """End a process in good order, or else by force; returns when it is gone."""
        process.stop()
        try:
            await asyncio.shield(self.bury(process))
        finally:
            process.abandon()

    async def close(self) -> None:
        """Kill whoever is left and wait for the end of all; safe twice.

        All are killed before anything is awaited: who cancels this leaves no process either.
        """
        self._is_closed = True
        left = list(self._living)
        for process in left:
            process.abandon()
            process.kill()
        if left:
            # Unlike `gather`, this does not cancel them when it is cancelled.
            await asyncio.wait([self.bury(process, patience_s=0) for process in left])

    async def _burying(self, process: MediaProcess, patience_s: float) -> int:
        status = await process.reap(patience_s=patience_s)
        del self._living[process]
        return status
