import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect

from tests.bench.ready_server import ReadyServer
from tests.ttsserver.client import Client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    server = await asyncio.get_running_loop().create_server(ReadyServer, "127.0.0.1", 0)
    async with (
        server,
        connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", compression=None) as socket,
    ):
        yield Client(socket)


async def test_it_sends_the_frames_that_were_asked_for_in_the_documented_order(client: Client) -> None:
    heard = await client.say("a", "Hello.", x_ready={"frames": 3, "size": 70_000})

    pairs = ["sentence-synthesis", "sound"] * 3
    assert heard.order == ["task-started", "sentence-begin", *pairs, "sentence-end", "task-finished"]
    assert {len(frame) for frame in heard.frames} == {70_000}
    assert {event["header"]["task_id"] for event in heard.events} == {"a"}


async def test_it_answers_a_cancel_or_ignores_it_and_carries_another_task(client: Client) -> None:
    await client.run("a", x_ready={"frames": 1, "size": 10, "ignores_cancel": True})
    await client.cancel("a")
    ignored = await client.hear(until=("task-started",))
    assert await client.silence(0.05) == []
    await client.finish("a")
    await client.hear()

    await client.run("b", x_ready={"frames": 1, "size": 10})
    await client.cancel("b")
    answered = await client.hear()

    assert ignored.order == ["task-started"]
    assert answered.order == ["task-started", "task-finished"]


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_frames_that_are_apart_end_before_the_task_does(client: Client, is_cancelled: bool) -> None:
    await client.run("a", x_ready={"frames": 5, "size": 10, "apart_ms": 2})
    await client.text("a", "Hello.")
    await client.finish("a")
    heard = await client.hear(until=("sound",))
    if is_cancelled:
        await client.cancel("a")

    await client.hear(into=heard)

    assert heard.order.count("task-finished") == 1
    assert len(heard.frames) < 5 if is_cancelled else len(heard.frames) == 5
    assert await client.silence(0.02) == []


async def test_it_answers_pings_and_closes_when_asked(client: Client) -> None:
    await asyncio.wait_for(await client.socket.ping(b"x" * 125), 2)

    await client.socket.close()

    assert client.socket.close_code == 1000
