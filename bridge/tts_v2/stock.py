"""Open connections that wait for work, and those that are lent; always `size` of them together."""

import asyncio
import logging
import threading
import weakref
from collections import deque
from contextlib import suppress

from bridge.clock import SystemClock
from bridge.tts_v2.backbone import Backbone
from bridge.tts_v2.endpoint import Endpoint
from bridge.tts_v2.errors import StartFailed
from bridge.tts_v2.line import Line
from bridge.tts_v2.session import Session

__all__ = ["Stock"]

_RETIRE_NS = 45_000_000_000
"""The service closes what was idle for 60 s; before that we renew it."""

_RETRY_S = 1.0
_log = logging.getLogger("bridge.tts_v2")
_clock = SystemClock()


class Stock:
    """Made by `open`. Closed, lost and forgotten connections are replaced at once, by a task on the loop.

    Args:
        size: Connections kept.
        endpoint: Where to.
        spine: Whose loop it lives on.
        retire_ns: Idle connections are renewed after so long.
        retry_s: Between tries to replace what is missing.
    """

    def __init__(
        self,
        size: int,
        endpoint: Endpoint,
        spine: Backbone,
        *,
        retire_ns: int = _RETIRE_NS,
        retry_s: float = _RETRY_S,
    ) -> None:
        self.size: int = size
        self.endpoint: Endpoint = endpoint
        self._spine = spine
        self._retire_ns = retire_ns
        self._retry_s = retry_s
        self._idle: deque[Line] = deque()
        self._lent: dict[weakref.ref[Session], Line] = {}
        self._lock = threading.Lock()
        self._keeper = _Keeper()

    @classmethod
    async def open(
        cls,
        size: int,
        endpoint: Endpoint,
        spine: Backbone,
        *,
        retire_ns: int = _RETIRE_NS,
        retry_s: float = _RETRY_S,
    ) -> "Stock":
        """Connect `size` times, side by side.

        Raises:
            StartFailed, TimeoutError: If one of them fails; the others are closed.
        """
        stock = cls(size, endpoint, spine, retire_ns=retire_ns, retry_s=retry_s)
        error = await stock._add(size)
        if error is not None:
            stock.close()
            raise error
        stock._keeper.task = spine.tasks.start(stock._keep(), name="stock")
        return stock

    @property
    def is_open(self) -> bool:
        return not self._keeper.is_closed and self._spine.is_alive

    @property
    def idle(self) -> int:
        """Connections that can be lent now."""
        with self._lock:
            return sum(line.is_open for line in self._idle)

    def lend(self, session: Session) -> bool:
        """Give `session` an open connection if there is one to where it wants; from any thread."""
        with self._lock:
            while self._idle and session.request.endpoint == self.endpoint:
                line = self._idle.popleft()
                if line.is_open:
                    session.line = line
                    self._lent[weakref.ref(session, self._forgotten)] = line
                    return True
        return False

    def take_back(self, session: Session) -> bool:
        """Take what was lent, if it was; only a connection without a task is kept. From any thread."""
        with self._lock:
            line = self._lent.pop(weakref.ref(session), None)
            if line is None:
                return False
            is_sound = line.is_open and not line.is_busy and not self._keeper.is_closed
            if is_sound:
                self._idle.append(line)
        session.retire()
        if not is_sound:
            line.close("it was given back before its end")
            self._wake()
        return True

    def close(self) -> None:
        """Close what waits; what still speaks is closed when it has spoken. On the loop."""
        self._keeper.close()
        with self._lock:
            lines = [*self._idle, *self._lent.values()]
            self._idle.clear()
            self._lent.clear()
        for line in lines:
            line.stays_open = False
            if not line.is_busy:
                line.close("the pool was shut down")

    def _forgotten(self, session: "weakref.ref[Session]") -> None:
        # Runs in the garbage collector, perhaps within our lock: no more than a wake-up.
        del session
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and the stock with it
            self._spine.loop.call_soon_threadsafe(self._keeper.changed.set)

    async def _keep(self) -> None:
        keeper = self._keeper
        while True:
            keeper.changed.clear()
            missing, due_s = self._tidy()
            if missing and (error := await self._add(missing)) is not None:
                _log.warning("the pool is short of %d connections: %s", missing, error)
                due_s = self._retry_s
            with suppress(TimeoutError):
                async with asyncio.timeout(due_s):
                    await keeper.changed.wait()

    def _tidy(self) -> tuple[int, float]:
        """Drop what is dead, take what is forgotten; return what is to be dialled, and when to look again."""
        now_ns = _clock.now_ns()
        with self._lock:
            for reference, line in list(self._lent.items()):
                if line.is_busy:
                    continue
                if reference() is None and line.is_open:
                    self._idle.append(line)
                elif self._is_due(line, now_ns):
                    line.close("it was idle for too long")
                elif line.is_open:
                    continue
                del self._lent[reference]
            self._idle = deque(line for line in self._idle if line.is_open)
            renewed = sum(self._is_due(line, now_ns) for line in self._idle)
            waiting = [line for line in (*self._idle, *self._lent.values()) if not line.is_busy]
            oldest_ns = min((line.idle_since_ns for line in waiting), default=now_ns)
            missing = self.size - len(self._idle) - len(self._lent) + renewed
        return missing, max(oldest_ns + self._retire_ns - now_ns, 0) / 1e9

    def _is_due(self, line: Line, now_ns: int) -> bool:
        return line.idle_since_ns + self._retire_ns <= now_ns

    async def _add(self, count: int) -> Exception | None:
        dials = (self._dial() for _ in range(count))
        for result in await asyncio.gather(*dials, return_exceptions=True):
            if isinstance(result, StartFailed | TimeoutError):
                return result
            if result is not None:
                raise result
        return None

    async def _dial(self) -> None:
        line = await Line.dial(self.endpoint, self._spine)
        line.stays_open = True
        line.on_change = self._keeper.changed.set
        with self._lock:
            self._idle.append(line)
            is_full = len(self._idle) + len(self._lent) > self.size
            retired = self._idle.popleft() if is_full or self._keeper.is_closed else None
        if retired is not None:
            retired.close("it was renewed")


class _Keeper:
    """The task that keeps a stock full."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        if self.task is not None:
            self.task.cancel()
