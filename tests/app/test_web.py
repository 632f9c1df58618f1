import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bridge.aio.http import HttpServer, HttpSettings
from bridge.app.metrics import Metrics
from bridge.app.web import routes
from tests.fakes import SeededIds


class Bridge:
    health = "ok"


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


@pytest.fixture
async def session(bridge: Bridge) -> AsyncIterator[aiohttp.ClientSession]:
    metrics = Metrics()
    metrics.call_started()
    server = await HttpServer.start(
        HttpSettings(listen=("127.0.0.1", 0)),
        routes(metrics, health=lambda: bridge.health),
        dice=SeededIds(),
    )
    base = f"http://127.0.0.1:{server.listen[1]}"
    async with aiohttp.ClientSession(base, headers={"Authorization": f"Bearer {server.token}"}) as session:
        yield session
    await server.close()


async def test_the_metrics_are_in_prometheus_format(session: aiohttp.ClientSession) -> None:
    async with session.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "cosybridge_calls_active 1.0" in await answer.text()


async def test_health_says_when_no_call_is_taken(session: aiohttp.ClientSession, bridge: Bridge) -> None:
    async with session.get("/healthz") as answer:
        assert (answer.status, json.loads(await answer.text())) == (200, {"status": "ok"})

    bridge.health = "draining"

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
