"""What happens in calls, told to whoever listens: one numbered stream, and nobody waits for a slow reader."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from bridge.ports import Clock

__all__ = ["Bus", "Notice", "Subscription", "Value"]

Value: TypeAlias = str | int | float | bool | None
_NOTHING: Mapping[str, Value] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened in one call."""

    seq: int
    """Rises by one over all calls, from 1."""
    at_ns: int
    """When it was told."""
    call: str
    """Our id of the call."""
    kind: str
    """What it was, for instance ``call.answered``."""
    data: Mapping[str, Value] = field(default_factory=lambda: _NOTHING)


class Subscription:
    """What one reader has yet to read; made by `Bus.subscribe`, ended by `close`.

    A reader that falls too far behind is told nothing more: what it has is handed out, then `next` returns
    None, and `dropped` says how much it missed at least.
    """

    def __init__(self, bus: "Bus", *, call: str, backlog: int) -> None:
        self.dropped: int = 0
        """Notices that found no room."""
        self._bus = bus
        self._call = call
        self._backlog = backlog
        self._waiting: deque[Notice] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False

    async def next(self) -> Notice | None:
        """Return the next notice, or None when the subscription was closed or its reader was too slow."""
        while not self._waiting:
            if self._is_closed or self.dropped:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def take(self, notice: Notice) -> None:
        """Keep a notice until it is read, if it is about the wanted call; called by the bus."""
        if self._call not in ("", notice.call):
            return
        if self.dropped or len(self._waiting) >= self._backlog:
            self.dropped += 1
        else:
            self._waiting.append(notice)
        self._arrived.set()

    def close(self) -> None:
        """Hear no more; whoever waits in `next` is let go. Harmless twice."""
        self._is_closed = True
        self._bus.leave(self)
        self._arrived.set()


class Bus:
    """Tells every subscriber what happens.

    Args:
        clock: For the time of each notice.
    """

    def __init__(self, clock: Clock) -> None:
        self.seq: int = 0
        """Number of the last notice; 0 before the first."""
        self._clock = clock
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def tell(self, call: str, kind: str, data: Mapping[str, Value] = _NOTHING) -> None:
        """Tell everybody who listens; never waits."""
        self.seq += 1
        notice = Notice(self.seq, self._clock.now_ns(), call, kind, data)
        for subscription in self._subscriptions:
            subscription.take(notice)

    def subscribe(self, *, call: str = "", backlog: int = 256) -> Subscription:
        """Listen from now on.

        Args:
            call: Our id of the only call that is of interest; empty for all.
            backlog: Notices that may wait to be read.
        """
        subscription = Subscription(self, call=call, backlog=backlog)
        self._subscriptions.add(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscription; its `close` calls this."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Let every reader go."""
        for subscription in list(self._subscriptions):
            subscription.close()
