"""Chromium opens the page, calls, hears the bot, talks over it, presses keys, lets it speak, hangs up."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge
from tests.interop.browser_page import HEARD, chromium, look, opened, write_microphone

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(180)]

SENTENCE = "Your parcel will arrive on Tuesday."


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    folder = tmp_path_factory.mktemp("recordings")
    settings = {"media.standby": "false", "recording.enabled": "true", "recording.folder": str(folder)}
    with RunningBridge(settings) as running:
        yield running


def newest(bridge: RunningBridge) -> str:
    return str(bridge.get("/api/calls")["calls"][0]["id"])


async def interrupted(page: Page, bridge: RunningBridge) -> None:
    """The voice in the microphone talks over the bot's greeting."""
    await eventually(lambda: bridge.get("/api/calls")["calls"][0]["barge_ins"] >= 1, timeout_s=25)
    await expect(page.locator(".interruption .lead")).to_contain_text("until the bot was silent")
    await expect(page.locator(".timeline .cut-mark")).not_to_have_count(0)
    await expect(page.locator(".transcript s").first).to_be_attached(timeout=10_000)


async def test_a_person_calls_from_the_page(peer: str, bridge: RunningBridge, tmp_path: Path) -> None:
    async with chromium(peer, write_microphone(tmp_path / "microphone.wav")) as browser:
        page, faults = await opened(browser, f"http://127.0.0.1:{bridge.http_port}/?token={bridge.token}")
        assert bridge.token not in page.url
        await expect(page.get_by_label("Who answers")).to_contain_text("The guide")
        await look(page, "call-before")

        await page.get_by_role("button", name="Call", exact=True).click()
        await page.locator("[data-connected-ms]").wait_for(timeout=10_000)
        connected_ms = int(await page.locator("[data-connected-ms]").get_attribute("data-connected-ms") or 0)
        print(f"connected {connected_ms} ms after the click")
        await expect(page.get_by_role("button", name="Hang up")).to_be_focused()

        await interrupted(page, bridge)
        stages = bridge.get(f"/api/calls/{newest(bridge)}")["barge_ins"][0]["stages_ms"]
        print(f"stages of the interruption, ms: {stages}")
        await look(page, "call-interrupted")

        await asyncio.sleep(4)  # until the voice in the microphone has said all
        await page.get_by_role("button", name="Keys").click()
        await page.get_by_role("button", name="5", exact=True).click()
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["digits"] == 1)
        await page.keyboard.press("7")
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["digits"] == 2)
        await page.get_by_label("Let the bot say").fill(SENTENCE)
        await page.get_by_role("button", name="Say it").click()
        said = page.locator(".transcript .bot").filter(has_text="parcel will arrive on Tuesday")
        await expect(said).to_have_count(1, timeout=15_000)
        assert await page.evaluate(HEARD) > 0.01  # it was heard, not only sent
        await look(page, "call-keys")

        await page.get_by_role("link", name="Desk").click()
        await expect(page.locator("#on-call")).to_contain_text("You are in a call")
        await expect(page.get_by_role("table", name="Calls now").get_by_role("row")).to_have_count(2)
        await look(page, "desk-live")
        await page.get_by_role("table", name="Calls now").get_by_role("link").first.click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Browser")
        await look(page, "record-live")

        await page.locator("#on-call").get_by_role("button", name="Hang up").click()
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["state"] == "ended")
        await expect(page.locator(".record-view")).to_contain_text("Ended: the caller hung up")
        await look(page, "record-after")
        await page.get_by_role("link", name="Call", exact=True).click()
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_enabled()
        await look(page, "call-after")
    assert not faults
    assert bridge.get("/api/calls")["calls"][0]["reason"] in ("caller hung up", "peer closed its media")
    assert connected_ms < 5000
