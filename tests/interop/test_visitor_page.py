"""The page of docs/browser.md, on another site, with a join token: Chromium calls from it and hangs up."""

import re
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import expect

from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge, free_port
from tests.interop.browser_page import HEARD, chromium, opened, write_microphone

pytestmark = [pytest.mark.interop("chromium"), pytest.mark.timeout(120)]

DOC = (Path(__file__).parents[2] / "docs" / "browser.md").read_text()
(PAGE,) = re.findall(r"```html\n(.*?)```", DOC, re.DOTALL)


async def shop(bridge: RunningBridge, port: int) -> web.AppRunner:
    """A site that knows the bridge's token, and gives its visitors another."""
    url = f"http://127.0.0.1:{bridge.http_port}"

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE.replace("BRIDGE", url), content_type="text/html")

    async def join(_request: web.Request) -> web.Response:
        headers = {"Authorization": f"Bearer {bridge.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.post(f"{url}/api/webrtc/tokens", params={"to": "hello"}) as answer,
        ):
            return web.json_response(await answer.json())

    app = web.Application()
    app.add_routes([web.get("/", page), web.post("/join", join)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def test_a_visitor_of_another_site_calls_with_a_join_token(peer: str, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    origin = f"http://localhost:{port}"
    with RunningBridge({"media.standby": "false", "webrtc.origins": origin}) as bridge:
        site = await shop(bridge, port)
        try:
            async with chromium(peer, write_microphone(tmp_path / "microphone.wav")) as browser:
                page, faults = await opened(browser, origin)
                assert bridge.token not in await page.content()
                await page.get_by_role("button", name="Call us").click()
                await expect(page.get_by_role("status")).to_have_text("connected", timeout=10_000)

                async def is_heard() -> bool:
                    return float(await page.evaluate(HEARD)) > 0.01

                await eventually(is_heard, timeout_s=15)
                await page.get_by_role("button", name="Hang up").click()
                await eventually(lambda: bridge.get("/api/calls")["calls"][0]["state"] == "ended")
                assert bridge.get("/api/calls")["calls"][0]["reason"] == "caller hung up"
                await expect(page.get_by_role("button", name="Call us")).to_be_enabled()
            assert not faults
        finally:
            await site.cleanup()
