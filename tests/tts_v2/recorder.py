"""A callback that remembers, and can be told to do something of its own."""

import threading
from collections.abc import Callable

from bridge.tts_v2.callback import ResultCallback
from tests.tts_v2.service import WAIT_S


class Recorder(ResultCallback):
    """Remembers what was called, with what, and in which thread."""

    def __init__(self, **acts: Callable[[], object]) -> None:
        self.calls: list[str] = []
        self.threads: dict[str, str] = {}
        self.events: list[str] = []
        self.frames: list[bytes] = []
        self.errors: list[str] = []
        self.closed = threading.Event()
        self.heard = threading.Event()
        self.acts: dict[str, Callable[[], object]] = acts

    @property
    def sound(self) -> bytes:
        return b"".join(self.frames)

    def wait_closed(self) -> None:
        assert self.closed.wait(WAIT_S)

    def wait_heard(self) -> None:
        """Wait for the first sound."""
        assert self.heard.wait(WAIT_S)

    def on_open(self) -> None:
        self._note("on_open")

    def on_event(self, message: str) -> None:
        self.events.append(message)
        self._note("on_event")

    def on_data(self, data: bytes) -> None:
        self.frames.append(data)
        self.heard.set()
        self._note("on_data")

    def on_complete(self) -> None:
        self._note("on_complete")

    def on_error(self, message: str) -> None:
        self.errors.append(message)
        self._note("on_error")

    def on_close(self) -> None:
        self._note("on_close")
        self.closed.set()

    def _note(self, name: str) -> None:
        self.calls.append(name)
        self.threads[name] = threading.current_thread().name
        if name in self.acts:
            self.acts[name]()
