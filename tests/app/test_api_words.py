"""What callers say, as agents, events and the call's record have it."""

import asyncio
import json
from typing import Any

import pytest

from bridge.app.api.answers import CallDetail
from bridge.app.api.notes import EVENT
from bridge.call.agent import Call
from bridge.call.hearing import CallerWords
from bridge.errors import ConfigError
from bridge.plane.events import VoiceStarted
from bridge.ports import Understanding
from tests.aio.cosyvoice_fake import eventually
from tests.app.api_house import House, house
from tests.call.ears import ScriptedRecognizer


async def spoken(served: House, ears: ScriptedRecognizer, *said: Understanding) -> str:
    """Let the caller say something; return the call's id."""
    call = await served.called()
    served.media.legs[0].deliver(VoiceStarted(0, 7, 0, onset_ns=0))
    await eventually(lambda: bool(ears.recognitions))
    for understanding in said:
        ears.recognitions[0].says.put_nowait(understanding)
    return call


async def events(socket: Any, kind: str, count: int) -> list[dict[str, Any]]:  # noqa: ANN401
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            event = json.loads((await socket.receive()).data)
            found += [event] if event["type"] == kind else []
    return found


@pytest.mark.parametrize("keeps_text", [False, True])
async def test_words_are_told_as_they_come_and_kept_only_where_texts_are(keeps_text: bool) -> None:
    ears = ScriptedRecognizer()
    async with (
        house(ears=ears, keeps_text=keeps_text) as served,
        served.client.ws_connect("/api/events") as socket,
    ):
        said = [Understanding("I would", False, 0, None), Understanding("I would like tea.", True, 0, 900)]
        call = await spoken(served, ears, *said)
        first, second = await events(socket, "voice.words", 2)
        status, told = await served.ask("GET", f"/api/calls/{call}")

    assert (first["text"], first["final"], first["id"]) == ("I would", False, 1)
    assert (second["text"], second["final"], second["id"]) == ("I would like tea.", True, 1)
    assert first["began_ns"] <= second["began_ns"] <= second["ended_ns"] <= second["at_ns"]
    for event in (first, second):
        assert EVENT.validate_python(event)
    assert status == 200
    assert CallDetail.model_validate(told)
    assert [each["text"] for each in told["words"]] == (["I would like tea."] if keeps_text else [])


async def test_an_agent_hears_what_the_caller_says() -> None:
    ears, heard = ScriptedRecognizer(), asyncio.Queue[CallerWords]()

    async def agent(call: Call) -> None:
        async for words in call.words():
            heard.put_nowait(words)

    async with house(agent=agent, ears=ears) as served:
        await spoken(served, ears, Understanding("Hello?", True, 0, 500))
        async with asyncio.timeout(5):
            words = await heard.get()

    assert (words.id, words.text, words.is_final) == (1, "Hello?", True)


async def test_an_agent_whom_nobody_helps_to_hear_is_told_what_to_set() -> None:
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def agent(call: Call) -> None:
        try:
            call.words()
        except ConfigError as error:
            refused.set_result(str(error))
        await asyncio.Event().wait()

    async with house(agent=agent) as served:
        await served.called()
        async with asyncio.timeout(5):
            assert "ears.enabled = true" in await refused
