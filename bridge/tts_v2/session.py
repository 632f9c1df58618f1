"""One synthesizer object's life: its phases, its task, its connection; the SDK's rules and texts."""

import logging
import threading
from enum import Enum, auto

from bridge.clock import SystemClock
from bridge.tts_v2.backbone import Backbone, backbone
from bridge.tts_v2.callback import ResultCallback
from bridge.tts_v2.courier import Courier
from bridge.tts_v2.errors import ConnectionLost, InputRequired, InvalidTask, StartFailed
from bridge.tts_v2.line import Line
from bridge.tts_v2.patience import PATIENCE, Patience
from bridge.tts_v2.request import Request, check_text
from bridge.tts_v2.task import Task

__all__ = ["Phase", "Session"]

_NOT_STARTED = "speech synthesizer has not been started."
_STOPPED = "speech synthesizer task has stopped."
_ALREADY_STARTED = "task has already started."
_NO_CONNECTION = (
    "WebSocket connection is not established or has been closed. "
    "Please call connect() first and ensure the connection is active."
)
_log = logging.getLogger("bridge.tts_v2")
_clock = SystemClock()


class Phase(Enum):
    """An object carries one task and goes through these once, from above to below."""

    FRESH = auto()
    STARTING = auto()
    RUNNING = auto()
    FINISHING = auto()
    """All text was sent; sound may still come."""
    SPENT = auto()


class Session:
    """What `SpeechSynthesizer` does, by names of the protocol.

    Args:
        request: What to ask for.
        callback: Who is told; None keeps the sound for `call`.
    """

    def __init__(self, request: Request, callback: ResultCallback | None) -> None:
        self.request: Request = request
        self.callback: ResultCallback | None = callback
        self.patience: Patience = PATIENCE
        self.line: Line | None = None
        """An open connection, out of a pool or its own."""
        self.task: Task | None = None
        self._phase = Phase.FRESH
        # Characters sent by `say`; None before its first call, which is the one that starts the task.
        self._spoken: int | None = None
        self._started_ns = 0
        # One thread starts the task; a second one that sends text meanwhile waits for that.
        self._starting = threading.RLock()

    @property
    def phase(self) -> Phase:
        """Where the object stands; what has been finished and has ended is spent."""
        if self._phase is Phase.FINISHING and self.task is not None and self.task.is_over:
            self._phase = Phase.SPENT
        return self._phase

    @property
    def is_connected(self) -> bool:
        return self.line is not None and self.line.is_open

    @property
    def first_audio_delay_ms(self) -> float:
        """From the start, connecting included, to the first sound; 0 before any has come."""
        if self.task is None or self.task.first_audio_ns is None:
            return 0
        return (self.task.first_audio_ns - self._started_ns) / 1e6

    def call(self, text: str, timeout_ms: float | None) -> bytes | None:
        """Speak one text; without a callback, wait for the sound and return it."""
        check_text(text, ssml=True, spoken=0)
        self._start(ssml=True)
        try:
            self._send(self.request.continue_task(text), self.request.finish_task())
        except ConnectionLost:
            # A service that has finished already has said all it wanted to.
            if self._present_task().failure is not None:
                raise
        self._phase = Phase.FINISHING
        if self.callback is not None:
            self.expect_end(timeout_ms)
            return None
        task = self.await_end(timeout_ms)
        return b"".join(task.chunks) or None

    def say(self, text: str) -> None:
        """Send text; the first one starts the task."""
        length = check_text(text, ssml=False, spoken=self._spoken or 0)
        with self._starting:
            if self._spoken is None:
                if self.callback is None and self._phase is Phase.FRESH:
                    raise InputRequired("callback is required!")
                self._spoken = 0
                self._start(ssml=False)
            self._require_running()
            self._spoken += length
        self._send(self.request.continue_task(text))

    def flush(self) -> None:
        self._require_running()
        self._send(self.request.flush())

    def finish(self) -> bool:
        """Say that no text follows, once; return whether an end is still to come.

        Raises:
            InvalidTask: If there is no task.
            ConnectionLost: If there is no connection any more.
        """
        if self.phase not in (Phase.RUNNING, Phase.FINISHING):
            raise InvalidTask(_NOT_STARTED)
        task = self._present_task()
        if task.failure is not None:
            self._phase = Phase.SPENT
            # A task-failed has been told to the callback; that nothing more can be sent has not.
            if isinstance(task.failure, ConnectionLost):
                raise task.failure
            return False
        if self._phase is Phase.RUNNING:
            self._send(self.request.finish_task())
            self._phase = Phase.FINISHING
        return True

    def await_end(self, timeout_ms: float | None) -> Task:
        """Wait until all was delivered, and close what was opened for it.

        Raises:
            TimeoutError: If it takes longer.
            RequestFailure: If the task has failed and there is no callback to tell.
            ConnectionLost: If the connection has.
        """
        task = self._present_task()
        try:
            if not task.wait(_seconds(timeout_ms)):
                raise TimeoutError(f"speech synthesizer wait for complete timeout {timeout_ms}ms")
        except TimeoutError as error:
            self._hang_up(str(error), name="Timeout", quietly=False)
            raise
        except BaseException:
            self._hang_up("the wait for the end was interrupted")
            raise
        finally:
            self._phase = Phase.SPENT
        if task.courier is not None:
            task.courier.join(self.patience.last_callbacks_s)
        if task.failure is not None and (task.courier is None or isinstance(task.failure, ConnectionLost)):
            raise task.failure
        return task

    def expect_end(self, timeout_ms: float | None) -> None:
        """Do not wait: the callback is told, also if it takes longer, and the process stays until it was."""
        task = self._present_task()
        if task.courier is not None:
            task.courier.owe()
        if self.line is not None and (seconds := _seconds(timeout_ms)) is not None:
            self.line.expire(task, seconds)

    def cancel(self, timeout_ms: float | None) -> None:
        """End the task now, drop the sound that was not delivered, and wait for the service to confirm."""
        if self.phase not in (Phase.RUNNING, Phase.FINISHING):
            raise InvalidTask(_NOT_STARTED)
        task = self._present_task()
        if task.courier is not None:
            task.courier.mute()
        try:
            if not task.ended.is_set():
                self._send(self.request.cancel())
            if not task.ended.wait(_seconds(timeout_ms)):
                _log.warning("the service did not confirm the cancel within %s ms; closing", timeout_ms)
                self._hang_up("the service did not confirm the cancel")
        except ConnectionLost:
            return  # over is over; the callback was told why
        finally:
            self._phase = Phase.SPENT

    def close(self) -> None:
        """Close the connection, and with it a task that still runs; safe at any time."""
        self._hang_up("it was closed by close()")

    def retire(self) -> Line | None:
        """Give the connection up, to a pool."""
        self._phase = Phase.SPENT
        line, self.line = self.line, None
        return line

    def _start(self, *, ssml: bool) -> None:
        with self._starting:
            self._require_fresh()
            self._phase = Phase.STARTING
            self._started_ns = _clock.now_ns()
            spine = backbone()
            courier = None
            if self.callback is not None:
                courier = Courier(
                    self.callback,
                    task_id=self.request.task_id,
                    loop=spine.loop,
                    most_bytes=self.patience.most_bytes,
                )
            task = self.task = Task(self.request.task_id, courier)
            try:
                self._await_start(task, spine, self.request.run_task(ssml=ssml))
            except BaseException:
                self._phase = Phase.SPENT
                self._hang_up("the task did not start")
                if courier is not None and courier.is_owed:
                    courier.start()  # for on_error and on_close of a task-failed
                raise
            self._phase = Phase.RUNNING
            if self.callback is not None and courier is not None:
                try:
                    self.callback.on_open()
                finally:
                    courier.start()

    def _await_start(self, task: Task, spine: Backbone, run_task: str) -> None:
        try:
            self.line = spine.run(self._open(task, spine, run_task))
        except StartFailed as error:
            error.request_id = error.request_id or task.task_id
            raise
        if not task.started.wait(self.patience.start_s):
            raise TimeoutError("start speech synthesizer failed within 5s.")
        if task.failure is not None:
            raise task.failure

    async def _open(self, task: Task, spine: Backbone, run_task: str) -> Line:
        line = self.line
        if line is None or not line.is_open:
            line = await Line.dial(self.request.endpoint, spine, self.patience)
        line.carry(task)
        try:
            await line.send(run_task)
        except ConnectionError as error:
            line.close(f"the connection ended before the task started: {error}")
        return line

    def _send(self, *texts: str) -> None:
        task, line = self._present_task(), self.line
        if line is None or task.ended.is_set():
            raise task.lost()
        try:
            backbone().run(line.send(*texts))
        except ConnectionError:
            # The reader knows why, or is about to.
            line.close("the connection to the service broke", quietly=False)
            task.ended.wait()
            raise task.lost() from None

    def _hang_up(self, message: str, *, name: str = "Closed", quietly: bool = True) -> None:
        if self.line is not None:
            self.line.close(message, name=name, quietly=quietly)

    def _present_task(self) -> Task:
        if self.task is None:
            raise InvalidTask(_NOT_STARTED)
        return self.task

    def _require_fresh(self) -> None:
        phase = self.phase
        if phase is Phase.SPENT and not self.is_connected:
            raise ConnectionError(_NO_CONNECTION)
        if phase is not Phase.FRESH:
            raise InvalidTask(_ALREADY_STARTED)

    def _require_running(self) -> None:
        match self.phase:
            case Phase.RUNNING:
                return
            case Phase.FINISHING:
                raise InvalidTask(_STOPPED)
            case _:
                raise InvalidTask(_NOT_STARTED)


def _seconds(timeout_ms: float | None) -> float | None:
    return timeout_ms / 1000 if timeout_ms is not None and timeout_ms > 0 else None
