"""The voice service refuses, or dies in mid-word: one line, and the calls go on."""

import asyncio
import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import agents
from tests.e2e.census import child_pid
from tests.e2e.lab import account, account_when, calling, good_call, nothing_left, rendered
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

KEY = "the-right-key"


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    voices = agents.routes(ticker="tone", reader="", guide="")
    with RunningBridge(voices | {"tts_server.api_keys": KEY}) as running:
        yield running


async def test_a_key_that_the_service_refuses_is_one_line_and_ends_its_call(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    settings = {"tts_server.enabled": "false", "tts.url": bridge.tts_url, "tts.api_key": "the-wrong-key"}
    async with nothing_left(bridge), good_call(bridge, tick):
        with RunningBridge(settings) as refused:
            at_start = [text for text in refused.output if "401" in text]
            async with nothing_left(refused), calling(refused, "hello") as caller:
                await asyncio.wait_for(asyncio.shield(caller.call.ended), 5)
                told = await account_when(refused, caller, lambda told: told["state"] == "ended")
            failures = await asyncio.to_thread(refused.metric, "cosybridge_tts_failures_total")
    print("\n".join(refused.output))
    assert at_start
    assert all("tts.api_key" in text for text in at_start)
    assert told["reason"] == "voice failed"
    assert failures == 1
    assert not any("Traceback" in text or "the-wrong-key" in text for text in refused.output)


async def test_a_voice_that_dies_in_mid_word_costs_no_sentence(bridge: RunningBridge) -> None:
    made = await rendered(bridge, [agents.READING])
    async with nothing_left(bridge), calling(bridge, "reader") as one, calling(bridge, "reader") as other:
        await one.first_audible_ns(timeout_s=10)
        await other.first_audible_ns(timeout_s=10)
        begun = [(await account(bridge, caller))["utterances"][-1]["task_id"] for caller in (one, other)]
        os.kill(child_pid(bridge, "bridge.app.voice_process"), signal.SIGKILL)
        for caller in (one, other):
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 60)
        accounts = [
            await account_when(bridge, caller, lambda told: told["state"] == "ended")
            for caller in (one, other)
        ]
    for caller, told in zip((one, other), accounts, strict=True):
        heard = caller.heard()
        match = heard.match(made[agents.READING])
        understood = await asyncio.to_thread(transcribe, heard.pcm)
        errors = word_errors(agents.READING, understood)
        print(f"{match.matched} of {match.expected} samples as first made; then, anew: {understood!r}")
        print(f"word errors {errors:.2f}, {told['media']['silence_tts_late'] * 20:g} ms of waiting")
        assert told["reason"] == "agent finished"
        assert errors <= 0.15
    ended = [told["utterances"][-1]["task_id"] for told in accounts]
    assert ended != begun, "it died too late to hurt anybody"
    died = [text for text in bridge.output if "the embedded voice died" in text]
    assert len(died) == 1
    assert not any("Traceback" in text for text in bridge.output)
