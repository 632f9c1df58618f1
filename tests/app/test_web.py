import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bridge.aio.http import HttpServer, HttpSettings
from bridge.app.metrics import Metrics
from bridge.app.web import CODE, PAGE, routes
from bridge.app.webrtc import holds
from tests.fakes import SeededIds

WEB = Path(__file__).parents[2] / "bridge/app/web"
TOKEN = "only-for-this-test"
NAVIGATION = {"Accept": "text/html,application/xhtml+xml"}
STRANGER = {"Authorization": "Bearer wrong"}


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
        HttpSettings(listen=("127.0.0.1", 0), token=TOKEN),
        routes(metrics, is_key=holds(TOKEN), health=lambda: bridge.health),
        dice=SeededIds(),
        own_doors=(PAGE, CODE),
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


async def test_the_page_is_made_of_our_own_files_alone(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]

    assert answer.content_type == "text/html"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<title>cosybridge</title>" in page
    wanted = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    assert {each.rpartition(".")[2] for each in wanted} == {"js", "css", "svg"}
    assert {f"{CODE}/{path.name}" for path in WEB.glob("*.js")} <= wanted  # one round trip brings them all
    loaded: dict[str, str] = {}
    while wanted:
        path = wanted.pop()
        async with session.get(path, headers=STRANGER) as answer:
            assert answer.status == 200, path
            loaded[path] = await answer.text()
        imported = re.findall(r'from "\./([a-z_]+\.js)"', loaded[path])
        wanted |= {f"{CODE}/{name}" for name in imported} - set(loaded)
    served = {path.rpartition("/")[2] for path in loaded}
    assert served == {path.name for path in WEB.iterdir() if path.suffix != ".html"}
    for path, text in loaded.items():
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), path
        assert text.count("\n") < 350, path


async def test_only_what_is_there_is_served(session: aiohttp.ClientSession) -> None:
    for path in ("/web/index.html", "/web/..%2fweb.py", "/web/nothing.js", "/web/"):
        async with session.get(path) as answer:
            assert answer.status == 404, path


async def test_the_page_needs_the_token_like_everything_else(session: aiohttp.ClientSession) -> None:
    async with session.get("/", headers=STRANGER) as answer:
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"


async def test_a_person_without_the_token_gets_an_empty_page_to_enter_it(
    session: aiohttp.ClientSession,
) -> None:
    async with session.get("/", headers=STRANGER | NAVIGATION) as answer:
        assert answer.status == 401
        assert answer.content_type == "text/html"
        assert TOKEN not in await answer.text()
