"""Calls from browsers on a whole bridge: another WebRTC stack calls, hears, interrupts and hangs up."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.load.clip import render_clip
from tests.e2e.browser_phone import BrowserPhone
from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge({"media.standby": "false", "webrtc.inactivity_s": "2"}) as running:
        yield running


def phone(bridge: RunningBridge, *, token: str = "") -> BrowserPhone:
    return BrowserPhone(f"http://127.0.0.1:{bridge.http_port}", token or bridge.token)


def newest(bridge: RunningBridge) -> dict[str, object]:
    call = bridge.get("/api/calls")["calls"][0]
    assert isinstance(call, dict)
    return call


def loud(sound: NDArray[np.int16]) -> bool:
    return bool(len(sound) and np.abs(sound.astype(np.int32)).max() > 1000)


async def test_a_browser_hears_the_bot_interrupts_it_and_hangs_up(bridge: RunningBridge) -> None:
    clip = render_clip()
    async with phone(bridge) as caller:
        assert caller.status == 201, caller.answer
        await eventually(lambda: caller.state == "connected")
        await eventually(lambda: loud(caller.heard), timeout_s=10)
        await asyncio.sleep(4)
        caller.microphone.speech = np.repeat(clip.pcm, 6)
        await eventually(lambda: newest(bridge)["barge_ins"] == 1, timeout_s=10)
        assert newest(bridge)["codec"] == "opus"
        assert await caller.hang_up() == 200
        await eventually(lambda: newest(bridge)["state"] == "ended")
        assert newest(bridge)["reason"] == "caller hung up"
    heard = transcribe(caller.heard, 48_000)
    assert "bridge" in heard, heard


async def test_a_page_that_is_closed_ends_its_call(bridge: RunningBridge) -> None:
    async with phone(bridge) as caller:
        await eventually(lambda: caller.state == "connected")
    await eventually(lambda: newest(bridge)["state"] == "ended", timeout_s=10)
    assert newest(bridge)["reason"] in ("caller hung up", "peer closed its media")


async def test_a_page_that_never_comes_leaves_nothing_behind(bridge: RunningBridge) -> None:
    caller = phone(bridge)
    async with caller:
        offer = caller._peer.localDescription.sdp
    lone = BrowserPhone(f"http://127.0.0.1:{bridge.http_port}", bridge.token)
    async with lone._client.post(
        f"{lone._url}/api/webrtc", data=offer, headers={"Content-Type": "application/sdp"}
    ) as answer:
        assert answer.status == 201
    await lone._client.close()
    await lone._peer.close()
    await eventually(lambda: newest(bridge)["state"] == "ended", timeout_s=20)
    await eventually(lambda: bridge.metric("cosybridge_engine_legs") == 0, timeout_s=20)


@pytest.mark.parametrize(
    "sdp",
    [
        b"v=0",
        b"nonsense",
        b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
    ],
)
async def test_an_offer_that_is_none_is_refused(bridge: RunningBridge, sdp: bytes) -> None:
    caller = phone(bridge)
    async with caller._client.post(
        f"{caller._url}/api/webrtc", data=sdp, headers={"Content-Type": "application/sdp"}
    ) as answer:
        assert answer.status == 422
    await caller._client.close()
    await caller._peer.close()


async def test_a_thousand_offers_of_strangers_cost_nothing(bridge: RunningBridge) -> None:
    caller = phone(bridge, token="wrong-token")
    statuses: set[int] = set()
    for _ in range(1000):
        async with caller._client.post(
            f"{caller._url}/api/webrtc", data=b"v=0", headers={"Content-Type": "application/sdp"}
        ) as answer:
            statuses.add(answer.status)
    await caller._client.close()
    await caller._peer.close()
    assert statuses <= {401, 429}
    assert bridge.metric("cosybridge_engine_legs") == 0
