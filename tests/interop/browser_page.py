"""A page in Chromium: opened with a voice in its microphone, seen in every size and light, and measured."""

import os
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Page, async_playwright

from bridge.load.clip import render_clip

__all__ = ["HEARD", "OUT", "QUIET_S", "RECORD", "RECORDED", "chromium", "look", "opened", "write_microphone"]

OUT = Path("out/web")
QUIET_S, REST_S = 9, 20
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 375, "height": 812}}
BETWEEN = (320, 768, 1024)
"""Widths in px that are measured without a picture; 320 is what WCAG 1.4.10 asks for."""
LIGHTS = ("light", "dark")
FAULTS = Path(__file__).with_name("page_measures.js").read_text()
HEARD = """peers.at(-1).getReceivers()[0].getStats()
    .then(all => [...all.values()].find(each => each.totalAudioEnergy)?.totalAudioEnergy ?? 0)"""
"""Energy of what Chromium has decoded and played of the last call."""
RECORD = """() => {
  const context = new AudioContext({ sampleRate: 16000 }), node = context.createScriptProcessor(4096, 1, 1);
  window.recorded = [];
  node.onaudioprocess = ({ inputBuffer }) => recorded.push(...inputBuffer.getChannelData(0));
  context.createMediaStreamSource(document.querySelector(".phone audio").srcObject).connect(node);
  node.connect(context.destination);
}"""
"""Keeps what Chromium plays from now on."""
RECORDED = "() => recorded.map(each => Math.round(each * 32767))"
"""What it has kept: samples at 16 kHz."""
_KEEP_PEERS = """window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); peers.push(this); }
};"""


def write_microphone(path: Path) -> Path:
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
    return path


@asynccontextmanager
async def chromium(peer: str, microphone: Path | None = None) -> AsyncIterator[Browser]:
    """A browser; without a microphone it has none, and asks nobody about it."""
    switches = ["--autoplay-policy=no-user-gesture-required"]
    if microphone is not None:
        switches += [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}%noloop",
        ]
    if os.geteuid() == 0:
        switches.append("--no-sandbox")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=shutil.which(peer) or peer, args=switches)
        try:
            yield browser
        finally:
            await browser.close()


async def opened(browser: Browser, url: str) -> tuple[Page, list[str]]:
    """A new page, and what goes wrong in it: errors of its code, and what its policy refuses."""
    page = await browser.new_page(viewport=SIZES["desktop"])  # type: ignore[arg-type]
    await page.add_init_script(_KEEP_PEERS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
    )
    await page.goto(url)
    return page, faults


async def look(page: Page, name: str) -> None:
    """Keep a picture of the page in every size and light, and fail if something cannot be read or reached."""
    found: list[str] = []
    for light in LIGHTS:
        await page.emulate_media(color_scheme=light)  # type: ignore[arg-type]
        for size, viewport in SIZES.items():
            await page.set_viewport_size(viewport)  # type: ignore[arg-type]
            await page.wait_for_timeout(150)  # colours and sizes move for a moment
            await page.screenshot(path=str(OUT / f"{name}-{size}-{light}.png"), full_page=True)
            found += [f"{size}, {light}: {fault}" for fault in await page.evaluate(FAULTS)]
    for width in BETWEEN:
        await page.set_viewport_size({"width": width, "height": 800})
        await page.wait_for_timeout(50)
        found += [f"{width} px: {fault}" for fault in await page.evaluate(FAULTS)]
    await page.set_viewport_size(SIZES["desktop"])  # type: ignore[arg-type]
    await page.emulate_media(color_scheme="light")
    assert not found, "\n".join(found)
