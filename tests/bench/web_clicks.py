"""How long Chromium takes from the click on Call to a connection with the bridge."""

import asyncio
import os
import shutil
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.interop.test_chromium import write_microphone

__all__ = ["clicks", "find_chromium"]

_CONNECT_MS = 10_000


def find_chromium() -> str | None:
    """Where it is; None if it is not installed."""
    return shutil.which("chromium")


async def clicks(chromium: str, url: str, *, count: int, folder: Path) -> list[float]:
    """Call and hang up so often; ms from each click to the connection, as the page itself measures it.

    Args:
        chromium: The program.
        url: Of the page, with its token.
        count: Calls.
        folder: For the microphone's sound.
    """
    microphone = folder / "microphone.wav"
    write_microphone(microphone)
    switches = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
        "--autoplay-policy=no-user-gesture-required",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    taken = []
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=chromium, args=switches)
        for _ in range(count):
            # A page of its own each time: nothing is warm that is cold at a first visit.
            context = await browser.new_context()
            page = await context.new_page()
            await page.goto(url)
            taken.append(await _click(page))
            await context.close()
        await browser.close()
    return taken


async def _click(page: Page) -> float:
    await page.get_by_role("button", name="Call").click()
    await page.locator("body[data-connected-ms]").wait_for(timeout=_CONNECT_MS)
    connected_ms = await page.locator("body").get_attribute("data-connected-ms")
    await page.get_by_role("button", name="hang up").click()
    await asyncio.sleep(0.2)
    return float(connected_ms or _CONNECT_MS)
