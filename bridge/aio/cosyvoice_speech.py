"""One utterance on its way: text in, sound and word times out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from bridge.aio.cosyvoice_connection import Connection
from bridge.aio.cosyvoice_ride import Ride
from bridge.cosyvoice.failures import CLOSED, TIMEOUT, to_error
from bridge.cosyvoice.message import SENTENCE_SYNTHESIS, Event, ResultGenerated
from bridge.cosyvoice.task import ClientState, ClientTask, Ended, Failed, Freed, Sound
from bridge.errors import ConnectionLostError, SynthesisTimeoutError
from bridge.ports import Clock, SentenceMark, WordTime

__all__ = ["PooledSpeech"]


class PooledSpeech:
    """A `bridge.ports.Speech` on a connection of the pool.

    Args:
        task: The machine; not yet bound.
        clock: For the marks.
        most_bytes: Sound kept for the listener; above it the socket is left unread.
        free: Called when the connection carries this speech no more, with whether it may be used again.
        forget: Called when the speech ends before it had a connection.
        most_ahead: Counted characters that the service has and has not come to; above it text has to wait.
    """

    def __init__(
        self,
        task: ClientTask,
        *,
        clock: Clock,
        most_bytes: int,
        free: Callable[[Connection, bool], None],
        forget: Callable[["PooledSpeech"], None],
        most_ahead: int = 2_000,
    ) -> None:
        self.room: asyncio.Event = asyncio.Event()
        self.room.set()
        self._task = task
        self._clock = clock
        self._most_bytes = most_bytes
        self._most_ahead = most_ahead
        self._forget = forget
        self._ride = Ride(task, clock=clock, free=free, due=self._due)
        self._sound: deque[bytes] = deque()
        self._kept_bytes = 0
        self._news = asyncio.Event()
        self._progress = asyncio.Event()
        self._is_over = False
        self._has_sounded = False
        self._was_cancelled = False

    @property
    def task_id(self) -> str:
        return self._task.task_id

    @property
    def bound_ns(self) -> int:
        """When an open connection was bound (mark t6); 0 while there is none."""
        return self._ride.bound_ns

    @property
    def words(self) -> list[WordTime]:
        return self._task.words

    @property
    def was_silent(self) -> bool:
        """Whether the task was ended because its text paused."""
        return self._task.was_silent

    @property
    def sentence(self) -> SentenceMark | None:
        return self._task.sentence

    def queue(self) -> None:
        """Bound the wait for a connection: as many as may be are in use."""
        self._task.queue(now_ns=self._clock.now_ns())
        self._settle()

    def bind(self, connection: Connection) -> None:
        """Start the task on `connection`, which is idle and open."""
        self._ride.begin(self, connection)
        self._settle()

    async def send_text(self, text: str) -> None:
        while self._task.ahead >= self._most_ahead:
            self._progress.clear()
            await self._progress.wait()
        if not self._task.send_text(text, now_ns=self._clock.now_ns()):
            self._complain()
        self._settle()

    async def finish(self) -> None:
        self._task.finish(now_ns=self._clock.now_ns())
        self._settle()

    async def audio(self) -> AsyncIterator[bytes]:
        while True:
            while self._sound:
                yield self._take()
            if self._is_over:
                break
            self._news.clear()
            await self._news.wait()
        if (failure := self._task.failure) is not None:
            raise to_error(failure)

    async def cancel(self) -> int:
        waited = self._task.state is ClientState.WAITING
        self._was_cancelled = True
        self._task.cancel(now_ns=self._clock.now_ns())
        self._settle()
        written_ns = self._clock.now_ns()
        self._sound.clear()
        self._kept_bytes = 0
        # The reader must come to the terminal event, however much sound stands before it.
        self.room.set()
        if waited:
            self._forget(self)
        return written_ns

    def receive(self, item: Event | bytes) -> None:
        """Take what the connection brought."""
        self._task.receive(item, now_ns=self._clock.now_ns())
        # Sound only moves deadlines back, but for the first, which ends one wait and begins another.
        self._settle(is_quiet=self._has_sounded and (type(item) is bytes or _is_announcement(item)))

    def lost(self, failure: Failed) -> None:
        """The connection is gone, or none could be opened."""
        self._task.lost(failure)
        self._settle()

    def _take(self) -> bytes:
        data = self._sound.popleft()
        self._kept_bytes -= len(data)
        if not self.room.is_set() and self._kept_bytes <= self._most_bytes // 2:
            self._task.resumed(now_ns=self._clock.now_ns())
            self.room.set()
            self._ride.arm()
        return data

    def _settle(self, *, is_quiet: bool = False) -> None:
        for output in self._task.drain():
            match output:
                case Sound():
                    self._has_sounded = True
                    self._keep(output.data)
                case Ended() | Failed():
                    self._is_over = True
                    self._news.set()
                case Freed():
                    self.room.set()
                    self._ride.end(reusable=output.reusable)
                case _:
                    self._ride.write(output)
        if is_quiet and self._ride.is_armed:
            return
        self._progress.set()
        self._ride.arm()

    def _keep(self, data: bytes) -> None:
        self._sound.append(data)
        self._kept_bytes += len(data)
        self._news.set()
        if self._kept_bytes > self._most_bytes:
            self.room.clear()
            self._task.held_back()

    def _due(self) -> None:
        waited = self._task.state is ClientState.WAITING
        self._task.handle_timeout(now_ns=self._clock.now_ns())
        self._settle()
        if waited and self._is_over:
            self._forget(self)

    def _complain(self) -> None:
        if (failure := self._task.failure) is not None:
            raise to_error(failure)
        if self._was_cancelled:
            return
        if self._task.was_silent:
            message = "the task was ended because its text paused"
            raise SynthesisTimeoutError(message, code=TIMEOUT, retryable=True, stage="text")
        raise ConnectionLostError("the service ended the task before its text", code=CLOSED, retryable=True)


def _is_announcement(item: Event | bytes) -> bool:
    """Whether it says no more than that sound follows."""
    return type(item) is ResultGenerated and item.type == SENTENCE_SYNTHESIS and item.original_text is None
