"""How long Chromium takes from the click on Call to a connection with the bridge."""

import asyncio
import shutil
from pathlib import Path

from playwright.async_api import Browser

from tests.interop.browser_page import chromium, write_microphone

__all__ = ["clicks", "find_chromium"]

_CONNECT_MS = 10_000


def find_chromium() -> str | None:
    """Where it is; None if it is not installed."""
    return shutil.which("chromium")


async def clicks(program: str, url: str, *, count: int, folder: Path) -> list[float]:
    """Call and hang up so often; ms from each click to the connection, as the page itself measures it.

    Args:
        program: Chromium.
        url: Of the page, with its token.
        count: Calls.
        folder: For the microphone's sound.
    """
    async with chromium(program, write_microphone(folder / "microphone.wav")) as browser:
        return [await _click(browser, url) for _ in range(count)]


async def _click(browser: Browser, url: str) -> float:
    # A profile of its own each time: nothing is warm that is cold at a first visit.
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(url)
    await page.get_by_role("button", name="Call", exact=True).click()
    connected = page.locator("[data-connected-ms]")
    await connected.wait_for(timeout=_CONNECT_MS)
    connected_ms = await connected.get_attribute("data-connected-ms")
    await page.get_by_role("button", name="Hang up").first.click()
    await asyncio.sleep(0.2)
    await context.close()
    return float(connected_ms or _CONNECT_MS)
