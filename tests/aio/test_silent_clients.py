import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bridge.aio.http import HttpServer, HttpSettings, json_answer
from bridge.aio.silent_clients import SilentClients
from tests.fakes import SeededIds

ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def watched(*, patience_s: float = 10.0, room: int = 3) -> SilentClients:
    return SilentClients(web.Application(), patience_s=patience_s, room=room)


def test_who_asks_nothing_for_too_long_is_let_go() -> None:
    clients = watched()

    assert clients.overdue(["early"], now_s=100) == []
    assert clients.overdue(["early", "late"], now_s=105) == []
    assert clients.overdue(["early", "late"], now_s=110) == ["early"]
    assert clients.overdue(["late"], now_s=115) == ["late"]


def test_who_has_asked_may_be_silent_for_long() -> None:
    clients = watched()
    clients.hear("asked")

    assert clients.overdue(["asked"], now_s=0) == []
    assert clients.overdue(["asked"], now_s=1000) == []
    assert clients.overdue([], now_s=1001) == []
    assert clients.overdue(["asked"], now_s=1002) == []  # another one, with the same name
    assert clients.overdue(["asked"], now_s=1012) == ["asked"]


def test_the_oldest_of_too_many_make_room() -> None:
    clients = watched(room=2)
    clients.hear("b")

    assert clients.overdue(["a", "b", "c", "d", "e"], now_s=0) == ["a", "c"]


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async def healthz(_request: web.Request) -> web.StreamResponse:
        return json_answer({"status": "ok"})

    settings = HttpSettings(listen=("127.0.0.1", 0), patience_s=0.2)
    started = await HttpServer.start(settings, [web.get("/healthz", healthz)], dice=SeededIds())
    yield started
    await started.close()


async def test_a_server_keeps_whoever_has_asked_and_nobody_else(server: HttpServer) -> None:
    asked, asks = await asyncio.open_connection(*server.listen)
    asks.write(ASK)
    assert b"ok" in await asked.readuntil(b"}\n")
    silent, says_nothing = await asyncio.open_connection(*server.listen)
    begun, begins = await asyncio.open_connection(*server.listen)
    begins.write(ASK[:20])

    assert await silent.read() == await begun.read() == b""

    asks.write(ASK)
    assert b"ok" in await asked.readuntil(b"}\n")
    for writer in (asks, says_nothing, begins):
        writer.close()
