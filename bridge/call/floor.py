"""Who speaks next on a line: one at a time, in order, unless somebody is let through to the front."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Floor"]


class Floor:
    """A lock whose queue has a front door; cancelling whoever waits takes it out of the queue."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_taken(self) -> bool:
        return self._is_taken

    @asynccontextmanager
    async def turn(self, *, first: bool = False) -> AsyncIterator[None]:
        """Wait for the floor, hold it, give it on.

        Args:
            first: Wait before all others who wait now.
        """
        await self._take(first)
        try:
            yield
        finally:
            self._give_on()

    async def _take(self, first: bool) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(mine)
        else:
            self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self._give_on()  # it was ours already
            raise

    def _give_on(self) -> None:
        """Hand the floor to the next in the queue; it is never free in between, so nobody slips in."""
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():  # else its task was cancelled
                following.set_result(None)
                return
        self._is_taken = False
