"""The desk on a busy day: more calls, and worse ones, than one bridge under test brings about."""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, Route, WebSocketRoute, expect

from tests.e2e.running import RunningBridge
from tests.interop.browser_page import chromium, look, opened
from tests.interop.desk_day import NOW_NS, RECORD, SNAPSHOT, detail

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(90)]


class Desk:
    """Plays the bridge's side of the desk's WebSocket."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.snapshot = snapshot
        self.socket: WebSocketRoute

    def serve(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        socket.on_message(self._asked)
        socket.send(json.dumps(self.snapshot))

    def change(self, **news: object) -> None:
        self.socket.send(
            json.dumps({"type": "change", "seq": 2, "at_ns": NOW_NS, "time": SNAPSHOT["time"]} | news)
        )

    def _asked(self, message: str | bytes) -> None:
        if (call := json.loads(message).get("call")) is not None:
            self.change(detail=detail(call))


async def record(route: Route) -> None:
    if route.request.url.split("?")[0].endswith(RECORD["id"]):
        await route.fulfill(json=RECORD)
    else:
        await route.continue_()


@asynccontextmanager
async def at_desk(peer: str, snapshot: dict[str, Any] = SNAPSHOT) -> AsyncIterator[tuple[Page, Desk]]:
    desk = Desk(snapshot)
    with RunningBridge({"media.standby": "false"}) as bridge:
        async with chromium(peer) as browser:
            url = f"http://127.0.0.1:{bridge.http_port}/"
            page, faults = await opened(browser, url)
            await page.route_web_socket("**/api/desk?*", desk.serve)
            await page.route("**/api/calls/*", record)
            await page.goto(f"{url}?token={bridge.token}#/desk")
            yield page, desk
    assert not faults


async def test_a_busy_day_fits_every_screen_and_is_followed_without_losing_one_s_place(peer: str) -> None:
    async with at_desk(peer) as (page, desk):
        now = page.get_by_role("table", name="Calls now")
        await expect(now.get_by_role("row")).to_have_count(4)
        await expect(page.get_by_role("table", name="Calls before").get_by_role("row")).to_have_count(13)
        await expect(page.locator(".totals")).to_contain_text("95 % within 92 ms")
        await look(page, "desk-busy")

        await now.get_by_role("link", name="anna").focus()
        row = await now.get_by_role("link", name="anna").element_handle()
        anna = SNAPSHOT["calls"][1]
        desk.change(calls=[anna | {"floor": "both", "utterances": 5}], gone=[SNAPSHOT["calls"][0]["id"]])
        await expect(now.get_by_role("row")).to_have_count(3)
        await expect(now).to_contain_text("both")
        assert await page.evaluate("row => document.activeElement === row", row)  # not even made anew


async def test_a_call_is_told_with_every_stage_against_its_budget(peer: str) -> None:
    async with at_desk(peer) as (page, desk):
        await page.get_by_role("link", name="Browser → hello").first.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Browser → hello")
        second = page.get_by_role("table", name="Interruption 2")
        await expect(second.get_by_role("row", name="Ready again")).to_contain_text("over budget")
        await expect(page.locator(".transcript li")).to_have_count(6)
        await expect(page.locator(".transcript s").first).to_have_text("I have your parcel.")
        await look(page, "record-busy")

        whole = detail(RECORD["id"])
        said = whole["transcript"][-1] | {"text": "Is there anything else that I can do?", "ended_ns": NOW_NS}
        news = {
            "call": RECORD["id"],
            "known": True,
            "timeline": {"keys": [whole["timeline"]["keys"][0] | {"number": 2}]},
        }
        desk.change(detail=news | {"transcript": [said], "media": {}})
        await expect(page.locator(".transcript li").last).to_contain_text("anything else that I can do?")
        await expect(page.locator(".transcript li")).to_have_count(6)
        assert await page.locator(".timeline .block.bot").count() >= 4  # what is not news stays


async def test_a_token_that_only_looks_is_told_what_it_may_not(peer: str) -> None:
    snapshot = copy.deepcopy(SNAPSHOT)
    snapshot["may"] = {"order": False, "recordings": False, "transcripts": False}
    async with at_desk(peer, snapshot) as (page, _):
        await page.get_by_role("link", name="Call", exact=True).click()
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_disabled()
        await expect(page.get_by_role("status").filter(has_text="may not call")).to_be_visible()
        await look(page, "call-only-looks")
