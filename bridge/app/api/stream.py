"""The event stream: a WebSocket on which every notice of the bus is told, to as many as there is room for."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from bridge.aio.access import access_of
from bridge.aio.tasks import Tasks
from bridge.app.api.answers import CallSummary
from bridge.app.api.notes import Closing, Hello, Pong, event_of
from bridge.app.api.problem import Problem
from bridge.app.api.sockets import GOODBYE_S, give_up, parsed, socket_for
from bridge.call.bus import Bus, Subscription
from bridge.call.ledger import Ledger
from bridge.call.trace import TEXTS

__all__ = ["EventStream"]

_WORDS = ("digit", "text", "voice.words")
"""Events that consist of what was said, written or pressed: not for a token that does not open that."""

_log = logging.getLogger(__name__)


class EventStream:
    """Serves ``GET /api/events``.

    Args:
        bus: Where notices come from.
        ledger: For how things stand at the beginning.
        offset_ns: Returns what makes real time of the notices' times: clocks are set, machines sleep.
        most_clients: Streams at a time.
        backlog: Events that may wait for one client.
    """

    def __init__(
        self, bus: Bus, ledger: Ledger, *, offset_ns: Callable[[], int], most_clients: int, backlog: int
    ) -> None:
        self.counters: Counter[str] = Counter()
        """``clients``, ``events``, ``dropped``."""
        self.write_within_s: float = 10.0
        """Who reads nothing for so long, although its buffers are full, is let go."""
        self._bus = bus
        self._ledger = ledger
        self._offset_ns = offset_ns
        self._most_clients = most_clients
        self._backlog = backlog
        self._tasks = Tasks("event streams")
        self._telling: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Tell events until one side closes.

        Raises:
            Problem: If there are too many streams, or no such call any more, or this is no WebSocket.
        """
        call = request.query.get("call", "")
        found = self._ledger.trace(call) if call else None
        if call and found is None:
            if (over := await self._ledger.look_up(call)) is not None:
                raise Problem(410, "the call is over", fix=f"ask for /api/calls/{over.id} instead")
            raise Problem(404, f"there is no call {call}")
        socket = socket_for(
            request, clients=len(self._tasks), most_clients=self._most_clients, what="event streams"
        )
        await socket.prepare(request)
        # The state and the subscription are of one moment: nothing is missed and nothing told twice.
        hello = Hello(seq=self._bus.seq, calls=self._standing(call))
        hides = not access_of(request).transcripts
        subscription = self._bus.subscribe(call=found.id if found else "", backlog=self._backlog)
        self.counters["clients"] += 1
        telling: asyncio.Task[None] = self._tasks.start(
            self._tell(request, socket, subscription, hello, hides=hides), name="client"
        )
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        try:
            await self._listen(socket)
        finally:
            subscription.close()
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
        return socket

    async def close(self) -> None:
        """Let every client go."""
        self._bus.close()
        if self._telling:
            # Each says goodbye by itself; one whose client does not answer is not waited for.
            await asyncio.wait(self._telling, timeout=GOODBYE_S)
        await self._tasks.close()

    def _standing(self, call: str) -> list[CallSummary]:
        return [
            CallSummary(**summary)
            for summary in self._ledger.calls()
            if (call in (summary["id"], summary["sip_call_id"]) if call else summary["state"] != "ended")
        ]

    async def _send(self, socket: web.WebSocketResponse, text: str) -> None:
        async with asyncio.timeout(self.write_within_s):
            await socket.send_str(text)

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        """Answer pings until the socket is closed."""
        async for message in socket:
            if message.type is not WSMsgType.TEXT or parsed(message.data) != {"type": "ping"}:
                await socket.close(
                    code=WSCloseCode.POLICY_VIOLATION, message=b'only {"type": "ping"} is understood here'
                )
                return
            await socket.send_str(Pong().model_dump_json())

    async def _tell(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        subscription: Subscription,
        hello: Hello,
        *,
        hides: bool,
    ) -> None:
        try:
            await self._send(socket, hello.model_dump_json())
            while (notice := await subscription.next()) is not None:
                if hides and notice.kind in _WORDS:
                    continue
                told = event_of(notice, offset_ns=self._offset_ns())
                if hides:
                    told = {name: value for name, value in told.items() if name not in TEXTS}
                await self._send(socket, json.dumps(told, ensure_ascii=False, separators=(",", ":")))
                self.counters["events"] += 1
            if subscription.dropped:
                self.counters["dropped"] += subscription.dropped
                await self._send(socket, Closing(count=subscription.dropped).model_dump_json())
                await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow")
            else:
                await socket.close(code=WSCloseCode.GOING_AWAY)
        except TimeoutError:
            self.counters["dropped"] += subscription.dropped
            _log.info("an event stream was closed: its client does not read")
            give_up(request)
        except ConnectionError:
            pass  # the client is gone; `serve` learns of it by itself
