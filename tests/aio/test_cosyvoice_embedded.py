"""The client against the embedded service itself: what one says the other understands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from bridge.aio.cosyvoice import CosyVoice, Deadlines, SpeechStream
from bridge.aio.cosyvoice_pool import CosyVoicePool, TtsSettings
from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.cosyvoice.task import ClientPatience
from bridge.dice import SystemDice
from bridge.errors import ConnectionLostError, SynthesisError
from bridge.ports import SpeechChunk, Voice
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.aio.cosyvoice_clients import heard_from, say
from tests.aio.cosyvoice_fake import eventually

TONE = Voice("cosyvoice-v3-flash", "tone", "en")
FORMAT = PcmFormat(8000)
MS = 1_000_000


@asynccontextmanager
async def embedded(
    *faults: str, key: str = "", keys: tuple[str, ...] = (), **changes: object
) -> AsyncIterator[CosyVoicePool]:
    serving = TtsServerSettings(listen=("127.0.0.1", 0), faults=faults, api_keys=keys, warm=False)
    async with await TtsServer.start(serving) as server:
        settings = replace(TtsSettings(server.url, key), **changes)  # type: ignore[arg-type]
        tts = CosyVoicePool(settings, clock=SystemClock(), dice=SystemDice())
        await tts.start()
        try:
            yield tts
        finally:
            await tts.close()


async def test_a_text_becomes_sound_and_its_words_are_placed_in_it() -> None:
    async with embedded() as tts:
        speech = tts.speak(TONE, FORMAT)
        text = "Hello there. How are you?"
        await speech.send_text(text)
        await speech.finish()

        sound = await heard_from(speech)

        length_ms = len(sound) / 16
        words = speech.words
        assert [text[word.begin_index : word.end_index] for word in words] == [
            "Hello",
            "there",
            "How",
            "are",
            "you",
        ]
        assert all(word.begin_ms < word.end_ms <= length_ms + 1 for word in words)
        assert all(one.end_ms <= other.begin_ms for one, other in pairwise(words))


async def test_the_same_text_sounds_the_same_on_another_connection() -> None:
    async with embedded() as tts:
        first = await say_tone(tts, "Hello there.")
        second = await say_tone(tts, "Hello there.")

        assert first == second != b""


async def test_a_cancel_in_mid_sentence_leaves_the_connection_fit_for_the_next() -> None:
    # A machine that stands still for 300 ms is no fault of the connection.
    patience = ClientPatience(cancel_ns=10_000 * MS)
    async with embedded(patience=patience) as tts:
        whole = await say_tone(tts, "Short.")
        for _ in range(3):
            speech = tts.speak(TONE, FORMAT)
            await speech.send_text("A rather long sentence, which nobody will hear to its end. " * 5)
            async for _ in speech.audio():
                break
            await speech.cancel()

            assert await say_tone(tts, "Short.") == whole

        await eventually(lambda: tts.busy == 0)
        assert tts.counters["replaced"] == tts.counters["lost"] == 0


async def test_a_wrong_key_is_refused_with_the_fix() -> None:
    async with embedded(key="wrong", keys=("right",)) as tts:
        with pytest.raises(SynthesisError, match=r"answered 401: set tts\.api_key or DASHSCOPE_API_KEY"):
            await tts.ready()


async def test_the_right_key_is_let_in() -> None:
    async with embedded(key="right", keys=("right",)) as tts:
        await tts.ready()

        assert tts.idle == 1


async def test_a_service_that_dies_in_mid_word_is_told_as_closed() -> None:
    async with embedded("drop_mid_word") as tts:
        with pytest.raises(SynthesisError) as caught:
            await say_tone(tts, "A sentence that is long enough to break in the middle of a word.")

        assert (caught.value.code, caught.value.retryable) == ("Closed", True)


async def test_a_service_that_ignores_the_cancel_loses_the_connection() -> None:
    async with embedded("slow_cancel", patience=ClientPatience(cancel_ns=100 * MS)) as tts:
        speech = tts.speak(TONE, FORMAT)
        await speech.send_text("A rather long sentence, which nobody will hear to its end. " * 5)
        async for _ in speech.audio():
            break

        await speech.cancel()

        await eventually(lambda: tts.counters["replaced"] == 1)
        assert await heard_from(speech) == b""


async def test_a_voice_nobody_knows_is_refused_in_the_services_own_words() -> None:
    async with embedded() as tts:
        speech = tts.speak(Voice("cosyvoice-v3-flash", "nobody"), FORMAT)

        with pytest.raises(SynthesisError, match=r"InvalidParameter: .*418") as caught:
            await heard_from(speech)

        assert not caught.value.retryable


async def say_tone(tts: CosyVoicePool, text: str) -> bytes:
    return await say(tts, text, voice=TONE)


async def test_a_wav_stream_of_several_tasks_has_one_header() -> None:
    go_on = asyncio.Event()

    async def pausing() -> AsyncIterator[str]:
        yield "Hello there. "
        await go_on.wait()
        yield "How are you?"

    serving = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    async with (
        await TtsServer.start(serving) as server,
        CosyVoice(
            url=server.url, voice="tone", sample_rate=8000, deadlines=Deadlines(text_pause_s=0.02)
        ) as tts,
    ):
        stream = tts.stream(pausing(), format="wav")
        await tts.ready()
        listening = asyncio.create_task(collected(stream))
        await eventually(lambda: stream.task_id != "" and tts.pool.busy == 0)
        go_on.set()
        packed = await listening
        pcm = await tts.synthesize("Hello there. ") + await tts.synthesize("How are you?")

        assert packed.count(b"RIFF") == 1
        assert packed.endswith(pcm)
        assert len(packed) - len(pcm) < 100


async def test_a_service_that_dies_in_every_mid_word_is_given_up_in_the_end() -> None:
    serving = TtsServerSettings(listen=("127.0.0.1", 0), faults=("drop_mid_word",), warm=False)
    async with (
        await TtsServer.start(serving) as server,
        CosyVoice(url=server.url, voice="tone", sample_rate=8000, retry_pauses_s=(0.0, 0.0)) as tts,
    ):
        received: list[bytes] = []
        with pytest.raises(ConnectionLostError):
            await listen(tts, "A sentence that is long enough to break in the middle. " * 3, received)

        assert received


async def collected(stream: SpeechStream[SpeechChunk]) -> bytes:
    return b"".join([chunk.data async for chunk in stream])


async def listen(tts: CosyVoice, text: str, received: list[bytes]) -> None:
    async for chunk in tts.stream(text):
        received.append(chunk.data)  # noqa: PERF401  what came before the failure counts
