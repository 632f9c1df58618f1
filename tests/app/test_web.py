import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bridge.aio.http import HttpServer, HttpSettings
from bridge.app.metrics import Metrics
from bridge.app.web import routes
from tests.fakes import SeededIds


class TwoCalls:
    """A book with one call that is up and one that is over."""

    def __init__(self) -> None:
        self.health = "ok"

    def calls(self) -> list[dict[str, Any]]:
        return [{"id": "b", "state": "up"}, {"id": "a", "state": "ended"}]

    def call(self, id: str) -> dict[str, Any] | None:
        return {"id": "a", "barge_ins": [], "media": {"tx_packets": 42}} if id == "a" else None


@pytest.fixture
def book() -> TwoCalls:
    return TwoCalls()


@pytest.fixture
async def session(book: TwoCalls) -> AsyncIterator[aiohttp.ClientSession]:
    metrics = Metrics()
    metrics.call_started()
    server = await HttpServer.start(
        HttpSettings(listen=("127.0.0.1", 0)),
        routes(book, metrics, health=lambda: book.health),
        dice=SeededIds(),
    )
    base = f"http://127.0.0.1:{server.listen[1]}"
    async with aiohttp.ClientSession(base, headers={"Authorization": f"Bearer {server.token}"}) as session:
        yield session
    await server.close()


async def test_the_calls_are_listed(session: aiohttp.ClientSession) -> None:
    async with session.get("/api/calls") as answer:
        assert await answer.json() == {"calls": [{"id": "b", "state": "up"}, {"id": "a", "state": "ended"}]}


async def test_one_call_is_told_whole(session: aiohttp.ClientSession) -> None:
    async with session.get("/api/calls/a") as answer:
        assert await answer.json() == {"id": "a", "barge_ins": [], "media": {"tx_packets": 42}}


async def test_the_way_of_a_frame_is_drawn_with_the_counts_of_a_call(session: aiohttp.ClientSession) -> None:
    async with session.get("/api/calls/a/path") as answer:
        assert "tx_packets=42" in await answer.text()
    async with session.get("/api/calls/zz/path") as answer:
        assert answer.status == 404


async def test_an_unknown_call_is_not_there(session: aiohttp.ClientSession) -> None:
    async with session.get("/api/calls/zz%0Ay") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "there is no call zz\ny"})
        assert (await answer.text()).count("\n") == 1


async def test_the_metrics_are_in_prometheus_format(session: aiohttp.ClientSession) -> None:
    async with session.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "cosybridge_calls_active 1.0" in await answer.text()


async def test_health_says_when_no_call_is_taken(session: aiohttp.ClientSession, book: TwoCalls) -> None:
    async with session.get("/healthz") as answer:
        assert (answer.status, json.loads(await answer.text())) == (200, {"status": "ok"})

    book.health = "draining"

    async with session.get("/healthz") as answer:
        assert (answer.status, json.loads(await answer.text())) == (503, {"status": "draining"})


async def test_the_page_loads_nothing_from_anywhere(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as answer:
        page = await answer.text()

    assert answer.content_type == "text/html"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<title>cosybridge</title>" in page
    assert "src=" not in page
    assert "href=" not in page


async def test_the_page_needs_the_token_like_everything_else(session: aiohttp.ClientSession) -> None:
    async with session.get("/", headers={"Authorization": "Bearer wrong"}) as answer:
        assert answer.status == 401
