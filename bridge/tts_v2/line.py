"""One open WebSocket to the service, and the one task it may carry."""

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp import WSMsgType

from bridge.aio.websocket import RefusedError, connect, ending_of
from bridge.clock import SystemClock
from bridge.tts_v2.backbone import Backbone
from bridge.tts_v2.endpoint import Endpoint
from bridge.tts_v2.errors import TASK_ERROR, ConnectionLost, RequestFailure, StartFailed
from bridge.tts_v2.handshake import start_failed
from bridge.tts_v2.patience import PATIENCE, Patience
from bridge.tts_v2.task import Task

__all__ = ["Line"]

_TOO_LATE = (
    "websocket connection could not established within 5s. "
    "Please check your network connection, firewall settings, or server status."
)
_clock = SystemClock()


class Line:
    """Made by `dial`. Everything but `close` belongs on the backbone's loop."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, spine: Backbone) -> None:
        self.is_open: bool = True
        self.stays_open: bool = False
        """Whether it outlives the end of a task."""
        self.idle_since_ns: int = _clock.now_ns()
        """When the service's idle clock started."""
        self.on_change: Callable[[], None] = _nothing
        """Called on the loop when the line has closed or its task has ended."""
        self._socket = socket
        self._spine = spine
        self._task: Task | None = None
        self._deadline: asyncio.TimerHandle | None = None

    @classmethod
    async def dial(cls, endpoint: Endpoint, spine: Backbone, patience: Patience = PATIENCE) -> "Line":
        """Connect.

        Raises:
            StartFailed: At once, when the service cannot be reached or refuses.
            TimeoutError: After `Patience.connect_s`.
        """
        try:
            async with asyncio.timeout(patience.connect_s):
                socket = await connect(
                    spine.session, endpoint.url, dict(endpoint.headers), frame_bytes=patience.frame_bytes
                )
        except RefusedError as refusal:
            raise start_failed(refusal) from None
        except TimeoutError:
            raise TimeoutError(_TOO_LATE) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            message = f"{endpoint.url} cannot be reached: {str(error) or type(error).__name__}"
            raise StartFailed(None, message, "Unreachable", TASK_ERROR) from None
        line = cls(socket, spine)
        spine.tasks.start(line._read(), name="read")
        return line

    @property
    def is_busy(self) -> bool:
        task = self._task
        return task is not None and not task.ended.is_set()

    def carry(self, task: Task) -> None:
        """Give what arrives from now on to `task`, until it ends."""
        self._task = task
        if not self.is_open:
            self._end_task(self._lost("the service closed the connection", task), quietly=True)

    async def send(self, *texts: str) -> None:
        """Write; waits while the service reads nothing.

        Raises:
            ConnectionError: If the connection has ended.
        """
        if not self.is_open:
            raise ConnectionError("the connection has ended")
        for text in texts:
            await self._socket.send_str(text)

    def expire(self, task: Task, after_s: float) -> None:
        """End `task` and the line if it is not over by then; from any thread."""
        self._spine.loop.call_soon_threadsafe(self._expire, task, after_s)

    def close(self, message: str, *, name: str = "Closed", quietly: bool = True) -> None:
        """Close in good order, in the background, from any thread; safe twice.

        Args:
            message: What a task that is still running is told.
            name: Its error code.
            quietly: No `on_error`: the user wanted it.
        """
        self._spine.loop.call_soon_threadsafe(self._close, message, name, quietly)

    def _close(self, message: str, name: str, quietly: bool) -> None:
        if (task := self._task) is not None:
            self._end_task(self._lost(message, task, name), quietly=quietly)
        if self.is_open:
            self.is_open = False
            self._spine.tasks.start(self._hang_up(), name="close")
            self.on_change()

    def _expire(self, task: Task, after_s: float) -> None:
        if self._task is task:
            message = f"speech synthesizer wait for complete timeout {round(after_s * 1000)}ms"
            self._deadline = self._spine.loop.call_later(after_s, self._close, message, "Timeout", False)

    async def _read(self) -> None:
        receive = self._socket.receive
        ending = "the connection to the service broke"
        try:
            while True:
                message = await receive()
                kind = message.type
                task = self._task
                if kind is WSMsgType.BINARY:
                    if task is not None:
                        task.receive_data(message.data)
                elif kind is WSMsgType.TEXT:
                    if task is not None and task.receive_text(message.data):
                        self._task_over(task)
                        if not self.is_open:
                            break
                else:
                    ending = ending_of(message)
                    break
                if task is not None and task.courier is not None and not task.courier.room.is_set():
                    await task.courier.room.wait()
        finally:
            was_open, self.is_open = self.is_open, False
            if (task := self._task) is not None:
                self._end_task(self._lost(ending, task), quietly=False)
            if was_open:
                self.on_change()
            # Also when the process ends and this task is cancelled: the library wants its sockets closed.
            await self._hang_up()

    def _task_over(self, task: Task) -> None:
        self._drop_task()
        self.idle_since_ns = _clock.now_ns()
        # After a task-failed the service closes; nothing may be sent on it any more.
        self.is_open = self.is_open and self.stays_open and task.failure is None
        self.on_change()

    def _end_task(self, failure: RequestFailure, *, quietly: bool) -> None:
        task = self._task
        self._drop_task()
        if task is not None:
            task.lose(failure, quietly=quietly)
            if task.courier is not None:
                task.courier.room.set()

    def _drop_task(self) -> None:
        self._task = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _lost(self, message: str, task: Task, name: str = "Closed") -> RequestFailure:
        kind = ConnectionLost if task.started.is_set() else StartFailed
        return kind(task.task_id, message, name, TASK_ERROR)

    async def _hang_up(self) -> None:
        await self._socket.close()


def _nothing() -> None:
    """Nobody has asked to be told."""
