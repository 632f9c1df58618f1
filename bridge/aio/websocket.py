"""The client's end of a WebSocket on aiohttp, whose reader is C: how it is opened, and written at once."""

import asyncio
import ssl
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
from aiohttp import WSMsgType

from bridge.aio.proxies import Connector, proxy_for

__all__ = ["FRAME_BYTES", "RefusedError", "Socket", "connect", "ending_of", "open_session"]

FRAME_BYTES = 8 * 1024 * 1024
"""Largest frame taken: four minutes of telephone sound."""

_CLOSE_S = 1.0
_REASON_BYTES = 65_536
_REASON_S = 1.0
_NO_CODE = 1005
"""What a close frame without a code is said to have (RFC 6455 §7.1.5)."""


class RefusedError(Exception):
    """The handshake was answered with something else than a switch to WebSocket.

    Attributes:
        status: The answer's.
        reason: The words behind it; may be empty.
        body: Its beginning.
    """

    def __init__(self, status: int, reason: str, body: bytes) -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status: int = status
        self.reason: str = reason
        self.body: bytes = body


def open_session() -> aiohttp.ClientSession:
    """What dials; to be opened on a running loop, and closed on it."""
    return aiohttp.ClientSession(
        # A pool of a hundred connections is legal, and aiohttp's own limit is a hundred.
        connector=Connector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        skip_auto_headers=("Accept", "Accept-Encoding"),
        cookie_jar=aiohttp.DummyCookieJar(),
        raise_for_status=_check_response,
    )


async def connect(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    *,
    tls: ssl.SSLContext | None = None,
    by_hand: bool = False,
    frame_bytes: int = FRAME_BYTES,
) -> aiohttp.ClientWebSocketResponse:
    """Open a WebSocket; sets no bound on how long that takes.

    Args:
        session: From `open_session`.
        url: Where.
        headers: Of the handshake.
        tls: Instead of aiohttp's own.
        by_hand: Whether the caller answers pings and closes, as `Socket` does.
        frame_bytes: Largest frame taken.

    Raises:
        RefusedError: If the answer is no switch of protocols.
        aiohttp.ClientError, OSError, ValueError: If the service cannot be reached.
    """
    scheme = urlsplit(url).scheme
    if scheme not in ("ws", "wss"):
        raise ValueError("a WebSocket address begins with ws:// or wss://")
    return await session.ws_connect(
        url,
        headers=headers,
        ssl=tls or True,
        # To any other the connector makes a tunnel of its own.
        proxy=proxy_for(url) if scheme == "wss" else None,
        # Sound does not shrink, and deflating it costs a third of the reader's time.
        compress=0,
        # aiohttp takes what is smaller.
        max_msg_size=frame_bytes + 1,
        timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
        autoping=not by_hand,
        autoclose=not by_hand,
    )


def ending_of(message: aiohttp.WSMessage) -> str:
    """Say how a socket ended whose reader was given `message`."""
    if message.type is WSMsgType.CLOSE:
        reason = f": {message.extra}" if message.extra else ""
        return f"the service closed the connection with {message.data or _NO_CODE}{reason}"
    if message.type is WSMsgType.ERROR:
        return f"the service broke the WebSocket protocol: {message.data}"
    return "the connection to the service broke"


class Socket:
    """An open WebSocket that is written without waiting; one task reads it.

    aiohttp stops reading while half a megabyte waits for that task.

    Args:
        response: From `connect`, by hand.
    """

    def __init__(self, response: aiohttp.ClientWebSocketResponse) -> None:
        self.receive = response.receive
        """Gives the next message; what is neither text nor sound goes to `take`."""
        self.is_read: bool = False
        """To be set by the one that reads."""
        self._response = response
        # aiohttp has no public way from its socket to what carries it, which alone can break it off at once.
        self._http = response._response
        connection = self._http.connection
        self._transport = connection.transport if connection is not None else None
        self._said_goodbye = False
        self._ponged = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether what is written now may arrive."""
        return not self._said_goodbye and self._transport is not None and not self._transport.is_closing()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def write(self, text: str) -> None:
        """Hand a text to the transport in this very turn; nothing happens to one whose socket is closed."""
        if self.is_open:
            _do_now(self._response.send_str(text))

    def write_bytes(self, data: bytes) -> None:
        """Hand a binary frame to the transport in this very turn, as `write` does a text."""
        if self.is_open:
            _do_now(self._response.send_bytes(data))

    def take(self, message: aiohttp.WSMessage) -> str | None:
        """Act on what is no data; return how the socket ended, if it did."""
        if message.type is WSMsgType.PONG:
            self._ponged.set()
            return None
        if message.type is WSMsgType.PING:
            if self.is_open:
                _do_now(self._response.pong(message.data))
            return None
        if message.type is WSMsgType.CLOSE:
            self._say_goodbye(message.data)
        return ending_of(message)

    async def ping(self) -> bool:
        """Return once a pong has come, or False once none will; sets no bound."""
        if not self.is_open:
            return False
        self._ponged.clear()
        _do_now(self._response.ping())
        await self._ponged.wait()
        return not self.is_over

    async def close(self) -> None:
        """Say goodbye, and wait for whoever reads to hear the answer; not for long."""
        self._say_goodbye(aiohttp.WSCloseCode.OK)
        if self.is_read:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._over.wait()
        self.abort()

    def read_to_its_end(self) -> None:
        """To be told by the one that reads."""
        self._over.set()
        self._ponged.set()
        self._http.close()

    def abort(self) -> None:
        """Break it off; harmless when it is closed."""
        if self._transport is not None:
            self._transport.abort()
        self._http.close()

    def _say_goodbye(self, code: int) -> None:
        if self.is_open:
            _do_now(self._response.send_frame(code.to_bytes(2, "big") if code else b"", WSMsgType.CLOSE))
            self._said_goodbye = True


def _do_now(sending: Coroutine[asyncio.Future[None], None, None]) -> None:
    """Let `sending` write its frame.

    The frame has been handed to the transport by the time the coroutine waits: it would only wait for room in
    the buffer behind it, which texts and the sound of one utterance are too small to need.
    """
    with suppress(ConnectionResetError, StopIteration):
        # As a task does that takes over what is waited for: else the next to wait for it would fail.
        sending.send(None)._asyncio_future_blocking = False
    sending.close()


async def _check_response(response: aiohttp.ClientResponse) -> None:
    if response.status == 101:
        return
    body = bytearray()
    try:
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_REASON_S):
                while len(body) < _REASON_BYTES and (more := await response.content.readany()):
                    body += more
    finally:
        response.close()
    raise RefusedError(response.status, response.reason or "", bytes(body[:_REASON_BYTES]))
