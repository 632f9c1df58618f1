"""Recognition of speech by a CosyVoice service, the cloud's or our own, over connections that are warm.

The protocol is the voice's (`bridge.aio.cosyvoice_pool`): an utterance is a task on an open connection, its
sound goes up in binary frames, its sentences come down as events.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from bridge.aio.cosyvoice_connection import Connection
from bridge.aio.cosyvoice_pool import CosyVoicePool, TtsSettings
from bridge.aio.cosyvoice_ride import Ride
from bridge.cosyvoice.hearing import run_hearing
from bridge.cosyvoice.message import Event
from bridge.cosyvoice.task import (
    ClientState,
    Ended,
    Failed,
    Freed,
    HearingPatience,
    HearingTask,
    Listen,
    Understood,
)
from bridge.errors import RecognitionError
from bridge.ports import Clock, IdSource, Understanding

__all__ = ["CosyVoiceEars", "EarsSettings", "PooledHearing"]

_KEPT_MS = 10_000
"""Sound that waits for a connection; an utterance with more has come to nothing."""
_MOST_CHARACTERS = 4000
"""Of a sentence; half a minute of anybody's speech is a tenth of it."""
_MOST_UNREAD = 64
_OUTCOMES = ("heard", "failed", "dropped", "cancelled")


@dataclass(frozen=True, slots=True)
class EarsSettings:
    """Which service understands, and how."""

    url: str
    api_key: str = field(default="", repr=False)
    model: str = "paraformer-realtime-v2"
    language: str = ""
    """Hint, ISO 639-1; empty leaves it to the service."""
    rate_hz: int = 16_000
    """Sampling frequency of what is sent."""
    max_at_once: int = 16
    """Utterances that are heard at a time; more are dropped and counted."""
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: HearingPatience = field(default_factory=HearingPatience)


class CosyVoiceEars:
    """A `bridge.ports.Recognizer`. `start` it, and `close` it.

    Args:
        settings: Which service.
        clock: For deadlines.
        dice: For task ids.
    """

    def __init__(self, settings: EarsSettings, *, clock: Clock, dice: IdSource) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
        """Utterances so far, by what became of them: heard, failed, dropped, cancelled."""
        pool = TtsSettings(
            settings.url,
            settings.api_key,
            max_connections=settings.max_at_once + 1,
            headers=settings.headers,
            name="ears",
        )
        self.pool: CosyVoicePool = CosyVoicePool(pool, clock=clock, dice=dice)
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._at_once = 0

    @property
    def rate_hz(self) -> int:
        return self._settings.rate_hz

    async def start(self) -> None:
        """Begin to dial the connection that stands by."""
        await self.pool.start()

    async def close(self) -> None:
        """End every recognition and close every connection."""
        await self.pool.close()

    def listen(self) -> "PooledHearing | None":
        settings = self._settings
        if self._at_once >= settings.max_at_once:
            self.outcomes["dropped"] += 1
            return None
        self._at_once += 1
        run = run_hearing(
            self._dice.token(), settings.model, sample_rate=settings.rate_hz, language=settings.language
        )
        task = HearingTask(
            run,
            most_kept_bytes=2 * settings.rate_hz * _KEPT_MS // 1000,
            now_ns=self._clock.now_ns(),
            patience=settings.patience,
        )
        hearing = PooledHearing(task, clock=self._clock, pool=self.pool, on_end=self._ended)
        self.pool.carry(hearing)
        return hearing

    def _ended(self, outcome: str) -> None:
        self._at_once -= 1
        self.outcomes[outcome] += 1


class PooledHearing:
    """A `bridge.ports.Recognition` on a connection of the pool.

    Args:
        task: The machine; not yet bound.
        clock: For deadlines.
        pool: Whose connections.
        on_end: Called once, with what became of it.
    """

    def __init__(
        self, task: HearingTask, *, clock: Clock, pool: CosyVoicePool, on_end: Callable[[str], None]
    ) -> None:
        self.room: asyncio.Event = asyncio.Event()
        """Always set: sentences are few."""
        self.room.set()
        self._task = task
        self._clock = clock
        self._pool = pool
        self._on_end = on_end
        self._ride = Ride(task, clock=clock, free=pool.freed, due=self._due)
        self._told: deque[Understanding] = deque(maxlen=_MOST_UNREAD)
        self._news = asyncio.Event()
        self._is_over = False
        self._ride.arm()

    def queue(self) -> None:
        """The task bounds its wait for a connection itself."""

    def bind(self, connection: Connection) -> None:
        """Start the task on `connection`, which is idle and open."""
        self._ride.begin(self, connection)
        self._settle()

    def hear(self, pcm: bytes) -> None:
        self._change(lambda: self._task.hear(pcm))

    def finish(self) -> None:
        self._change(lambda: self._task.finish(now_ns=self._clock.now_ns()))

    def cancel(self) -> None:
        if not self._is_over:
            self._end("cancelled")
        self._change(lambda: self._task.cancel(now_ns=self._clock.now_ns()))

    async def results(self) -> AsyncIterator[Understanding]:
        while True:
            while self._told:
                yield self._told.popleft()
            if self._is_over:
                break
            self._news.clear()
            await self._news.wait()
        if (failure := self._task.failure) is not None:
            raise RecognitionError(failure.message, code=failure.code)

    def receive(self, item: Event | bytes) -> None:
        """Take what the connection brought."""
        self._task.receive(item, now_ns=self._clock.now_ns())
        self._settle()

    def lost(self, failure: Failed) -> None:
        """The connection is gone, or none could be opened."""
        self._task.lost(failure)
        self._settle()

    def _change(self, change: Callable[[], None]) -> None:
        """Do what may end a wait for a connection."""
        waited = self._task.state is ClientState.WAITING
        change()
        if waited and self._task.is_over:
            self._pool.forget(self)
        self._settle()

    def _settle(self) -> None:
        for output in self._task.drain():
            match output:
                case Understood(transcript=told):
                    text = told.text[:_MOST_CHARACTERS]
                    self._told.append(Understanding(text, told.is_final, told.begin_ms, told.end_ms))
                    self._news.set()
                case Ended():
                    self._end("heard")
                case Failed():
                    self._end("failed")
                case Freed():
                    self._ride.end(reusable=output.reusable)
                case Listen(data=data):
                    self._ride.write_sound(data)
                case _:
                    self._ride.write(output)
        self._ride.arm()

    def _end(self, outcome: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._news.set()
        self._on_end(outcome)

    def _due(self) -> None:
        self._change(lambda: self._task.handle_timeout(now_ns=self._clock.now_ns()))
