"""Callers who are understood: what a telephone says comes out as words, and nothing else changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.load.clip import render_clip_apart
from tests.e2e import agents
from tests.e2e.lab import account_when, calling
from tests.e2e.running import RunningBridge
from tests.hearing import word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SENTENCE = "I would like to change my appointment to Friday morning, if that is possible."


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(agents.routes(ticker="tone") | {"ears.enabled": "true"}) as running:
        yield running


@asynccontextmanager
async def events(bridge: RunningBridge) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Authorization": f"Bearer {bridge.token}"}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{bridge.http_port}", headers=headers) as session,
        session.ws_connect("/api/events") as socket,
    ):
        yield socket


async def words(socket: aiohttp.ClientWebSocketResponse, *, timeout_s: float = 30) -> list[dict[str, Any]]:
    """What is told of the caller's words up to the first that are final."""
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(timeout_s):
        while not told or not told[-1]["final"]:
            event = json.loads((await socket.receive()).data)
            if event["type"] == "voice.words":
                told.append(event)
    return told


async def test_what_a_telephone_says_comes_out_as_words(bridge: RunningBridge) -> None:
    clip = await render_clip_apart(SENTENCE)
    async with events(bridge) as socket, calling(bridge, "ticker") as caller:
        await caller.first_audible_ns(timeout_s=10)
        await caller.say(clip)
        told = await words(socket)
        await caller.hang_up()
        record = await account_when(bridge, caller, lambda told: told["state"] == "ended")
    print(*(f"{each['at_ns'] - each['ended_ns']:>12} ns {each['text']}" for each in told), sep="\n")

    assert word_errors(SENTENCE, told[-1]["text"]) <= 0.3
    assert {each["id"] for each in told} == {1}
    assert told[-1]["began_ns"] < told[-1]["ended_ns"] < told[-1]["at_ns"]
    assert [each["text"] for each in record["words"]] == [told[-1]["text"]]
    assert not any(SENTENCE[:20].lower() in line.lower() for line in bridge.output)
