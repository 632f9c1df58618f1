"""What browsers send that they should not: a clear answer, and calls, rows, ports and memory as before.

COSYBRIDGE_FLOOD_S=60 python -m pytest -s tests/e2e/test_browser_bad_input.py
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.e2e import agents
from tests.e2e.browser_phone import BrowserPhone
from tests.e2e.census import Burden, Census
from tests.e2e.lab import eventually
from tests.e2e.rtp_lines import resident_kib
from tests.e2e.running import RunningBridge
from tests.e2e.test_floods import Conversation
from tests.e2e.undisturbed import undisturbed

LENGTH_S = float(os.environ.get("COSYBRIDGE_FLOOD_S", "5"))
RATE = 1000
"""Offers a second."""
MOST_KIB = 8 * 1024
"""What a flood of offers may add to the memory of the process that signals."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120 + 12 * LENGTH_S)]

SLACK = 2
"""Connections that may stay: every block does at least three times what could leave something."""
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    settings = agents.routes(ticker="tone") | {
        "routes.1.to": "*",
        "media.standby": "false",
        "webrtc.inactivity_s": "2",
        "webrtc.offers_per_s": "50",
    }
    with RunningBridge(settings) as running:
        yield running


@pytest.fixture
async def page(bridge: RunningBridge) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {bridge.token}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{bridge.http_port}", headers=headers) as session:
        yield session


@asynccontextmanager
async def leaving_nothing(bridge: RunningBridge) -> AsyncIterator[None]:
    """Hold what is there after the block to what was there before it."""
    before, burden = Census.of(bridge), Burden.of(bridge)
    yield
    await no_heavier(bridge, burden)
    await eventually(
        lambda: Census.of(bridge) == before, timeout_s=20, what=lambda: f"{Census.of(bridge)} is not {before}"
    )


async def ended(bridge: RunningBridge, how: str) -> float:
    """Calls from browsers that ended so, up to now."""
    return await asyncio.to_thread(bridge.metric, "cosybridge_browser_calls_ended_total", f'how="{how}"')


async def no_heavier(bridge: RunningBridge, before: Burden) -> None:
    """Hold tasks and descriptors to what they were, but for a few connections that are kept open."""
    await eventually(
        lambda: Burden.of(bridge).is_no_more_than(before, slack=SLACK),
        timeout_s=20,
        what=lambda: f"{Burden.of(bridge)} is more than {before}",
    )


async def offered(
    page: aiohttp.ClientSession, sdp: str | bytes, **headers: str
) -> tuple[int, dict[str, Any]]:
    given = SDP | {name.replace("_", "-"): value for name, value in headers.items()}
    async with page.post("/api/webrtc", data=sdp, headers=given) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        ("", 400),
        ("nonsense", 422),
        ("v=0", 422),
        (HEAD, 422),
        (HEAD + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n", 422),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n", 422),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 9999999999\r\n", 422),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 500, 422),
        (b"\xff\x00" * 1000, 422),
        (HEAD + "a=x\r\n" * 20_000, 413),
    ],
)
async def test_an_offer_that_is_none_has_a_clear_answer(
    bridge: RunningBridge, page: aiohttp.ClientSession, sdp: str | bytes, status: int
) -> None:
    async with leaving_nothing(bridge):
        for _ in range(5):
            answered, problem = await offered(page, sdp)
            assert (answered, bool(problem["detail"])) == (status, True)


async def test_pages_whose_ice_never_completes_leave_nothing(
    bridge: RunningBridge, page: aiohttp.ClientSession
) -> None:
    async with BrowserPhone(f"http://127.0.0.1:{bridge.http_port}", bridge.token) as caller:
        sdp = caller._peer.localDescription.sdp
    await eventually(lambda: Census.of(bridge).calls == 0, timeout_s=20)
    unconnected = await ended(bridge, "unconnected")
    async with leaving_nothing(bridge):
        for _ in range(5):
            async with page.post("/api/webrtc", data=sdp, headers=SDP) as answer:
                assert answer.status == 201
        assert Census.of(bridge).calls == 5
        assert Burden.of(bridge).tasks["browser calls"] >= 5
    assert await ended(bridge, "unconnected") == unconnected + 5


async def test_tabs_that_are_closed_in_mid_call_leave_nothing(bridge: RunningBridge) -> None:
    async with leaving_nothing(bridge):
        for _ in range(3):
            async with BrowserPhone(f"http://127.0.0.1:{bridge.http_port}", bridge.token) as caller:
                await eventually(lambda: caller.state == "connected", timeout_s=10)
                assert Census.of(bridge).calls == 1


async def test_foreign_names_and_pages_are_refused(
    bridge: RunningBridge, page: aiohttp.ClientSession
) -> None:
    sdp = HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    async with leaving_nothing(bridge):
        foreign = {"Host": "rebound.example"}
        for path in ("/", "/api/calls", "/api/desk", "/metrics", "/api/webrtc"):
            async with page.get(path, headers=foreign) as answer:
                assert (answer.status, (await answer.json(content_type=None))["title"]) == (403, "Forbidden")
        assert (await offered(page, sdp, **foreign))[0] == 403
        status, problem = await offered(page, sdp, Origin="https://evil.example")
        assert (status, "webrtc.origins" in problem["detail"]) == (403, True)
        for socket in ("/api/desk", "/api/events"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await page.ws_connect(socket, origin="https://evil.example")
            assert refused.value.status == 403


async def flooded(bridge: RunningBridge, sources: int) -> dict[str, Any]:
    """Flood the page with offers of strangers; returns what the flood tells of itself."""
    words = [str(bridge.http_port), str(RATE), str(LENGTH_S), str(sources)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.offer_flood", *words, stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 4 * LENGTH_S + 60)
    told = json.loads(out.splitlines()[-1])
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("sources", [1, 10, 200])
@undisturbed
async def test_a_thousand_offers_a_second_of_strangers_cost_no_call_anything(
    bridge: RunningBridge, sources: int
) -> None:
    with Conversation(bridge, 2) as conversation:
        await asyncio.sleep(1)
        await flooded(bridge, sources)  # whatever is made once is made now
        before, accounts = Census.of(bridge), conversation.accounts()
        burden = Burden.of(bridge)
        kib = resident_kib(bridge.process.pid)
        told = await flooded(bridge, sources)
        grown, later = resident_kib(bridge.process.pid) - kib, conversation.accounts()
        await eventually(lambda: Census.of(bridge) == before, timeout_s=10)
        await no_heavier(bridge, burden)

    rate = told["sent"] / told["seconds"]
    print(
        f"\n{sources} sources: {told['sent']} offers, {rate:.0f} a second, answered {told['answers']} in"
        f" {told['p50_ms']:.1f} ms (95 of 100 within {told['p95_ms']:.1f}), {grown} KiB more"
    )
    assert set(told["answers"]) <= {"401", "429"}
    assert grown < MOST_KIB
    assert [heard.is_whole() for heard in conversation.heard] == [True, True]
    for now, then in zip(later, accounts, strict=True):
        assert now["silence_bridge_late"] == then["silence_bridge_late"]
        assert now["rx_lost"] == then["rx_lost"]
    # Each waits for its answer before it offers again, so a busy machine slows a few sources down.
    assert rate > 0.5 * RATE or sources == 1
