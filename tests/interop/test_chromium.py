"""Chromium opens the page, calls, hears the bot, talks over it, presses keys, lets it speak, hangs up."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, expect

from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe
from tests.interop.browser_page import (
    HEARD,
    QUIET_S,
    RECORD,
    RECORDED,
    chromium,
    look,
    opened,
    write_microphone,
)

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(180)]

SENTENCE = "Your parcel will arrive on Tuesday."


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    folder = tmp_path_factory.mktemp("recordings")
    settings = {"media.standby": "false", "recording.enabled": "true", "recording.folder": str(folder)}
    settings["ears.enabled"] = "true"
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


async def recounted(page: Page) -> None:
    """The call's own page tells what happened, with the stages against their budgets."""
    for kind in ("you", "bot", "doubt"):
        await expect(page.locator(f".timeline .block.{kind}")).not_to_have_count(0)
    await expect(page.locator(".interruption").first.get_by_role("row", name="Silent")).to_contain_text(
        "150 ms"
    )
    await expect(page.locator(".transcript s").first).to_be_attached()
    await expect(page.locator(".figures").first).to_contain_text("MOS")
    await expect(page.locator(".causes")).to_contain_text("Nothing to say")


async def replayed(page: Page) -> None:
    """The recording can be played, begun at a moment of the timeline, and saved."""
    await page.locator("audio[controls]").wait_for(timeout=10_000)
    assert await page.locator("audio[controls]").evaluate("sound => sound.duration") > QUIET_S
    await page.locator(".record-view .timeline").click(position={"x": 400, "y": 50})
    assert await page.locator("audio[controls]").evaluate("sound => sound.currentTime") > 1
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="Download").click()
    saved = await (await saving.value).path()
    assert saved.read_bytes().startswith(b"RIFF")


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

        # The voice in the microphone has said all, and it was understood.
        await expect(page.locator(".transcript .you").first).to_contain_text("question", timeout=15_000)
        await page.get_by_role("button", name="Keys").click()
        await page.get_by_role("button", name="5", exact=True).click()
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["digits"] == 1)
        await page.keyboard.press("7")
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["digits"] == 2)
        await page.evaluate(RECORD)
        await page.get_by_label("Let the bot say").fill(SENTENCE)
        await page.get_by_role("button", name="Say it").click()
        said = page.locator(".transcript .bot").filter(has_text="parcel will arrive on Tuesday")
        await expect(said).not_to_contain_text("…", timeout=15_000)  # it is over
        assert await page.evaluate(HEARD) > 0.01  # it was heard, not only sent
        sound = np.array(await page.evaluate(RECORDED), np.int16)
        understood = await asyncio.to_thread(transcribe, sound, 16_000)
        assert "parcel will arrive on tuesday" in understood.lower()
        await look(page, "call-keys")

        await page.get_by_role("link", name="Desk").click()
        await expect(page.locator("#on-call")).to_contain_text("You are in a call")
        await expect(page.get_by_role("table", name="Calls now").get_by_role("row")).to_have_count(2)
        await expect(page.locator(".totals")).to_contain_text("Falls silent in")
        await look(page, "desk-live")
        await page.get_by_role("table", name="Calls now").get_by_role("link").first.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Browser → hello")
        await recounted(page)
        await look(page, "record-live")

        await page.locator("#on-call").get_by_role("button", name="Hang up").click()
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["state"] == "ended")
        await expect(page.locator(".record-view")).to_contain_text("Ended: the caller hung up")
        await recounted(page)
        await replayed(page)
        await look(page, "record-after")
        await page.get_by_role("link", name="Call", exact=True).click()
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_enabled()
        await look(page, "call-after")
    assert not faults
    assert bridge.get("/api/calls")["calls"][0]["reason"] in ("caller hung up", "peer closed its media")
    assert connected_ms < 5000
