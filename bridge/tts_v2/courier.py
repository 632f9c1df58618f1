"""Runs the callbacks of one task, in order, in a thread of their own."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from bridge.tts_v2.backbone import listeners
from bridge.tts_v2.callback import ResultCallback
from bridge.tts_v2.errors import RequestFailure

__all__ = ["Courier", "error_text"]

_log = logging.getLogger("bridge.tts_v2")


@dataclass(frozen=True, slots=True)
class _End:
    """What comes last: `on_complete` or `on_error` or neither, then `on_close`."""

    error: str | None
    is_complete: bool


class Courier:
    """Between the reader, which never waits, and the user's code, which may take its time.

    Args:
        callback: The user's.
        task_id: For the name of the thread.
        loop: The reader's.
        most_bytes: Undelivered above this, there is no room until half of it is.
    """

    def __init__(
        self, callback: ResultCallback, *, task_id: str, loop: asyncio.AbstractEventLoop, most_bytes: int
    ) -> None:
        self.room: asyncio.Event = asyncio.Event()
        """Cleared while too much is undelivered."""
        self.room.set()
        self.delivered: threading.Event = threading.Event()
        """All sound and all events were handed over, or dropped; the last callbacks are next."""
        self._callback = callback
        self._loop = loop
        self._most_bytes = most_bytes
        self._waiting: SimpleQueue[tuple[Callable[[Any], None], Any] | _End] = SimpleQueue()
        self._flow = _Flow()
        self._thread = threading.Thread(target=self._run, name=f"tts_v2:{task_id}", daemon=True)

    @property
    def is_current(self) -> bool:
        """Whether this is called from within a callback."""
        return threading.current_thread() is self._thread

    @property
    def is_owed(self) -> bool:
        return self._flow.is_owed

    def owe(self) -> None:
        """Do not let the process exit before the last callback has returned."""
        self._flow.is_owed = True

    def start(self) -> None:
        """Begin to call; what was put before is kept."""
        listeners.add(self)
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the last callback; returns at once inside of one."""
        if not self.is_current:
            self._thread.join(timeout_s)

    def mute(self) -> None:
        """Drop what is waiting and what comes, but for the end."""
        self._flow.is_muted = True
        self._loop.call_soon_threadsafe(self.room.set)

    def put_event(self, text: str) -> None:
        """Queue an `on_event`; for the reader."""
        self._put(self._callback.on_event, text)

    def put_data(self, data: bytes) -> None:
        """Queue an `on_data`; for the reader."""
        self._put(self._callback.on_data, data)

    def put_end(self, *, error: str | None = None, is_complete: bool = False) -> None:
        """Queue the last callbacks; nothing may follow."""
        self.owe()
        self._waiting.put(_End(error, is_complete))

    def _put(self, method: Callable[[Any], None], content: str | bytes) -> None:
        flow = self._flow
        if flow.is_muted:
            return
        flow.taken_bytes += len(content)
        self._waiting.put((method, content))
        if flow.waiting_bytes > self._most_bytes:
            self.room.clear()
            # The other thread may have caught up between the two lines above.
            if flow.waiting_bytes < self._most_bytes // 2:
                self.room.set()

    def _run(self) -> None:
        flow, take = self._flow, self._waiting.get
        try:
            while not isinstance(item := take(), _End):
                method, content = item
                if not flow.is_muted:
                    self._call(method, content)
                flow.given_bytes += len(content)
                if flow.waiting_bytes < self._most_bytes // 2 and not self.room.is_set():
                    self._loop.call_soon_threadsafe(self.room.set)
            self.delivered.set()
            if item.error is not None:
                self._call(self._callback.on_error, item.error)
            elif item.is_complete:
                self._call(self._callback.on_complete)
            self._call(self._callback.on_close)
        finally:
            self.delivered.set()
            listeners.discard(self)

    def _call(self, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except BaseException:  # the stream goes on, as with the SDK; here the traceback is shown
            _log.exception("the callback %s failed", getattr(method, "__name__", method))


class _Flow:
    """Counters with one writer each, so that they need no lock."""

    __slots__ = ("given_bytes", "is_muted", "is_owed", "taken_bytes")

    def __init__(self) -> None:
        self.taken_bytes = 0
        self.given_bytes = 0
        self.is_muted = False
        self.is_owed = False

    @property
    def waiting_bytes(self) -> int:
        return self.taken_bytes - self.given_bytes


def error_text(failure: RequestFailure) -> str:
    """A failure that is ours, as the task-failed which the service could not send any more."""
    header: dict[str, object] = {
        "task_id": failure.request_id,
        "event": "task-failed",
        "error_code": failure.name,
        "error_message": failure.message,
        "attributes": {},
    }
    return json.dumps({"header": header, "payload": {}})
