"""The recogniser's client, against the embedded service with scripted ears."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.aio.cosyvoice_ears import CosyVoiceEars, EarsSettings, PooledHearing
from bridge.clock import SystemClock
from bridge.cosyvoice.listening import HearingPatience
from bridge.dice import SystemDice
from bridge.errors import RecognitionError
from bridge.ports import Understanding
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from bridge.ttsserver.whisper import RecogniserFailedError
from tests.aio.cosyvoice_fake import eventually
from tests.ttsserver.ears import ScriptedRecogniser, silence, voice

MS = 1_000_000
HUM = voice(900).astype("<i2").tobytes()


@pytest.fixture
def recogniser() -> ScriptedRecogniser:
    return ScriptedRecogniser()


@pytest.fixture
async def server(recogniser: ScriptedRecogniser) -> AsyncIterator[TtsServer]:
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    async with await TtsServer.start(settings, recogniser=recogniser) as server:
        yield server


@asynccontextmanager
async def ears_at(url: str, **settings: Any) -> AsyncIterator[CosyVoiceEars]:  # noqa: ANN401
    ears = CosyVoiceEars(
        EarsSettings(url, **({"language": "en"} | settings)), clock=SystemClock(), dice=SystemDice()
    )
    await ears.start()
    try:
        yield ears
    finally:
        await ears.close()


def listening(ears: CosyVoiceEars) -> PooledHearing:
    hearing = ears.listen()
    assert hearing is not None
    return hearing


async def all_of(hearing: PooledHearing) -> list[Understanding]:
    async with asyncio.timeout(5):
        return [told async for told in hearing.results()]


async def test_an_utterance_is_understood_on_a_connection_that_stood_by(
    server: TtsServer, recogniser: ScriptedRecogniser
) -> None:
    async with ears_at(server.url) as ears:
        await ears.pool.ready()
        first = listening(ears)
        for at in range(0, len(HUM), 3200):
            first.hear(HUM[at : at + 3200])
        first.finish()
        told = await all_of(first)
        await eventually(lambda: bool(ears.pool.idle))
        second = listening(ears)
        second.hear(HUM)
        second.finish()
        again = await all_of(second)

        assert told[-1] == Understanding("900 ms", True, 0, 900)
        assert again == told[-1:]
        assert (ears.pool.counters["warm_starts"], ears.rate_hz) == (2, 16_000)
        assert ears.outcomes == {"heard": 2, "failed": 0, "dropped": 0, "cancelled": 0}
    assert recogniser.languages == ["en", "en"]


async def test_sound_waits_for_a_connection(server: TtsServer) -> None:
    async with ears_at(server.url) as ears:
        hearing = listening(ears)
        hearing.hear(HUM)
        hearing.finish()

        assert [told.text for told in await all_of(hearing)] == ["900 ms"]


async def test_silence_ends_without_a_word_and_leaves_the_connection(server: TtsServer) -> None:
    async with ears_at(server.url) as ears:
        await ears.pool.ready()
        hearing = listening(ears)
        hearing.hear(silence(500).tobytes())
        hearing.finish()
        nothing = listening(ears)
        nothing.finish()

        assert await all_of(hearing) == []
        assert await all_of(nothing) == []
        await eventually(lambda: not ears.pool.busy)
        assert ears.pool.counters["lost"] == 0


async def test_more_utterances_than_may_be_heard_are_dropped_and_counted(server: TtsServer) -> None:
    async with ears_at(server.url, max_at_once=1) as ears:
        hearing = listening(ears)
        assert ears.listen() is None
        hearing.cancel()
        hearing.cancel()
        assert ears.listen() is not None

        assert await all_of(hearing) == []
        assert (ears.outcomes["dropped"], ears.outcomes["cancelled"]) == (1, 1)


async def test_who_leaves_in_mid_utterance_leaves_the_connection_to_the_next(server: TtsServer) -> None:
    async with ears_at(server.url) as ears:
        await ears.pool.ready()
        hearing = listening(ears)
        hearing.hear(HUM)
        await eventually(lambda: server.counters.get("utterances_heard") == 1)
        hearing.cancel()
        hearing.hear(HUM)
        await eventually(lambda: not ears.pool.busy)

        assert (ears.pool.counters["replaced"], ears.pool.counters["lost"]) == (0, 0)


async def test_a_recogniser_that_fails_is_told_with_the_services_code(
    server: TtsServer, recogniser: ScriptedRecogniser
) -> None:
    recogniser.failure = RecogniserFailedError("no ears")
    async with ears_at(server.url) as ears:
        hearing = listening(ears)
        hearing.hear(HUM)
        hearing.finish()

        with pytest.raises(RecognitionError) as failed:
            await all_of(hearing)
        assert failed.value.code == "InternalError"
        assert ears.outcomes["failed"] == 1


async def test_a_service_that_is_not_there_costs_the_words_alone() -> None:
    async with ears_at("ws://127.0.0.1:9/api-ws/v1/inference") as ears:
        hearing = listening(ears)
        hearing.hear(HUM)

        with pytest.raises(RecognitionError) as failed:
            await all_of(hearing)
        assert failed.value.code == "Closed"


async def test_a_service_that_dies_in_mid_utterance_costs_that_one(
    recogniser: ScriptedRecogniser,
) -> None:
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    server = await TtsServer.start(settings, recogniser=recogniser)
    async with ears_at(server.url) as ears:
        await ears.pool.ready()
        hearing = listening(ears)
        hearing.hear(HUM)
        await server.close()

        with pytest.raises(RecognitionError):
            await all_of(hearing)


async def test_a_service_that_does_not_come_to_an_end_is_given_up(
    server: TtsServer, recogniser: ScriptedRecogniser
) -> None:
    recogniser.may_answer.clear()
    async with ears_at(server.url, patience=HearingPatience(result_ns=100 * MS)) as ears:
        hearing = listening(ears)
        hearing.hear(HUM)
        hearing.finish()

        with pytest.raises(RecognitionError) as failed:
            await all_of(hearing)
        assert failed.value.code == "Timeout"
        await eventually(lambda: not ears.pool.busy)


async def test_who_waits_for_a_connection_for_too_long_waits_no_more() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with ears_at(f"ws://127.0.0.1:{port}/", patience=HearingPatience(connection_ns=50 * MS)) as ears:
        hearing = listening(ears)

        with pytest.raises(RecognitionError) as failed:
            await all_of(hearing)
        assert failed.value.code == "Timeout"
    for writer in held:
        writer.close()
    listener.close()
    await listener.wait_closed()
