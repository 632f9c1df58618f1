"""Connections on which nothing is ever asked: they are let go before they take the sockets that calls need.

aiohttp waits for a first request for ever, and whoever only connects needs no token.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.aio.tasks import Tasks

__all__ = ["PATIENCE_S", "SilentClients"]

PATIENCE_S = 10.0
"""Time for a TCP connection to bring its first request; half of it is slow."""
_ROOM = 256
"""Connections that may be silent at once: the oldest make room for the next."""
_MOST_S = 1.0

C = TypeVar("C", bound=Hashable)


class SilentClients:
    """Watches the connections of one server, from its start to its cleanup.

    Args:
        app: What the server serves; not started yet.
        patience_s: How long a connection may ask nothing.
        room: How many may do so at once.
    """

    def __init__(self, app: web.Application, *, patience_s: float = PATIENCE_S, room: int = _ROOM) -> None:
        self.counters: Counter[str] = Counter()
        """``let_go``."""
        self.runner: web.AppRunner | None = None
        """To be set to the server's, before it listens."""
        self._patience_s = patience_s
        self._room = room
        self._heard: set[Hashable] = set()
        self._since_s: dict[Hashable, float] = {}
        app.middlewares.insert(0, self._middleware())
        app.cleanup_ctx.append(self._watching)

    def hear(self, connection: Hashable) -> None:
        """Note that a connection has asked for something."""
        self._heard.add(connection)

    def overdue(self, connections: Sequence[C], *, now_s: float) -> list[C]:
        """Which are to be let go.

        Args:
            connections: Those that are open, the oldest first.
            now_s: The time, in s.
        """
        self._heard.intersection_update(connections)
        silent = [each for each in connections if each not in self._heard]
        self._since_s = {each: self._since_s.get(each, now_s) for each in silent}
        too_many = len(silent) - self._room
        return [
            each
            for place, each in enumerate(silent)
            if place < too_many or now_s - self._since_s[each] >= self._patience_s
        ]

    def _middleware(self) -> web.middleware:  # type: ignore[valid-type]
        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.hear(request.protocol)
            return await handler(request)

        return note

    async def _watching(self, _app: web.Application) -> AsyncIterator[None]:
        async with Tasks("silent clients") as tasks:
            tasks.start(self._watch(), name="watch")
            yield

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_MOST_S, self._patience_s / 4))
            server = self.runner.server if self.runner is not None else None
            if server is None:
                continue
            for connection in self.overdue(server.connections, now_s=loop.time()):
                if connection.transport is not None:
                    self.counters["let_go"] += 1
                    connection.transport.abort()
