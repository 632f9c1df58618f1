"""The desk's WebSocket: how things stand, and then what changed, at most four times a second.

States are told, not events: nothing waits for a slow reader, who gets the newest state when it can take it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Literal

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field

from bridge.aio.access import Access, access_of
from bridge.aio.tasks import Tasks
from bridge.app.api.board import Board
from bridge.app.api.following import Following
from bridge.app.api.notes import Pong, time_of
from bridge.app.api.sockets import GOODBYE_S, give_up, parsed, printed, socket_for
from bridge.call.ledger import Ledger
from bridge.ports import Clock

__all__ = ["DeskStream", "Watch"]

_BEAT_S = 0.25
_CALLS_PER_MESSAGE = 50

_log = logging.getLogger(__name__)


class Watch(BaseModel):
    """The call that a client wants to follow; null follows none."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    type: Literal["watch"] = "watch"
    call: Annotated[str, Field(min_length=1, max_length=256)] | None


class _Client:
    """One reader, and what it knows."""

    def __init__(self, socket: web.WebSocketResponse, access: Access) -> None:
        self.socket = socket
        self.access = access
        self.telling: asyncio.Task[None] | None = None
        self.news: asyncio.Event = asyncio.Event()
        """Set when there may be something to tell."""
        self.is_leaving: bool = False
        self.seq: int = 0
        self.since: int = 0
        """Number of the last change of the board that it was told; 0 before the first message."""
        self.following: Following | None = None


class DeskStream:
    """Serves ``GET /api/desk``.

    Args:
        board: How things stand.
        ledger: The calls, for those that are followed.
        budget_ms: What each stage of an interruption may take.
        clock: For the times of messages.
        offset_ns: Returns what makes monotonic time ns since 1970.
        most_clients: Streams at a time.
        beat_s: How often there may be a message.
    """

    def __init__(
        self,
        board: Board,
        ledger: Ledger,
        *,
        budget_ms: Mapping[str, float],
        clock: Clock,
        offset_ns: Callable[[], int],
        most_clients: int,
        beat_s: float = _BEAT_S,
    ) -> None:
        self.counters: Counter[str] = Counter()
        """``clients``, ``messages``, ``slow``."""
        self.write_within_s: float = 10.0
        """Who reads nothing for so long, although its buffers are full, is let go."""
        self._board = board
        self._ledger = ledger
        self._budget_ms = budget_ms
        self._clock = clock
        self._offset_ns = offset_ns
        self._most_clients = most_clients
        self._beat_s = beat_s
        self._tasks = Tasks("desks")
        self._clients: set[_Client] = set()
        self._beating: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._clients)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Tell how things stand until one side closes.

        Raises:
            Problem: If there are too many streams, or this is no WebSocket.
        """
        socket = socket_for(
            request, clients=len(self._clients), most_clients=self._most_clients, what="desks"
        )
        client = _Client(socket, access_of(request))
        self._clients.add(client)
        try:
            await socket.prepare(request)
            self.counters["clients"] += 1
            self._begin_to_beat()
            client.telling = self._tasks.start(self._tell(request, client), name="client")
            await self._listen(client)
        finally:
            self._clients.discard(client)
            await self._end(client)
        return socket

    async def close(self) -> None:
        """Let every client go."""
        for client in self._clients:
            client.is_leaving = True
            client.news.set()
        telling = [client.telling for client in self._clients if client.telling is not None]
        if telling:
            # Each says goodbye by itself; one whose client does not answer is not waited for.
            await asyncio.wait(telling, timeout=GOODBYE_S)
        await self._tasks.close()

    async def _end(self, client: _Client) -> None:
        if client.telling is not None:
            client.telling.cancel()
            with suppress(asyncio.CancelledError):
                await client.telling
        if not self._clients and self._beating is not None:
            self._beating.cancel()
            self._beating = None
            self._board.rest()

    def _begin_to_beat(self) -> None:
        if self._beating is None:
            self._board.look()
            self._beating = self._tasks.start(self._beat(), name="beat")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            self._board.look()
            for client in self._clients:
                client.news.set()

    async def _listen(self, client: _Client) -> None:
        """Take orders to follow a call, and answer pings, until the socket is closed."""
        async for message in client.socket:
            wanted = _understood(message.data) if message.type is WSMsgType.TEXT else None
            if wanted is None:
                await client.socket.close(
                    code=WSCloseCode.POLICY_VIOLATION, message=b"only watch and ping are understood here"
                )
                return
            if isinstance(wanted, Watch):
                client.following = self._following(wanted.call, client.access)
            else:
                await client.socket.send_str(Pong().model_dump_json())

    async def _tell(self, request: web.Request, client: _Client) -> None:
        try:
            while not client.is_leaving:
                if (text := await self._message(client)) is not None:
                    async with asyncio.timeout(self.write_within_s):
                        await client.socket.send_str(text)
                    self.counters["messages"] += 1
                await client.news.wait()
                client.news.clear()
            await client.socket.close(code=WSCloseCode.GOING_AWAY)
        except TimeoutError:
            self.counters["slow"] += 1
            _log.info("a desk was closed: its client does not read")
            give_up(request)
        except ConnectionError:
            pass  # the client is gone; `serve` learns of it by itself

    def _following(self, call: str | None, access: Access) -> Following | None:
        if call is None:
            return None
        return Following(call, self._ledger, self._budget_ms, opens_words=access.transcripts)

    async def _message(self, client: _Client) -> str | None:
        """What this client does not know yet; None if that is nothing."""
        following, parts = client.following, dict[str, str]()
        if following is not None:
            detail = await following.news(now_ns=self._clock.now_ns())
            # It may have turned to another call while the archive was asked.
            if detail is not None and client.following is following:
                parts["detail"] = printed(detail)
        board = self._board
        gone = board.gone(client.since) if client.since else []
        if gone is None:
            # It was away for too long to be told who left: it begins anew.
            client.since, gone = 0, []
        since, news = client.since, board.news(client.since)
        sent, left = news[:_CALLS_PER_MESSAGE], news[_CALLS_PER_MESSAGE:]
        if since < board.totals_number:
            parts["totals"] = board.totals
        if sent:
            parts["calls"] = f"[{','.join(text for _, text in sent)}]"
        if gone:
            parts["gone"] = printed(gone)
        client.since = sent[-1][0] if left else board.number
        if left:
            client.news.set()  # the rest follows, as fast as it is taken
        if since:
            return self._framed(client, "change", parts) if parts else None
        whole = {"calls": "[]", "gone": "[]", "detail": "null", "more": str(len(left) + board.unread)} | parts
        whole["may"], whole["budget_ms"] = printed(asdict(client.access)), printed(dict(self._budget_ms))
        return self._framed(client, "snapshot", whole)

    def _framed(self, client: _Client, kind: str, parts: Mapping[str, str]) -> str:
        client.seq += 1
        now_ns = self._clock.now_ns()
        head = {
            "type": kind,
            "seq": client.seq,
            "at_ns": now_ns,
            "time": time_of(now_ns, offset_ns=self._offset_ns()),
        }
        members = "".join(f',"{name}":{text}' for name, text in parts.items())
        return printed(head)[:-1] + members + "}"


def _understood(text: str) -> Watch | bool | None:
    """What a client asks for: to follow a call, or an answer (True); None for anything else."""
    value = parsed(text)
    if value == {"type": "ping"}:
        return True
    with suppress(ValueError):
        return Watch.model_validate(value)
    return None
