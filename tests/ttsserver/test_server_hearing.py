"""Recognition by the embedded service, as a client sees it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.ttsserver.server import TtsServer, TtsServerSettings
from bridge.ttsserver.whisper import RecogniserBusyError
from tests.aio.cosyvoice_fake import eventually
from tests.ttsserver.client import Client, client_of
from tests.ttsserver.ears import ScriptedRecogniser, silence, voice


@pytest.fixture
def recogniser() -> ScriptedRecogniser:
    return ScriptedRecogniser()


async def started(recogniser: ScriptedRecogniser, **changes: Any) -> TtsServer:  # noqa: ANN401
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False, **changes)
    return await TtsServer.start(settings, recogniser=recogniser)


@pytest.fixture
async def server(recogniser: ScriptedRecogniser) -> AsyncIterator[TtsServer]:
    async with await started(recogniser) as server:
        yield server


@pytest.fixture
async def client(server: TtsServer) -> AsyncIterator[Client]:
    async with client_of(server) as client:
        yield client


async def run(client: Client, task_id: str, **parameters: object) -> None:
    payload = {
        "task_group": "audio",
        "task": "asr",
        "function": "recognition",
        "model": "paraformer-realtime-v2",
        "parameters": {"format": "pcm", "sample_rate": 16000, "language_hints": ["en"]} | parameters,
        "input": {},
    }
    await client.send("run-task", task_id, payload)


async def hear(client: Client, *sound: NDArray[np.int16]) -> None:
    pcm = np.concatenate(sound).astype("<i2").tobytes()
    for at in range(0, len(pcm), 3200):
        await client.socket.send(pcm[at : at + 3200])


async def told(client: Client) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while not events or events[-1]["header"]["event"] not in ("task-finished", "task-failed"):
            events.append(json.loads(await client.socket.recv()))
    return events


async def test_sound_goes_up_and_sentences_come_down(client: Client, server: TtsServer) -> None:
    await run(client, "a")
    await hear(client, voice(900), silence(1000), voice(900))
    await client.finish("a")
    events = await told(client)

    started, *results, finished = events
    assert started["header"]["event"] == "task-started"
    assert {event["header"]["event"] for event in results} == {"result-generated"}
    assert finished["header"]["event"] == "task-finished"
    sentences = [event["payload"]["output"]["sentence"] for event in results]
    told_whole = [sentence for sentence in sentences if sentence["sentence_end"]]
    assert [(sentence["text"], sentence["end_time"]) for sentence in told_whole] == [
        ("1700 ms", 1700),
        ("1100 ms", 2800),
    ]
    assert results[-1]["payload"]["usage"] == {"duration": 3}
    assert server.counters["utterances_heard"] == 1


async def test_a_connection_speaks_and_listens_in_turns(
    client: Client, recogniser: ScriptedRecogniser
) -> None:
    heard = await client.say("voice", "One two three.")
    await run(client, "ears", sample_rate=8000)
    await hear(client, voice(1000, rate=8000))
    await client.finish("ears")
    understood = await told(client)
    again = await client.say("voice-2", "One two three.")

    assert heard.sound == again.sound
    assert understood[1]["payload"]["output"]["sentence"]["text"]
    assert recogniser.languages == ["en"]


async def test_an_utterance_without_a_sound_ends_without_a_word(client: Client) -> None:
    await run(client, "a")
    await client.finish("a")

    assert [event["header"]["event"] for event in await told(client)] == ["task-started", "task-finished"]


async def test_what_nobody_wants_any_more_is_not_written_down(
    client: Client, recogniser: ScriptedRecogniser
) -> None:
    recogniser.may_answer.clear()
    await run(client, "a")
    await hear(client, voice(1000), silence(1000))
    await client.send("finish-task", "a", {"input": {"directive": "cancel"}})
    events = await told(client)
    recogniser.may_answer.set()

    assert [event["header"]["event"] for event in events] == ["task-started", "task-finished"]
    assert recogniser.heard_ms == []
    assert recogniser.waiting == 0


async def test_a_recogniser_that_is_busy_fails_the_task_and_not_the_service(
    client: Client, server: TtsServer, recogniser: ScriptedRecogniser
) -> None:
    recogniser.failure = RecogniserBusyError("8 wait")
    await run(client, "a")
    await hear(client, voice(1000), silence(1000))
    failed = (await told(client))[-1]["header"]

    async with client_of(server) as other:
        assert (await other.say("b", "One.")).sound
    assert (failed["error_code"], failed["error_message"]) == (
        "Throttling.Concurrency",
        "Too many concurrent requests.",
    )


async def test_a_model_that_speaks_does_not_listen(client: Client) -> None:
    payload = {
        "task_group": "audio",
        "task": "asr",
        "function": "recognition",
        "model": "cosyvoice-v3-flash",
        "parameters": {},
        "input": {},
    }
    await client.send("run-task", "a", payload)

    assert (await told(client))[-1]["header"]["error_code"] == "ModelNotFound"


async def test_a_throttled_service_does_not_listen_either(recogniser: ScriptedRecogniser) -> None:
    async with (
        await started(recogniser, faults=("throttle",)) as server,
        client_of(server) as client,
    ):
        await run(client, "a")
        await client.socket.send(b"ab")

        assert (await told(client))[-1]["header"]["error_code"] == "Throttling.RateQuota"


async def test_it_is_ready_to_understand_when_it_is_asked_to_be(recogniser: ScriptedRecogniser) -> None:
    async with await started(recogniser, preload_ears="zh"):
        await eventually(lambda: bool(recogniser.languages))

    assert recogniser.languages == ["zh"]
