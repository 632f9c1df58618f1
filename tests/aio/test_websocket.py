"""A client's WebSocket: opened, refused, written at once and closed in good order."""

import asyncio
import os
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bridge.aio import websocket as websocket_module
from bridge.aio.websocket import RefusedError, Socket, connect, ending_of, open_session
from tests.aio.cosyvoice_fake import Behaviour, eventually, running


@asynccontextmanager
async def serving(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handle, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Socket]:
    """A socket that is broken off afterwards."""
    async with open_session() as session:
        socket = Socket(await connect(session, url, {}, by_hand=True))
        try:
            yield socket
        finally:
            socket.abort()


async def read_all(socket: Socket) -> tuple[list[str | bytes], str]:
    """What comes until the socket ends, and how it ended."""
    data: list[str | bytes] = []
    socket.is_read = True
    while True:
        message = await socket.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data.append(message.data)
        elif (ending := socket.take(message)) is not None:
            socket.read_to_its_end()
            return data, ending


class Deaf:
    """A service that takes a connection and nothing of what is sent on it."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []

    async def handle(self, connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        self.connections.append(connection)
        await connection.wait_closed()

    async def taken(self) -> ServerConnection:
        await eventually(lambda: self.connections != [])
        return self.connections[0]


class Listener:
    """A service that keeps what it hears, and may be made not to read."""

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.closed_with: tuple[int, str] | None = None

    async def handle(self, connection: ServerConnection) -> None:
        try:
            while True:
                await self.reads.wait()
                self.heard.append(await connection.recv())
        except ConnectionClosed as error:
            if error.rcvd is not None:
                self.closed_with = (error.rcvd.code, error.rcvd.reason)


async def test_a_refusal_brings_its_status_and_its_whole_body() -> None:
    body = "no" * 20_000
    async with running(Behaviour(status=429, body=body)) as service:
        with pytest.raises(RefusedError, match="429 Too Many Requests") as caught:
            async with opened(service.url):
                pass

    assert (caught.value.status, caught.value.reason) == (429, "Too Many Requests")
    assert caught.value.body.decode() == body


async def test_a_refusal_whose_body_does_not_end_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_module, "_REASON_S", 0.05)
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nGo away")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RefusedError) as caught:
            async with opened(f"ws://127.0.0.1:{port}/"):
                pass
        await left.wait()

    assert (caught.value.status, caught.value.body) == (403, b"Go away")


async def test_what_is_written_has_left_before_the_next_line_runs() -> None:
    """The mark of a cancel is when its message has left: no turn of the loop may pass before."""
    service = Deaf()
    async with serving(service.handle) as url, opened(url) as socket:
        connection = await service.taken()
        far_end = connection.transport.get_extra_info("socket").fileno()

        socket.write("cancel")

        select.select([far_end], [], [], 5)
        frame = os.read(far_end, 100)
        mask, masked = frame[2:6], frame[6:]
        assert bytes(octet ^ mask[place % 4] for place, octet in enumerate(masked)) == b"cancel"
        connection.transport.abort()


async def test_no_message_is_lost_or_torn_while_the_service_reads_nothing() -> None:
    listener = Listener()
    listener.reads.clear()
    texts = [f"{number} " * 2000 for number in range(3000)]
    async with serving(listener.handle) as url, opened(url) as socket:
        reading = asyncio.create_task(read_all(socket))
        for text in texts:
            socket.write(text)

        listener.reads.set()

        await eventually(lambda: len(listener.heard) == len(texts))
        assert listener.heard == texts
        await socket.close()
        await reading


async def test_nothing_happens_to_what_is_written_when_it_is_closed() -> None:
    listener = Listener()
    async with serving(listener.handle) as url, opened(url) as socket:
        reading = asyncio.create_task(read_all(socket))
        await socket.close()
        await reading

        socket.write("too late")

        assert not socket.is_open
        assert socket.is_over
        await eventually(lambda: listener.closed_with == (1000, ""))
        assert listener.heard == []


async def test_it_ends_with_the_services_own_words() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.send("first")
        await connection.close(1011, "out of order")

    async with serving(leave) as url, opened(url) as socket:
        data, ending = await read_all(socket)

    assert data == ["first"]
    assert ending == "the service closed the connection with 1011: out of order"


async def test_a_service_that_breaks_off_says_nothing() -> None:
    async def break_off(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with serving(break_off) as url, opened(url) as socket:
        _, ending = await read_all(socket)

        assert ending == "the connection to the service broke"
        assert not socket.is_open
        assert not await socket.ping()


@pytest.mark.parametrize(("more", "is_taken"), [(0, True), (1, False)])
async def test_a_frame_may_have_eight_megabytes_and_no_more(more: int, *, is_taken: bool) -> None:
    async def speak(connection: ServerConnection) -> None:
        await connection.send(bytes(8 * 1024 * 1024 + more))
        await connection.close()

    async with serving(speak) as url, opened(url) as socket:
        data, ending = await read_all(socket)

    assert len(data) == is_taken
    assert ending.startswith("the service closed" if is_taken else "the service broke the WebSocket protocol")


async def test_a_ping_is_answered_and_ours_is_too() -> None:
    answered = asyncio.Event()

    async def ask(connection: ServerConnection) -> None:
        await (await connection.ping())
        answered.set()
        await connection.wait_closed()

    async with serving(ask) as url, opened(url) as socket:
        reading = asyncio.create_task(read_all(socket))

        assert await socket.ping()

        await answered.wait()
        await socket.close()
        await reading


async def test_who_waits_for_a_pong_is_told_that_none_will_come() -> None:
    service = Deaf()
    async with serving(service.handle) as url, opened(url) as socket:
        reading = asyncio.create_task(read_all(socket))
        asking = asyncio.create_task(socket.ping())
        connection = await service.taken()
        assert not asking.done()

        socket.abort()

        assert not await asking
        _, ending = await reading
        assert ending == "the connection to the service broke"
        connection.transport.abort()


async def test_a_service_that_does_not_answer_a_goodbye_is_left_after_a_second() -> None:
    service = Deaf()
    async with serving(service.handle) as url, opened(url) as socket:
        reading = asyncio.create_task(read_all(socket))
        connection = await service.taken()

        await socket.close()

        _, ending = await reading
        assert ending == "the connection to the service broke"
        connection.transport.abort()


async def test_a_socket_that_nobody_reads_is_closed_without_waiting() -> None:
    listener = Listener()
    async with serving(listener.handle) as url, opened(url) as socket:
        await socket.close()

        await eventually(lambda: listener.closed_with == (1000, ""))


def test_a_close_without_a_code_is_named_as_the_standard_does() -> None:
    message = aiohttp.WSMessage(aiohttp.WSMsgType.CLOSE, 0, "")

    assert ending_of(message) == "the service closed the connection with 1005"
