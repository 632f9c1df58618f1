"""Callers who are understood: what a telephone says comes out as words, and nothing else changes."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bridge.load.clip import Clip, render_clip_apart
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from bridge.ttsserver.whisper import Recogniser
from tests.e2e import agents
from tests.e2e.browser_phone import BrowserPhone
from tests.e2e.census import child_pid
from tests.e2e.lab import account_when, calling, eventually, good_call
from tests.e2e.running import RunningBridge
from tests.hearing import word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SENTENCE = "I would like to change my appointment to Friday morning, if that is possible."
VOICES = agents.routes(ticker="tone", holding="tone")


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(VOICES | {"ears.enabled": "true"}) as running:
        yield running


@pytest.fixture(scope="module")
def clip() -> Clip:
    return asyncio.run(render_clip_apart(SENTENCE))


class Reader:
    """Whoever reads the events."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.words: list[dict[str, Any]] = []

    async def until(self, *, final: bool, timeout_s: float = 30) -> dict[str, Any]:
        """Read up to words that are final, or are not."""
        async with asyncio.timeout(timeout_s):
            while True:
                event = json.loads((await self._socket.receive()).data)
                if event["type"] == "voice.words":
                    self.words.append(event)
                    if event["final"] is final:
                        return dict(event)


@asynccontextmanager
async def reading(bridge: RunningBridge) -> AsyncIterator[Reader]:
    headers = {"Authorization": f"Bearer {bridge.token}"}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{bridge.http_port}", headers=headers) as session,
        session.ws_connect("/api/events") as socket,
    ):
        yield Reader(socket)


async def utterances(bridge: RunningBridge, outcome: str) -> float:
    name = "cosybridge_ears_utterances_total"
    return await asyncio.to_thread(bridge.metric, name, f'outcome="{outcome}"')


def assert_unspoken(bridge: RunningBridge) -> None:
    """Insist that nothing of what was said, and no traceback, is in what the bridge printed."""
    printed = "\n".join(bridge.output).lower()
    assert "appointment" not in printed
    assert "traceback" not in printed


async def test_what_a_telephone_says_comes_out_as_words(bridge: RunningBridge, clip: Clip) -> None:
    async with reading(bridge) as reader, calling(bridge, "ticker") as caller:
        await caller.first_audible_ns(timeout_s=10)
        await caller.say(clip)
        told = await reader.until(final=True)
        await caller.hang_up()
        record = await account_when(bridge, caller, lambda told: told["state"] == "ended")
    for each in reader.words:
        print(f"{(each['at_ns'] - each['ended_ns']) / 1e6:8.0f} ms after the sound: {each['text']}")

    assert word_errors(SENTENCE, told["text"]) <= 0.3
    assert {each["id"] for each in reader.words} == {1}
    assert told["began_ns"] < told["ended_ns"] < told["at_ns"]
    assert [each["text"] for each in record["words"]] == [told["text"]]
    assert_unspoken(bridge)


@asynccontextmanager
async def looking(bridge: RunningBridge) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Whoever sits at the desk."""
    headers = {"Authorization": f"Bearer {bridge.token}"}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{bridge.http_port}", headers=headers) as session,
        session.ws_connect("/api/desk") as socket,
    ):
        yield socket


async def said_on_the_desk(socket: aiohttp.ClientWebSocketResponse, call: str) -> str:
    """Follow a call until its transcript tells what the caller said."""
    await socket.send_json({"type": "watch", "call": call})
    async with asyncio.timeout(15):
        while True:
            detail = json.loads((await socket.receive()).data).get("detail") or {}
            for line in detail.get("transcript") or ():
                if line["who"] == "caller":
                    return str(line["text"])


async def test_what_a_browser_says_stands_on_the_desk_as_words(bridge: RunningBridge, clip: Clip) -> None:
    """The same sentence over Opus: it reaches the recogniser as 48 kHz, coded and decoded."""
    url = f"http://127.0.0.1:{bridge.http_port}"
    async with (
        reading(bridge) as reader,
        looking(bridge) as desk,
        BrowserPhone(url, bridge.token, to="ticker") as caller,
    ):
        await eventually(lambda: caller.state == "connected", timeout_s=10)
        await eventually(lambda: len(caller.heard) > 48_000, timeout_s=10)
        caller.microphone.speech = resample_poly(clip.pcm, 6, 1).astype(np.int16)
        told = await reader.until(final=True)
        shown = await said_on_the_desk(desk, told["call"])
        record = await asyncio.to_thread(bridge.get, f"/api/calls/{told['call']}")
        assert await caller.hang_up() == 200
    for each in reader.words:
        print(f"{(each['at_ns'] - each['ended_ns']) / 1e6:8.0f} ms after the sound: {each['text']}")

    assert (record["via"], record["codec"]) == ("browser", "opus")
    assert word_errors(SENTENCE, told["text"]) <= 0.3
    assert shown == told["text"]
    assert [each["text"] for each in record["words"]] == [told["text"]]
    assert_unspoken(bridge)


async def test_silence_is_neither_words_nor_work(bridge: RunningBridge) -> None:
    before = await utterances(bridge, "heard")
    async with calling(bridge, "holding") as caller:
        await caller.first_audible_ns(timeout_s=10)
        await asyncio.sleep(3)
        record = await account_when(bridge, caller, lambda told: told["state"] == "up")

    assert record["words"] == []
    assert await utterances(bridge, "heard") == before


async def test_a_recogniser_that_dies_costs_no_word_and_no_sample(
    bridge: RunningBridge, clip: Clip, tick: NDArray[np.uint8]
) -> None:
    voice = child_pid(bridge, "bridge.app.voice_process")
    async with good_call(bridge, tick), reading(bridge) as reader, calling(bridge, "holding") as caller:
        saying = asyncio.ensure_future(caller.say(clip))
        await reader.until(final=False)
        (victim,) = await asyncio.to_thread(_children_of, voice)
        os.kill(victim, signal.SIGKILL)
        await saying
        told = await reader.until(final=True)
        (replaced,) = await asyncio.to_thread(_children_of, voice)

    assert replaced != victim
    assert word_errors(SENTENCE, told["text"]) <= 0.3
    assert_unspoken(bridge)


async def test_a_service_that_cannot_understand_costs_the_words_alone(
    bridge: RunningBridge, clip: Clip, tick: NDArray[np.uint8]
) -> None:
    """Where nothing is installed the task fails, and says what would install it."""
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    async with await TtsServer.start(settings, recogniser=Recogniser(())) as deaf:
        with RunningBridge(VOICES | {"ears.enabled": "true", "ears.url": deaf.url}) as other:
            async with calling(other, "holding") as caller:
                await caller.first_audible_ns(timeout_s=10)
                for _ in range(2):
                    await caller.say(clip)
                    await asyncio.sleep(1.5)
                record = await account_when(other, caller, lambda told: told["state"] == "up")
                failed = await utterances(other, "failed")
                await caller.hang_up()
            warnings = [line for line in other.output if "words are lost" in line]
        assert deaf.counters["tasks_failed"] == 2

    assert (record["words"], failed) == ([], 2)
    assert len(warnings) == 1
    assert_unspoken(other)


async def test_without_a_recogniser_nobody_notices(clip: Clip) -> None:
    nowhere = "ws://127.0.0.1:9/api-ws/v1/inference"
    with RunningBridge(VOICES | {"ears.enabled": "true", "ears.url": nowhere}) as bridge:
        async with calling(bridge, "holding") as caller:
            await caller.first_audible_ns(timeout_s=10)
            await caller.say(clip)

            async def has_failed() -> bool:
                return await utterances(bridge, "failed") == 1

            await eventually(has_failed, timeout_s=15)
            assert not caller.call.ended.done()

    assert_unspoken(bridge)


def _children_of(pid: int) -> list[int]:
    listed = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for children in listed for child in children]
