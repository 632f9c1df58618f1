"""How a connection is opened, and how it is not; how it is read, and how it ends."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from bridge.aio.cosyvoice_connection import Address, Connection, DialError, Dialler
from bridge.clock import SystemClock
from bridge.cosyvoice.message import Event
from bridge.cosyvoice.task import Failed
from tests.aio.cosyvoice_fake import Behaviour, eventually, running


@asynccontextmanager
async def dialled(address: Address) -> AsyncIterator[Connection]:
    """A connection that is closed afterwards, with what opened it."""
    dialler = Dialler(address, clock=SystemClock(), counters=Counter())
    try:
        connection = await dialler.dial()
        yield connection
        await connection.close()
    finally:
        await dialler.close()


async def refusal(address: Address) -> DialError:
    """Why no connection to it comes about."""
    with pytest.raises(DialError) as caught:
        async with dialled(address):
            pass
    return caught.value


async def test_sound_is_not_deflated_and_we_say_who_we_are() -> None:
    async with running() as service:
        async with dialled(Address(service.url)):
            pass

        assert service.extensions == ["[]"]
        assert service.headers[0]["User-Agent"] == "cosybridge"
        assert "Authorization" not in service.headers[0]


async def test_the_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(Address("ws://127.0.0.1", "sk-secret"))


@pytest.mark.parametrize("key", ["sk-secret\r\nX-Evil: 1", "sk-ключ"])
async def test_a_key_no_header_can_carry_is_refused_without_dialling(key: str) -> None:
    error = await refusal(Address("ws://127.0.0.1:9", key))

    assert error.failure.code == "Refused"
    assert key not in str(error)


async def test_a_service_that_does_not_answer_the_handshake_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}"
        error = await refusal(Address(url, open_timeout_s=0.05))

    assert "did not answer within 0.05 s" in str(error)
    assert (error.failure.code, error.failure.stage) == ("Timeout", "handshake")


async def test_what_is_no_websocket_address_is_named() -> None:
    error = await refusal(Address("http://x"))

    assert str(error) == "http://x cannot be reached: a WebSocket address begins with ws:// or wss://"


@pytest.mark.parametrize(
    ("status", "retryable"), [(401, False), (403, False), (404, False), (429, True), (500, True)]
)
async def test_a_refusal_names_the_status(status: int, retryable: bool) -> None:
    async with running(Behaviour(status=status)) as service:
        error = await refusal(Address(service.url))

    assert f"answered {status}" in str(error)
    assert error.failure.code == "Refused"
    assert error.failure.retryable is retryable
    assert error.failure.status == status


async def test_a_refusal_tells_the_services_own_words_but_not_the_key() -> None:
    body = '{"code": "InvalidApiKey", "message": "sk-secret is not known", "request_id": "r-1"}'
    async with running(Behaviour(status=401, body=body)) as service:
        failure = (await refusal(Address(service.url, "sk-secret"))).failure

    assert (failure.code, failure.status, failure.request_id) == ("InvalidApiKey", 401, "r-1")
    assert "*** is not known" in failure.message


async def test_further_headers_are_sent() -> None:
    async with running() as service:
        address = Address(service.url, headers={"X-DashScope-WorkSpace": "ws-1"})
        async with dialled(address):
            pass

    assert service.headers[0]["X-DashScope-WorkSpace"] == "ws-1"


class Ear:
    """What carries no speech but has enough."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.received: list[Event | bytes] = []
        self.ends: list[Failed] = []

    def receive(self, item: Event | bytes) -> None:
        self.received.append(item)

    def lost(self, failure: Failed) -> None:
        self.ends.append(failure)


async def test_who_has_enough_is_not_taken_for_dead_when_no_pong_comes() -> None:
    async with running() as service, dialled(Address(service.url)) as connection:
        reading = asyncio.create_task(connection.read())
        ear = Ear()
        connection.bearer = ear
        (far_end,) = service.sockets
        far_end.transport.pause_reading()
        ear.room.set()
        asked = asyncio.create_task(connection.check(within_s=0.02))
        await far_end.send(bytes(2))
        await eventually(lambda: ear.received == [bytes(2)])

        ear.room.clear()

        assert await asked
        assert await connection.check(within_s=0.02)
        ear.room.set()
        assert not await connection.check(within_s=0.02)
        far_end.transport.resume_reading()
        await connection.close()
        await reading


async def test_whom_it_carries_is_told_the_services_last_words() -> None:
    async with running() as service, dialled(Address(service.url)) as connection:
        reading = asyncio.create_task(connection.read())
        ear = Ear()
        connection.bearer = ear
        (far_end,) = service.sockets

        await far_end.close(1011, "out of order")

        await reading
        told = Failed("Closed", "the service closed the connection with 1011: out of order", retryable=True)
        assert ear.ends == [told]
        assert not connection.is_open
        assert not await connection.check(within_s=1)


async def test_a_service_with_much_to_say_leaves_the_others_their_turn() -> None:
    async with running() as service, dialled(Address(service.url)) as connection:
        ear = Ear()
        ear.room.set()
        connection.bearer = ear
        (far_end,) = service.sockets
        seen = []

        async def look() -> None:
            while len(ear.received) < 1000:
                seen.append(len(ear.received))
                await asyncio.sleep(0)

        for _ in range(1000):
            await far_end.send(bytes(2))

        await asyncio.gather(look(), _until(connection, lambda: len(ear.received) == 1000))

        assert max(after - before for before, after in pairwise([*seen, 1000])) <= 100


async def _until(connection: Connection, is_enough: Callable[[], bool]) -> None:
    reading = asyncio.create_task(connection.read())
    await eventually(is_enough)
    await connection.close()
    await reading
