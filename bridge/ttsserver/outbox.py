"""What waits to be written to one client, so that reading never waits for writing."""

import asyncio
from collections import deque
from dataclasses import dataclass

__all__ = ["BURST_ITEMS", "USUAL_ITEMS", "HangUp", "Item", "Message", "Outbox", "Pause"]


@dataclass(frozen=True, slots=True)
class Message:
    """A text frame, and the binary frame that belongs right behind it."""

    text: str
    sound: bytes = b""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the socket; the last item there is."""

    code: int
    """Of the closing handshake; 0 resets the connection without one, which only faults ask for."""
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next item; only faults ask for it."""

    seconds: float


Item = Message | HangUp | Pause

USUAL_ITEMS = 8
BURST_ITEMS = 200
_MOST_ITEMS = 1_000
_MOST_CHARACTERS = 4_000_000
"""Of texts: a client can have its own long words repeated to it."""


class Outbox:
    """A queue with one reader. Putting never waits; who makes sound asks for `room` first."""

    def __init__(self, limit: int = USUAL_ITEMS) -> None:
        self.limit: int = limit
        """Items above which `room` waits, so that little is rendered ahead of a slow reader."""
        self._items: deque[Item] = deque()
        self._characters = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_flooded(self) -> bool:
        """More waits than an honest client ever leaves unread: sound asks for room, but events do not."""
        return len(self._items) > _MOST_ITEMS or self._characters > _MOST_CHARACTERS

    def put(self, item: Item) -> None:
        self._items.append(item)
        self._characters += _characters(item)
        self._filled.set()
        if len(self._items) >= self.limit:
            self._has_room.clear()

    def drop_sound(self) -> None:
        """Forget the frames that a cancelled task has not sent yet; everything else stays."""
        self._items = deque(item for item in self._items if not _is_of_sound(item))
        self._characters = sum(map(_characters, self._items))
        self._note_room()

    async def room(self) -> None:
        """Wait until the reader has caught up."""
        await self._has_room.wait()

    async def take(self) -> Item:
        """Wait for the next item and remove it."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        self._characters -= _characters(item)
        self._note_room()
        return item

    def _note_room(self) -> None:
        if len(self._items) < self.limit:
            self._has_room.set()


def _characters(item: Item) -> int:
    return len(item.text) if isinstance(item, Message) else 0


def _is_of_sound(item: Item) -> bool:
    return isinstance(item, Pause) or (isinstance(item, Message) and bool(item.sound))
