"""The page on its less trodden ways: a call given up early, a second token, a full desk, a broken link."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge
from tests.interop.browser_page import chromium, look, opened, write_microphone

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(120)]

ANSWER_AFTER_MS = 1000
READER = "a-token-that-only-looks"


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    settings = {"media.standby": "false", "api.event_clients": "2", "http.read_token": READER}
    with RunningBridge(settings) as running:
        yield running


def url(bridge: RunningBridge, *, token: str = "", view: str = "") -> str:
    return f"http://127.0.0.1:{bridge.http_port}/?token={token or bridge.token}{view}"


async def test_a_call_that_is_given_up_while_it_is_placed_ends_at_the_bridge_too(
    peer: str, bridge: RunningBridge, tmp_path: Path
) -> None:
    async with chromium(peer, write_microphone(tmp_path / "microphone.wav")) as browser:
        page, faults = await opened(browser, url(bridge))

        async def slowly(route: Route) -> None:
            answer = await route.fetch()
            await page.wait_for_timeout(ANSWER_AFTER_MS)
            await route.fulfill(response=answer)

        await page.route("**/api/webrtc?*", slowly)
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url.partition("?")[0]))
        await page.get_by_role("button", name="Call", exact=True).click()
        await page.locator("[data-state=calling]").wait_for(timeout=10_000)
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("The call is over: you hung up.")).to_be_visible()

        # Long before the bridge would miss the page's sound.
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["state"] == "ended", timeout_s=4)
        assert bridge.get("/api/calls")["calls"][0]["reason"] == "caller gave up"
        await page.wait_for_timeout(2500)
        assert not [each for each in sockets if each.endswith("/api/events")]
        assert await page.locator("[data-state=idle]").count() == 1
    assert not faults


async def test_a_call_whose_sound_is_stopped_on_the_way_says_what_helps(
    peer: str, bridge: RunningBridge, tmp_path: Path
) -> None:
    async with chromium(peer, write_microphone(tmp_path / "microphone.wav")) as browser:
        page, faults = await opened(browser, url(bridge))

        async def bend(route: Route) -> None:
            answer = await route.fetch()
            nowhere = re.sub(r"(a=candidate:\S+ 1 \S+ \d+ )\S+", r"\g<1>198.51.100.7", await answer.text())
            await route.fulfill(response=answer, body=nowhere)

        await page.route("**/api/webrtc?*", bend)
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.locator(".status")).to_contain_text(
            "no sound came through. A firewall may be in the way", timeout=20_000
        )
        assert bridge.get("/api/calls")["calls"][0]["reason"] == "no media"
        await look(page, "call-no-sound")
    assert not faults


async def test_whoever_brings_a_second_token_is_served_once(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        page, faults = await opened(browser, url(bridge, token="an-old-one", view="#/desk"))
        gate = page.get_by_role("heading", name="This bridge asks for its token")
        await expect(gate).to_be_visible()
        await page.get_by_role("link", name="Call", exact=True).click()
        await expect(gate).to_be_visible()  # nothing is behind it without one
        await page.get_by_label("Token", exact=True).fill(bridge.token)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Talk to the bot")

        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
        await page.evaluate("location.hash = '#/calls/0123456789'")
        await expect(page.get_by_role("heading", level=1)).to_have_text("No such call")
        assert asked.count("0123456789") == 1
    assert not faults


async def test_a_desk_that_is_full_says_so(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        pages = [(await opened(browser, url(bridge, view="#/desk")))[0] for _ in range(2)]
        for page in pages:
            await expect(page.locator("#line")).to_have_text("Live")

        last, faults = await opened(browser, url(bridge, view="#/desk"))
        await expect(last.locator("#line")).to_have_text("Too many pages are open")
        await look(last, "desk-full")
        await pages[0].close()
        await expect(last.locator("#line")).to_have_text("Live", timeout=15_000)
    assert not faults


async def test_a_proxy_that_lets_no_websocket_through_is_named(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        page, faults = await opened(browser, "about:blank")
        await page.route_web_socket("**/api/desk?*", lambda socket: socket.close())
        await page.goto(url(bridge, view="#/desk"))
        await expect(page.locator("#line")).to_have_text("WebSockets are blocked", timeout=15_000)
        await look(page, "desk-blocked")
    assert not faults


async def test_the_description_of_the_api_is_read_on_every_screen(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        page, faults = await opened(
            browser, f"http://127.0.0.1:{bridge.http_port}/api/docs?token={bridge.token}"
        )
        await expect(page.get_by_role("heading", level=1)).to_contain_text("cosybridge API")
        await look(page, "api-docs")
        await page.get_by_role("link", name="POST /api/calls", exact=True).click()
        await expect(page.get_by_role("heading", name="POST /api/calls Place a call")).to_be_in_viewport()
    assert not faults


async def test_a_link_that_names_no_call_is_answered_in_words(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        page, faults = await opened(browser, url(bridge, view="#/calls/%"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("No such call")
    assert not faults


async def test_a_token_that_only_looks_says_what_it_does_not_open(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        page, faults = await opened(browser, url(bridge, token=READER))
        await expect(page.get_by_text("This token only looks: it may not call.")).to_be_visible()
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_disabled()
        await look(page, "call-reader")
    assert not faults
