"""SIP over WebSocket (RFC 7118): one message a frame, on connections that browsers open."""

import ssl
from collections.abc import Callable
from typing import Self

from aiohttp import WSMsgType, web

from bridge.aio.http import listening
from bridge.aio.sip_lines import Line, Lines
from bridge.aio.tasks import Tasks
from bridge.sip.flow import Address
from bridge.sip.framing import MAX_BODY_BYTES, PING, PONG
from bridge.sip.wire import MAX_HEAD_BYTES

__all__ = ["WebSocketServer"]

_PROTOCOL = "sip"
_HEARTBEAT_S = 30.0

Receive = Callable[[bytes, Address], None]


class _WebSocketLine(Line):
    """One WebSocket."""

    def __init__(
        self, peer: Address, socket: web.WebSocketResponse, tasks: Tasks, *, unsent_bytes: int
    ) -> None:
        super().__init__(peer)
        self._socket = socket
        self._tasks = tasks
        self._unsent_bytes = unsent_bytes
        self._on_the_way = 0

    def send(self, data: bytes) -> None:
        """Write one message as one frame; a peer that does not read is left."""
        if self._on_the_way > self._unsent_bytes:
            self.close()
            return
        self._on_the_way += len(data)
        self._tasks.start(self._write(data), name="write")

    def close(self) -> None:
        self._tasks.start(self._end(), name="close")

    async def _write(self, data: bytes) -> None:
        try:
            # Text where it is text: some clients read nothing else (RFC 7118 §5).
            await self._socket.send_str(data.decode())
        except UnicodeDecodeError:
            await self._socket.send_bytes(data)
        except (ConnectionError, RuntimeError):
            pass  # It is gone; its reader says so.
        finally:
            self._on_the_way -= len(data)

    async def _end(self) -> None:
        await self._socket.close()


class WebSocketServer:
    """A listening socket for WebSockets; made by `start`."""

    def __init__(self, lines: Lines, receive: Receive, *, transport: str, origins: tuple[str, ...]) -> None:
        self.listen: tuple[str, int] = ("", 0)
        """Address that it is bound to."""
        self._lines = lines
        self._receive = receive
        self._transport = transport
        self._origins = origins
        self._tasks = Tasks(f"sip {transport.lower()}")
        self._runner: web.AppRunner

    @classmethod
    async def start(
        cls,
        listen: tuple[str, int],
        *,
        lines: Lines,
        receive: Receive,
        tls: ssl.SSLContext | None = None,
        origins: tuple[str, ...] = (),
    ) -> Self:
        """Listen.

        Args:
            listen: Address and port; port 0 takes a free one.
            lines: Who counts the connections.
            receive: Called on the loop with each message. Must not block.
            tls: Certificate and key; None speaks without.
            origins: Origins whose pages may connect; what sends none is no page.

        Raises:
            SetupError: If the port cannot be had.
        """
        made = cls(lines, receive, transport="WS" if tls is None else "WSS", origins=origins)
        app = web.Application()
        app.router.add_get("/{path:.*}", made._called)
        made._runner, made.listen = await listening(app, listen, setting="sip.ws_listen", tls=tls)
        return made

    async def close(self) -> None:
        """End every connection and free the port."""
        await self._tasks.close()
        await self._runner.cleanup()

    async def _called(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if peer is None or _PROTOCOL not in [each.strip() for each in offered.split(",")]:
            return web.Response(status=400, text="this is SIP over WebSocket: offer the subprotocol sip\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._origins:
            return web.Response(status=403, text="sip.ws_origins does not list this page's origin\n")
        host, port = peer[:2]
        if not self._lines.has_room(host):
            return web.Response(status=503, text="too many connections\n", headers={"Retry-After": "10"})
        socket = web.WebSocketResponse(
            protocols=(_PROTOCOL,),
            heartbeat=_HEARTBEAT_S,
            max_msg_size=MAX_HEAD_BYTES + MAX_BODY_BYTES,
            compress=False,
        )
        await socket.prepare(request)
        limits = self._lines.limits
        line = _WebSocketLine(
            Address(host, port, self._transport, self._lines.number()),
            socket,
            self._tasks,
            unsent_bytes=limits.unsent_bytes,
        )
        self._lines.enter(line)
        try:
            await self._read(socket, line)
        finally:
            self._lines.leave(line)
        return socket

    async def _read(self, socket: web.WebSocketResponse, line: _WebSocketLine) -> None:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            data = message.data.encode() if isinstance(message.data, str) else message.data
            if data == PING:
                line.send(PONG)
            elif data.strip(b"\r\n"):
                self._receive(data, line.peer)
