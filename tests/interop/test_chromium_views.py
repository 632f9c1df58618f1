"""The page where things go wrong, and for somebody who has no mouse or no eyes for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.running import RunningBridge
from tests.interop.browser_page import chromium, look, opened, write_microphone

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(120)]

FOCUSED = """() => {
  const at = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(at);
  return [at.textContent.trim() || at.tagName, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}"""
LISTEN = """() => {
  window.told = [];
  const regions = "[role=status], [role=alert], [aria-live=polite], [aria-live=assertive]";
  new MutationObserver(changes => {
    for (const { target } of changes) {
      const region = (target.nodeType === 1 ? target : target.parentElement)?.closest(regions);
      if (region && region.getAttribute("aria-live") !== "off") told.push(region.textContent);
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
"""Keeps what a screen reader would say by itself."""


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge({"media.standby": "false", "webrtc.max_calls": "1"}) as running:
        yield running


def url(bridge: RunningBridge, *, token: str | None = None, view: str = "") -> str:
    query = "" if token is None else f"?token={token}"
    return f"http://127.0.0.1:{bridge.http_port}/{query}{view}"


async def called(page: Page) -> None:
    await page.get_by_role("button", name="Call", exact=True).click()
    await page.locator("[data-state=up]").wait_for(timeout=10_000)


async def test_a_visitor_without_the_token_is_asked_for_it(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        page, faults = await opened(browser, url(bridge, view="#/desk"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("This bridge asks for its token")
        await look(page, "token")
        await page.get_by_label("Token", exact=True).fill("guessed")
        await page.get_by_role("button", name="Open").click()
        await expect(page.get_by_role("alert")).to_have_text("That is not the token of this bridge.")
        await look(page, "token-wrong")

        await page.get_by_label("Token", exact=True).fill(bridge.token)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Desk")
        assert bridge.token not in page.url
        await page.reload()  # the tab remembers it
        await expect(page.get_by_role("heading", level=1)).to_have_text("Desk")
        await expect(page.locator("#line")).to_have_text("Live")
        await look(page, "desk-empty")
        await page.goto(url(bridge, view="#/calls/0123456789"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("No such call")
        await look(page, "record-none")

        await page.goto(url(bridge, token="an-old-one"))
        await expect(page.get_by_role("alert")).to_contain_text("does not know this token any more")
        assert "an-old-one" not in page.url
    assert not faults


async def test_a_microphone_that_is_refused_or_missing_is_said_in_words(
    peer: str, bridge: RunningBridge, tmp_path: Path
) -> None:
    async with chromium(peer) as browser:
        page, faults = await opened(browser, url(bridge, token=bridge.token))
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("microphone")
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_focused()
        await look(page, "call-no-microphone")
    assert not faults
    assert bridge.get("/api/calls")["calls"] == []


async def test_a_bridge_that_is_busy_says_so(peer: str, bridge: RunningBridge, tmp_path: Path) -> None:
    async with chromium(peer, write_microphone(tmp_path / "microphone.wav")) as browser:
        first, _ = await opened(browser, url(bridge, token=bridge.token))
        await first.get_by_label("Voice", exact=True).select_option("longanhuan_v3")
        async with first.expect_request("**/api/webrtc?*") as offered:
            await called(first)
        assert (await offered.value).url.endswith("?to=hello&voice=longanhuan_v3")
        second, faults = await opened(browser, url(bridge, token=bridge.token))
        await second.get_by_role("button", name="Call", exact=True).click()
        await expect(second.get_by_role("alert")).to_contain_text("The bridge is busy")
        await look(second, "call-busy")
        await first.get_by_role("button", name="Hang up").click()
        await expect(first.get_by_text("The call is over: you hung up.")).to_be_visible()
    assert not faults


async def test_the_page_is_used_with_the_keyboard_alone(
    peer: str, bridge: RunningBridge, tmp_path: Path
) -> None:
    async with chromium(peer, write_microphone(tmp_path / "microphone.wav")) as browser:
        page, faults = await opened(browser, url(bridge, token=bridge.token))
        await expect(page.get_by_label("Who answers")).to_contain_text("The guide")
        passed: list[str] = []
        while "Call" not in passed[3:]:  # behind the links of the frame
            await page.keyboard.press("Tab")
            name, is_visible = await page.evaluate(FOCUSED)
            assert is_visible, f"the focus on {name} is not to be seen"
            passed.append(name)
            assert len(passed) < 8
        assert passed == ["Skip to the content", "cosybridge", "Call", "Desk", "Call"]

        await page.evaluate(LISTEN)
        await page.keyboard.press("Enter")
        await page.locator("[data-state=up]").wait_for(timeout=10_000)
        await expect(page.get_by_role("button", name="Hang up")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        await expect(page.get_by_role("button", name="Mute", pressed=True)).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Keys", expanded=True)).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("4")
        await expect(page.get_by_text("pressed 4", exact=True)).to_be_visible()
        await asyncio.sleep(3)
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_focused()
        # A screen reader says that the call stands and that it is over, and keeps still while somebody talks.
        told = [text for text in await page.evaluate("told") if text]
        assert [text for text in told if text.startswith("Connected in")]
        assert told[-1] == "The call is over: you hung up."
        assert len(told) <= 5, told
    assert not faults


async def test_a_screen_reader_finds_its_way(peer: str, bridge: RunningBridge) -> None:
    async with chromium(peer) as browser:
        page, _ = await opened(browser, url(bridge, token=bridge.token))
        await expect(page.get_by_label("Who answers")).to_contain_text("The guide")
        tree = await page.locator("body").aria_snapshot()
        for part in (
            "- banner:",
            '- navigation "Views":',
            "- main:",
            '- heading "Talk to the bot" [level=1]',
            '- button "Call"',
            '- combobox "Who answers"',
            '- combobox "Voice"',
            '- combobox "Microphone"',
            '- region "Conversation":',
            '- textbox "Let the bot say"',
        ):
            assert part in tree, f"{part} is not in\n{tree}"
        await page.get_by_role("link", name="Desk").click()
        assert await page.evaluate("document.activeElement.id") == "main"
        assert await page.title() == "Desk · cosybridge"
        assert '- link "Desk"' in await page.locator("nav").aria_snapshot()
        assert await page.locator("nav [aria-current=page]").inner_text() == "Desk"


async def test_a_page_finds_a_bridge_again_that_was_gone(peer: str) -> None:
    with RunningBridge({"media.standby": "false"}) as bridge:
        async with chromium(peer) as browser:
            page, faults = await opened(browser, url(bridge, token=bridge.token, view="#/desk"))
            await expect(page.locator("#line")).to_have_text("Live")
            await asyncio.to_thread(bridge.stop)
            await expect(page.locator("#line")).to_contain_text("Bridge out of reach", timeout=10_000)
            await look(page, "desk-gone")
            await asyncio.to_thread(bridge.__enter__)
            await expect(page.locator("#line")).to_have_text("Live", timeout=20_000)
        assert not faults
