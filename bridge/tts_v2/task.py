"""One task as its connection sees it: what has arrived, and how it ended."""

import json
import logging
import threading
from typing import Any

from bridge.clock import SystemClock
from bridge.tts_v2.courier import Courier, error_text
from bridge.tts_v2.errors import TASK_ERROR, ConnectionLost, RequestFailure

__all__ = ["Task"]

_log = logging.getLogger("bridge.tts_v2")
_clock = SystemClock()


class Task:
    """Written by the reader, waited for by the user's threads.

    Args:
        task_id: Events of any other are dropped.
        courier: Takes what arrives to the user; without one the sound is kept here.
    """

    def __init__(self, task_id: str, courier: Courier | None) -> None:
        self.task_id: str = task_id
        self.courier: Courier | None = courier
        self.started: threading.Event = threading.Event()
        """The task has started, or it never will."""
        self.ended: threading.Event = threading.Event()
        """Nothing will arrive any more."""
        self.failure: RequestFailure | None = None
        """Why it ended, when it was not finished."""
        self.last_message: dict[str, Any] | None = None
        self.chunks: list[bytes] = []
        self.first_audio_ns: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended and everything was delivered but the last callbacks."""
        return self.ended.is_set() and (self.courier is None or self.courier.delivered.is_set())

    def receive_data(self, data: bytes) -> None:
        """Take a frame of sound; what comes before the start belongs to a task before this one."""
        if not self.started.is_set():
            return
        if self.first_audio_ns is None:
            self.first_audio_ns = _clock.now_ns()
        if self.courier is None:
            self.chunks.append(data)
        else:
            self.courier.put_data(data)

    def receive_text(self, text: str) -> bool:
        """Take an event; return whether the task is over.

        The whole text is parsed: it takes 2 us, and a user's own words can look like anything.
        """
        try:
            message = json.loads(text)
            header = message["header"]
            event, task_id = header["event"], header.get("task_id") or self.task_id
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            _log.warning("a text frame of the service is no event; it was dropped")
            return False
        if task_id != self.task_id:
            return False
        self.last_message = message
        if event == "result-generated":
            if self.courier is not None:
                self.courier.put_event(text)
        elif event == "task-started":
            self.started.set()
        elif event == "task-finished":
            self._end()
            return True
        elif event == "task-failed":
            self._end(self._failure(header, text), text)
            return True
        return False

    def lose(self, failure: RequestFailure, *, quietly: bool = False) -> None:
        """Nothing more will come.

        Args:
            failure: Why.
            quietly: The user wanted it: no `on_error`.
        """
        if self.ended.is_set():
            return
        self._end(failure, error_text(failure) if self.started.is_set() and not quietly else None)

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until all was delivered; inside of a callback, until all has arrived."""
        if self.courier is None or self.courier.is_current:
            return self.ended.wait(timeout_s)
        return self.courier.delivered.wait(timeout_s)

    def lost(self) -> ConnectionLost:
        """What to raise when something is asked of a task that has failed."""
        failure = self.failure
        if isinstance(failure, ConnectionLost):
            return failure
        if failure is None:
            return ConnectionLost(self.task_id, "the task is over", "Closed", TASK_ERROR)
        return ConnectionLost(self.task_id, failure.message, failure.name, TASK_ERROR)

    def _failure(self, header: dict[str, Any], text: str) -> RequestFailure:
        name, message = header.get("error_code"), header.get("error_message", text)
        return RequestFailure(request_id=self.task_id, message=message, name=name, http_code=TASK_ERROR)

    def _end(self, failure: RequestFailure | None = None, error: str | None = None) -> None:
        self.failure = failure
        self.ended.set()
        # What failed before it started is told to the caller; a task-failed goes to the callback as well.
        if self.courier is not None and (self.started.is_set() or error is not None):
            self.courier.put_end(error=error, is_complete=failure is None)
        self.started.set()
