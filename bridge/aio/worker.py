"""One thread that does what would block the loop, in order, out of a queue that is bounded."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Worker"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Worker:
    """Owns a thread; jobs are done one after another.

    Args:
        name: Of the thread.
        room: Jobs that may wait.
        on_idle: Called on the thread when it has had nothing to do for `idle_s`.
        idle_s: How long that is.
    """

    def __init__(
        self, name: str, *, room: int, on_idle: Callable[[], None] | None = None, idle_s: float = 5.0
    ) -> None:
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue(room)
        self._on_idle = on_idle
        self._idle_s = idle_s
        self._is_closed = False
        # A disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def post(self, job: Callable[[], object]) -> bool:
        """Let `job` be done some time; False if there is no room for it, or no thread any more."""
        if self._is_closed:
            return False
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    async def ask(self, job: Callable[[], T], default: T) -> T:
        """Wait for what `job` returns; `default` if there is no room for it, or it fails."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[T] = loop.create_future()

        def answer(result: T) -> None:
            if not answered.done():  # whoever asked may have gone
                answered.set_result(result)

        def run() -> None:
            result = default
            try:
                result = job()
            finally:
                loop.call_soon_threadsafe(answer, result)

        return await answered if self.post(run) else default

    async def close(self, patience_s: float = 5.0) -> bool:
        """Take no more jobs and let those that wait be done; False if they were not within `patience_s`."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._say_goodbye, patience_s)
        await asyncio.to_thread(self._thread.join, patience_s)
        return not self._thread.is_alive()

    def _say_goodbye(self, patience_s: float) -> None:
        try:
            self._jobs.put(None, timeout=patience_s)
        except queue.Full:
            _log.warning("%s does not come to its end", self._thread.name)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._idle_s)
            except queue.Empty:
                job = self._on_idle or _nothing
            if job is None:
                return
            try:
                job()
            except Exception:
                _log.exception("a job of %s failed", self._thread.name)


def _nothing() -> None: ...
