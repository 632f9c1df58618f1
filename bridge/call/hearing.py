"""What reaches the agent from the caller's side: voice, silence, digits."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakSet

from bridge.plane.events import Digit, Ducked, Flushed, PlaneEvent, Resumed, VoiceStarted, VoiceStopped
from bridge.ports import Clock

__all__ = ["CallEvent", "CallerWords", "Hearing", "Text"]


@dataclass(frozen=True, slots=True)
class Text:
    """The caller sent a text beside the sound (RFC 3428)."""

    text: str
    """1300 bytes at most."""


@dataclass(frozen=True, slots=True)
class CallerWords:
    """What the caller says, as the recogniser understands it."""

    id: int
    """Counts the sentences of the call from 1; words of the same id take the place of those before."""
    text: str
    is_final: bool
    """Whether the sentence is over and will not change any more."""
    began_ns: int
    """When its sound came, in monotonic ns."""
    ended_ns: int
    """Until when, as far as it was heard."""


CallEvent = Digit | Ducked | Flushed | Resumed | VoiceStarted | VoiceStopped | Text
"""What `Call.events` yields."""

T = TypeVar("T")

_TYPED_AHEAD = 64
_BACKLOG = 256


class Hearing:
    """Keeps digits until they are asked for, knows since when the caller is silent, tells listeners."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._digits: deque[str] = deque(maxlen=_TYPED_AHEAD)
        self._typed = asyncio.Event()
        self._is_voice = False
        self._quiet_since_ns = clock.now_ns()
        self._changed = asyncio.Event()
        self._listeners: set[asyncio.Queue[CallEvent]] = set()
        # Weakly: a reader that is asked for and never read leaves nothing behind.
        self._readers: WeakSet[asyncio.Queue[CallerWords]] = WeakSet()

    def on_event(self, event: PlaneEvent) -> None:
        """Take note of one report of the media process."""
        match event:
            case Digit():
                self._digits.append(event.digit)
                self._typed.set()
            case VoiceStarted():
                self._is_voice = True
            case VoiceStopped():
                self._is_voice = False
                self._quiet_since_ns = event.ended_ns
            case Ducked() | Flushed() | Resumed():
                pass
            case _:
                return
        self._changed.set()
        self._tell(event)

    def on_text(self, text: str) -> None:
        """Take a text of the caller."""
        self._tell(Text(text))

    def on_words(self, words: CallerWords) -> None:
        """Take what the caller was understood to say."""
        for reader in self._readers:
            _put(reader, words)

    def _tell(self, event: CallEvent) -> None:
        for listener in self._listeners:
            _put(listener, event)

    async def events(self) -> AsyncIterator[CallEvent]:
        """Yield what happens from now on, until the call ends.

        A listener that falls 256 events behind loses the oldest ones.
        """
        queue: asyncio.Queue[CallEvent] = asyncio.Queue(_BACKLOG)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def words(self) -> AsyncIterator[CallerWords]:
        """Return an iterator of what the caller says from this call on; bounded as `events`."""
        queue: asyncio.Queue[CallerWords] = asyncio.Queue(_BACKLOG)
        self._readers.add(queue)
        return _all_of(queue)

    async def digit(self, *, timeout_s: float) -> str:
        """Return the next digit, typed ahead or still to come; empty after `timeout_s` without one."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._digits:
                    self._typed.clear()
                    await self._typed.wait()
        except TimeoutError:
            return ""
        return self._digits.popleft()

    async def quiet(self, lasting_ms: int, *, from_now: bool = False) -> None:
        """Return once the caller has been silent for `lasting_ms` without a break.

        Args:
            lasting_ms: How long.
            from_now: Whether the silence until now does not count.
        """
        begun_ns = self._clock.now_ns() if from_now else 0
        while True:
            self._changed.clear()
            left_ns = None
            if not self._is_voice:
                left_ns = max(self._quiet_since_ns, begun_ns) + lasting_ms * 1_000_000 - self._clock.now_ns()
                if left_ns <= 0:
                    return
            try:
                async with asyncio.timeout(None if left_ns is None else left_ns / 1e9):
                    await self._changed.wait()
            except TimeoutError:
                continue


async def _all_of(queue: "asyncio.Queue[T]") -> AsyncIterator[T]:
    while True:
        yield await queue.get()


def _put(queue: "asyncio.Queue[T]", item: T) -> None:
    if queue.full():
        queue.get_nowait()  # a listener that sleeps loses the oldest, never the newest
    queue.put_nowait(item)
