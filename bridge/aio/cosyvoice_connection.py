"""One WebSocket to a CosyVoice service: opened, read, written, pinged, closed."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from aiohttp import WSMsgType

from bridge.aio.websocket import RefusedError, Socket, connect, open_session
from bridge.cosyvoice.failures import CLOSED, REFUSED, TIMEOUT, refused
from bridge.cosyvoice.message import Event, decode_event
from bridge.cosyvoice.task import Failed
from bridge.errors import RemoteProtocolError
from bridge.ports import Clock

__all__ = ["Address", "Bearer", "Connection", "DialError", "Dialler", "Passenger"]

_FRAMES_A_TURN = 100
"""Taken in one turn of the loop, which is half a millisecond."""

# A member of an enumeration is looked up anew each time it is named: a tenth of the reader's time.
_BINARY, _TEXT = WSMsgType.BINARY, WSMsgType.TEXT

_BROKE = "the connection to the service broke"


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


class Passenger(Bearer, Protocol):
    """What a pool finds a connection for."""

    def bind(self, connection: "Connection") -> None:
        """Start the task on `connection`, which is idle and open."""
        ...

    def queue(self) -> None:
        """As many connections as may be are in use: one has to be waited for."""
        ...


class Dialler:
    """Opens connections; to be closed when they are.

    Args:
        address: Where.
        clock: For signs of life.
        counters: Counts what the connections drop: ``malformed`` frames and ``strays``, which are no
            part of the running task.
    """

    def __init__(self, address: Address, *, clock: Clock, counters: Counter[str]) -> None:
        self.address: Address = address
        self._clock = clock
        self._counters = counters
        self._session: aiohttp.ClientSession | None = None

    async def dial(self, address: Address | None = None) -> "Connection":
        """Open a connection.

        Args:
            address: Where, if it is another than the dialler's own, as with a key that was given just now.

        Raises:
            DialError: With a failure that names the address, the cause and, for a refused key, the fix.
        """
        address = address or self.address
        headers = _headers(address)
        if self._session is None:
            self._session = open_session()
        try:
            async with asyncio.timeout(address.open_timeout_s):
                response = await connect(self._session, address.url, headers, tls=address.tls, by_hand=True)
        except RefusedError as error:
            failure = refused(address.url, error.status, error.body, key=address.api_key)
            raise DialError(failure) from None
        except TimeoutError:
            message = f"{address.url} did not answer within {address.open_timeout_s:g} s"
            raise DialError(Failed(TIMEOUT, message, retryable=True, stage="handshake")) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            message = f"{address.url} cannot be reached: {str(error) or type(error).__name__}"
            raise DialError(Failed(CLOSED, message, retryable=True)) from None
        return Connection(Socket(response), clock=self._clock, counters=self._counters)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _headers(address: Address) -> dict[str, str]:
    if not (address.api_key.isascii() and address.api_key.isprintable()):
        message = (
            "the key cannot stand in an HTTP header: set tts.api_key or DASHSCOPE_API_KEY to a valid key"
        )
        raise DialError(Failed(REFUSED, message, retryable=False, status=401))
    headers = {"User-Agent": "cosybridge", **address.headers}
    if address.api_key:
        headers["Authorization"] = f"Bearer {address.api_key}"
    return headers


class Connection:
    """An open socket and the one task it may carry.

    Args:
        socket: Freshly opened.
        clock: For signs of life.
        counters: See `Dialler`.
    """

    def __init__(self, socket: Socket, *, clock: Clock, counters: Counter[str]) -> None:
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
        return self.is_usable and self._socket.is_open

    def write(self, text: str) -> None:
        """Write a text frame at once, without waiting: texts are too small to need flow control."""
        self._socket.write(text)

    def write_bytes(self, data: bytes) -> None:
        """Write a binary frame at once: an utterance is too small to need flow control."""
        self._socket.write_bytes(data)

    async def read(self) -> None:
        """Hand everything over until the socket ends; a task that is still running is told."""
        self._socket.is_read = True
        ending: str | None = None
        try:
            while ending is None:
                ending = await self._read_some()
        finally:
            self.end = Failed("Closed", ending or _BROKE, retryable=True)
            self.is_usable = False
            self._socket.read_to_its_end()
            if (bearer := self.bearer) is not None:
                self.bearer = None
                bearer.lost(self.end)

    async def check(self, *, within_s: float) -> bool:
        """Ping and await the pong; True also while back-pressure keeps us from reading it."""
        if self._is_held_back:
            return True
        try:
            async with asyncio.timeout(within_s):
                is_alive = await self._socket.ping()
        except TimeoutError:
            return self._is_held_back
        self.last_sign_ns = self._clock.now_ns()
        return is_alive

    async def close(self) -> None:
        """Close in good order, within a second."""
        self.is_usable = False
        await self._socket.close()

    def abort(self) -> None:
        """Close at once and without a word; harmless when it is closed."""
        self.is_usable = False
        self._socket.abort()

    @property
    def _is_held_back(self) -> bool:
        return self.bearer is not None and not self.bearer.room.is_set()

    async def _read_some(self) -> str | None:
        """Hand some frames over; return how the socket ended, if it did."""
        receive = self._socket.receive
        for _ in range(_FRAMES_A_TURN):
            message = await receive()
            kind, bearer = message.type, self.bearer
            if kind is _BINARY and bearer is not None:
                bearer.receive(message.data)
            elif kind is _TEXT and bearer is not None:
                self._receive_text(bearer, message.data)
            elif kind is _BINARY or kind is _TEXT:
                self.counters["strays"] += 1
            elif (ending := self._socket.take(message)) is not None:
                return ending
            if bearer is not None and not bearer.room.is_set():
                await bearer.room.wait()
        # What has come is taken without waiting: others on the loop must have their turn.
        await asyncio.sleep(0)
        return None

    def _receive_text(self, bearer: Bearer, message: str) -> None:
        # An event comes with all sound, and ends every task: the clock need not be read for sound as well.
        self.last_sign_ns = self._clock.now_ns()
        try:
            event = decode_event(message)
        except RemoteProtocolError:
            self.counters["malformed"] += 1
        else:
            bearer.receive(event)
