"""Chromium opens the page, calls, hears the bot, talks over it, presses a key, has it say a sentence."""

import asyncio
import os
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, async_playwright

from bridge.load.clip import render_clip
from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(180)]

OUT = Path("out/web")
QUIET_S, REST_S = 9, 20
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge({"media.standby": "false", "recording.transcripts": "true"}) as running:
        yield running


HEARD = """phone.peer.getReceivers()[0].getStats()
    .then(all => [...all.values()].find(each => each.totalAudioEnergy)?.totalAudioEnergy ?? 0)"""
"""Energy of what Chromium has decoded and played."""


def write_microphone(path: Path) -> None:
    """A quiet room; after some seconds somebody speaks up, once."""
    clip = np.repeat(render_clip().pcm, 6)
    rate = 48_000
    sound = np.random.default_rng(1).normal(0, 15, (QUIET_S + REST_S) * rate)
    sound[QUIET_S * rate : QUIET_S * rate + len(clip)] += clip
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.clip(-32768, 32767).astype("<i2").tobytes())


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    OUT.mkdir(parents=True, exist_ok=True)
    write_microphone(tmp_path / "microphone.wav")
    return tmp_path / "microphone.wav"


async def words(page: Page) -> str:
    return await page.locator("#transcript").inner_text()


async def look(page: Page, name: str) -> None:
    """A picture of the page at both sizes."""
    for size, viewport in SIZES.items():
        await page.set_viewport_size(viewport)  # type: ignore[arg-type]
        await page.screenshot(path=str(OUT / f"{name}-{size}.png"), full_page=True)


async def test_a_person_calls_from_the_page(peer: str, bridge: RunningBridge, microphone: Path) -> None:
    switches = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
        "--autoplay-policy=no-user-gesture-required",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=shutil.which(peer) or peer, args=switches)
        page = await browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(f"http://127.0.0.1:{bridge.http_port}/?token={bridge.token}")
        await look(page, "before")
        await page.get_by_role("button", name="Call").click()
        await page.locator("body[data-connected-ms]").wait_for(timeout=10_000)
        connected_ms = int(await page.locator("body").get_attribute("data-connected-ms") or 0)
        print(f"connected {connected_ms} ms after the click")

        # The voice in the microphone talks over the bot's greeting.
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["barge_ins"] >= 1, timeout_s=25)
        call = bridge.get(f"/api/calls/{bridge.get('/api/calls')['calls'][0]['id']}")
        stages = call["barge_ins"][0]["stages_ms"]
        print(f"stages of the interruption, ms: {stages}")
        assert await page.locator("#timeline rect.floor").count() >= 1
        assert "bridge" in (await words(page)).lower()
        await look(page, "interrupted")

        await asyncio.sleep(4)  # until the voice in the microphone has said all
        await page.locator("#pad button").filter(has_text="5").click()
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["digits"] == 1)
        await page.get_by_label("sentence for the bot to say").fill("Your parcel will arrive on Tuesday.")
        await page.get_by_role("button", name="say it").click()

        async def is_said() -> bool:
            heard = await page.locator("#transcript li").last.evaluate(
                "line => line.childNodes[1].textContent"
            )
            return "parcel will arrive on Tuesday" in heard

        await eventually(is_said, timeout_s=15)
        assert await page.evaluate(HEARD) > 0.01  # it was heard, not only sent
        await look(page, "said")
        await page.get_by_role("button", name="hang up").click()
        await eventually(lambda: bridge.get("/api/calls")["calls"][0]["state"] == "ended")
        await asyncio.sleep(0.2)
        await look(page, "after")
        await browser.close()
    assert not faults
    assert bridge.get("/api/calls")["calls"][0]["reason"] in ("caller hung up", "peer closed its media")
    assert connected_ms < 5000
