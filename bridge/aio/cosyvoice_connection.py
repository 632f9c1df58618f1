"""One WebSocket to a CosyVoice service: opened, read, written, pinged, closed."""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from bridge.cosyvoice.failures import CLOSED, REFUSED, TIMEOUT, refused
from bridge.cosyvoice.message import Event, decode_event
from bridge.cosyvoice.task import Failed
from bridge.errors import RemoteProtocolError
from bridge.ports import Clock

__all__ = ["Address", "Bearer", "Connection", "DialError", "dial"]

_FRAME_BYTES = 8 * 1024 * 1024
"""Largest frame taken: four minutes of telephone sound."""

_FRAMES_AHEAD = 64
"""Frames parsed ahead of the reader; above it the socket itself is left unread."""

_CLOSE_S = 1.0

# The library logs headers and frames when asked to debug: the key and what is said stay out of any log.
_wire_log = logging.getLogger("bridge.aio.cosyvoice.wire")
_wire_log.setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service is, and how we name ourselves there."""

    url: str
    api_key: str = field(default="", repr=False)
    open_timeout_s: float = 5.0
    tls: ssl.SSLContext | None = None
    """Made once: loading the root certificates takes longer than a dial."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of the handshake, such as ``X-DashScope-WorkSpace``."""

    @property
    def is_loopback(self) -> bool:
        return urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")


class DialError(Exception):
    """No connection came about; never leaves this room.

    Attributes:
        failure: What the waiting speeches are told.
    """

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.message)
        self.failure: Failed = failure


class Bearer(Protocol):
    """The speech that a connection carries at present."""

    room: asyncio.Event
    """Cleared while the listener has enough: then the socket is left unread."""

    def receive(self, item: Event | bytes) -> None: ...

    def lost(self, failure: Failed) -> None: ...


async def dial(address: Address, *, clock: Clock, counters: Counter[str]) -> "Connection":
    """Open a connection.

    Args:
        address: Where.
        clock: For signs of life.
        counters: Counts what the connection drops: ``malformed`` frames and ``strays``, which are no
            part of the running task.

    Raises:
        DialError: With a failure that names the address, the cause and, for a refused key, the fix.
    """
    if not (address.api_key.isascii() and address.api_key.isprintable()):
        message = (
            "the key cannot stand in an HTTP header: set tts.api_key or DASHSCOPE_API_KEY to a valid key"
        )
        raise DialError(Failed(REFUSED, message, retryable=False, status=401))
    headers = dict(address.headers)
    if address.api_key:
        headers["Authorization"] = f"Bearer {address.api_key}"
    try:
        socket = await connect(
            address.url,
            additional_headers=headers,
            user_agent_header="cosybridge",
            # Sound does not shrink, and deflating it costs a third of the reader's time.
            compression=None,
            open_timeout=address.open_timeout_s,
            close_timeout=_CLOSE_S,
            # Our own pings wait while back-pressure holds the reader; the library's would end it.
            ping_interval=None,
            max_size=_FRAME_BYTES,
            max_queue=_FRAMES_AHEAD,
            proxy=None if address.is_loopback else True,
            ssl=address.tls,
            logger=_wire_log,
        )
    except InvalidStatus as error:
        status, body = error.response.status_code, bytes(error.response.body or b"")
        raise DialError(refused(address.url, status, body, key=address.api_key)) from None
    except TimeoutError:
        message = f"{address.url} did not answer within {address.open_timeout_s:g} s"
        raise DialError(Failed(TIMEOUT, message, retryable=True, stage="handshake")) from None
    except (OSError, WebSocketException) as error:
        message = f"{address.url} cannot be reached: {str(error) or type(error).__name__}"
        raise DialError(Failed(CLOSED, message, retryable=True)) from None
    return Connection(socket, clock=clock, counters=counters)


class Connection:
    """An open socket and the one task it may carry.

    Args:
        socket: Freshly opened.
        clock: For signs of life.
        counters: See `dial`.
    """

    def __init__(self, socket: ClientConnection, *, clock: Clock, counters: Counter[str]) -> None:
        self.bearer: Bearer | None = None
        """Who gets what arrives; None while idle."""
        self.opened_ns: int = clock.now_ns()
        self.idle_since_ns: int = self.opened_ns
        """When the service's idle clock started: at the opening or at the last terminal event."""
        self.last_sign_ns: int = self.opened_ns
        """When the service last gave a sign of life."""
        self.counters: Counter[str] = counters
        self.tasks_carried: int = 0
        self.is_usable: bool = True
        """False once it is being closed: no task may start on it."""
        self.end: Failed = Failed("Closed", "the service closed the connection", retryable=True)
        """How it ended, once `read` has returned."""
        self._socket = socket
        self._clock = clock

    @property
    def is_open(self) -> bool:
        return self.is_usable and self._socket.state is State.OPEN

    def write(self, text: str) -> None:
        """Write a text frame at once, without waiting: texts are too small to need flow control."""
        broadcast([self._socket], text)

    async def read(self) -> None:
        """Hand everything over until the socket ends; a task that is still running is told."""
        try:
            while True:
                message = await self._socket.recv()
                self.last_sign_ns = self._clock.now_ns()
                if (bearer := self.bearer) is None:
                    self.counters["strays"] += 1
                    continue
                if isinstance(message, bytes):
                    bearer.receive(message)
                else:
                    self._receive_text(bearer, message)
                if not bearer.room.is_set():
                    await bearer.room.wait()
        except ConnectionClosed as error:
            self.end = Failed("Closed", _closed(error), retryable=True)
        finally:
            self.is_usable = False
            if (bearer := self.bearer) is not None:
                self.bearer = None
                bearer.lost(self.end)

    async def check(self, *, within_s: float) -> bool:
        """Ping and await the pong; True also while back-pressure keeps us from reading it."""
        if self.bearer is not None and not self.bearer.room.is_set():
            return True
        try:
            pong = await self._socket.ping()
            async with asyncio.timeout(within_s):
                await asyncio.shield(pong)
        except TimeoutError:
            return self.bearer is not None and not self.bearer.room.is_set()
        except ConnectionClosed:
            return False
        self.last_sign_ns = self._clock.now_ns()
        return True

    async def close(self) -> None:
        """Close in good order, within a second."""
        self.is_usable = False
        await self._socket.close()

    def abort(self) -> None:
        """Close at once and without a word; harmless when it is closed."""
        self.is_usable = False
        self._socket.transport.abort()

    def _receive_text(self, bearer: Bearer, message: str) -> None:
        try:
            event = decode_event(message)
        except RemoteProtocolError:
            self.counters["malformed"] += 1
        else:
            bearer.receive(event)


def _closed(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "the connection to the service broke"
    reason = f": {error.rcvd.reason}" if error.rcvd.reason else ""
    return f"the service closed the connection with {error.rcvd.code}{reason}"
