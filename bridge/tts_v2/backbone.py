"""The one event loop on which every connection of this process is read, in a thread of its own.

Measured before it was chosen, per pair of an event and a frame of 640 bytes, with the hand-over to another
thread: a `websockets` reader in a thread per connection 12 us, `websockets` on a loop 9 to 13 us, aiohttp's
reader, which is C, on a loop 4 us, and a bare socket with a frame parser of twenty lines 3.6 us. One loop
also lets any number of idle connections of a pool cost no thread.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import aiohttp

from bridge.aio.tasks import Tasks
from bridge.aio.websocket import open_session

__all__ = ["Backbone", "Listener", "backbone", "listeners"]

T = TypeVar("T")

_CLOSE_S = 1.0


class Listener(Protocol):
    """Somebody's callbacks, running in a thread of their own."""

    @property
    def is_owed(self) -> bool:
        """Whether the process may not exit before they were called."""
        ...

    def join(self) -> None: ...


listeners: set[Listener] = set()
"""Those whose thread runs: they enter and leave by themselves."""


class Backbone:
    """Runs until the process exits; get it from `backbone`."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self.tasks: Tasks = Tasks("tts_v2", patience_s=_CLOSE_S)
        self._session: aiohttp.ClientSession | None = None
        self._thread = threading.Thread(target=self._run, name="tts_v2:loop", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def session(self) -> aiohttp.ClientSession:
        """What dials; to be used on the loop only."""
        if self._session is None:
            self._session = open_session()
        return self._session

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop and return what it returns, from any thread but the loop's own."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Break what is open and end the thread; safe twice."""
        if self.is_alive:
            asyncio.run_coroutine_threadsafe(self._close(), self.loop)
            self._thread.join(2 * _CLOSE_S)

    async def _close(self) -> None:
        await self.tasks.close()
        if self._session is not None:
            await self._session.close()
        self.loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()


class _Present:
    """The backbone of this process, once it is needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.backbone: Backbone | None = None
        self.inherited: list[Backbone | None] = []

    def forget(self) -> None:
        """After a fork: the loop's thread stayed with the parent, and its sockets are not ours to close."""
        self.lock = threading.Lock()
        self.inherited.append(self.backbone)
        self.backbone = None
        listeners.clear()

    def leave(self) -> None:
        """Hear out whom something is owed, as the SDK does with threads that are no daemons."""
        for listener in [listener for listener in listeners if listener.is_owed]:
            listener.join()
        if self.backbone is not None:
            self.backbone.close()


_present = _Present()
os.register_at_fork(after_in_child=_present.forget)
atexit.register(_present.leave)


def backbone() -> Backbone:
    """The running backbone of this process."""
    with _present.lock:
        if _present.backbone is None or not _present.backbone.is_alive:
            _present.backbone = Backbone()
        return _present.backbone
