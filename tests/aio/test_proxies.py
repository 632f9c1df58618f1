"""Through the proxy that the environment names, or past it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bridge.aio.proxies import proxy_for
from bridge.aio.websocket import Socket, connect, open_session

_PROXIES = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)


class Proxy:
    """Takes every name for one service of the loopback, and tells what it was asked."""

    def __init__(self, port: int, answer: bytes) -> None:
        self.asked: list[bytes] = []
        self.left = asyncio.Event()
        self._port = port
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += (await reader.readuntil(b"\r\n\r\n")).rstrip().split(b"\r\n")
        writer.write(self._answer)
        if b" 200 " in self._answer:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        writer.close()
        await writer.wait_closed()
        self.left.set()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def proxied(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> AsyncIterator[Proxy]:
    """A service that says hello, behind a proxy that the environment names."""

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.wait_closed()

    async with serve(greet, "127.0.0.1", 0, ping_interval=None) as service:
        proxy = Proxy(service.sockets[0].getsockname()[1], answer)
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{port}")
            yield proxy
            await proxy.left.wait()


def test_a_secure_address_takes_the_https_proxy_and_a_plain_one_the_http_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://secure:3128")
    monkeypatch.setenv("http_proxy", "plain:3128")

    assert proxy_for("wss://example.com/") == "http://secure:3128"
    assert proxy_for("ws://example.com/") == "http://plain:3128"


def test_the_loopback_and_what_is_excepted_take_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.com")

    assert proxy_for("ws://127.0.0.1:8090/") is None
    assert proxy_for("ws://localhost:8090/") is None
    assert proxy_for("ws://[::1]:8090/") is None
    assert proxy_for("ws://inside.example.com/") is None
    assert proxy_for("wss://example.com/") is None


async def test_a_plain_address_is_reached_through_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxied(monkeypatch, b"HTTP/1.1 200 Go on\r\n\r\n") as proxy, open_session() as session:
        socket = Socket(await connect(session, "ws://voice.example.com/x", {}, by_hand=True))
        message = await socket.receive()
        socket.abort()

    assert message.data == "hello"
    assert proxy.asked == [
        b"CONNECT voice.example.com:80 HTTP/1.1",
        b"Host: voice.example.com:80",
        b"Proxy-Authorization: Basic bWU6cEBzcw==",
    ]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answered 'HTTP/1.1 403 Forbidden'$"),
        (b"\r\n\r\n", "answered ''$"),
        (b"Sorry", "gave no answer of HTTP$"),
        (b"x" * 100_000, "gave no answer of HTTP$"),
    ],
)
async def test_a_proxy_that_makes_no_tunnel_is_named(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, complaint: str
) -> None:
    async with proxied(monkeypatch, answer), open_session() as session:
        with pytest.raises(OSError, match=rf"^the proxy 127\.0\.0\.1:\d+ {complaint}"):
            await connect(session, "ws://[2001:db8::1]:8090/x", {})


async def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")

    async with open_session() as session:
        with pytest.raises(OSError, match="a proxy must be http:// or https://, not socks5://"):
            await connect(session, "ws://voice.example.com/x", {})
