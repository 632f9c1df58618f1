"""One text, several tasks: nothing lost, nothing said twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from bridge.aio.cosyvoice_pool import CosyVoicePool
from bridge.aio.cosyvoice_speech import PooledSpeech
from bridge.aio.narration import Narration, Telling
from bridge.aio.script import Script, Text
from bridge.clock import SystemClock
from bridge.cosyvoice.client_patience import ClientPatience
from bridge.cosyvoice.request import VoiceRequest
from bridge.errors import ConnectionLostError, SynthesisError
from bridge.ports import Speech, WordTime
from tests.aio.cosyvoice_clients import pool
from tests.aio.cosyvoice_fake import Behaviour, eventually, pcm_of, running

RATE = 8000


def narrating(tts: CosyVoicePool, text: Text, *, rate: int = RATE, **changes: object) -> Narration:
    request = VoiceRequest(sample_rate=RATE, word_timestamp_enabled=True)

    async def take_speech() -> Speech:
        return tts.begin(request)

    telling = Telling(take_speech, SystemClock(), rate, **changes)  # type: ignore[arg-type]
    return Narration(Script(text), telling)


async def heard_from(narration: Narration) -> bytes:
    return b"".join([data async for data in narration.audio()])


async def listen(narration: Narration, received: list[bytes]) -> None:
    """Keep what comes, also when a failure follows."""
    async for data in narration.audio():
        received.append(data)  # noqa: PERF401


class Pausing:
    """A source that says one piece, waits to be told, and says the next."""

    def __init__(self, *pieces: str) -> None:
        self.go_on = asyncio.Event()
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in self._pieces:
            yield piece
            await self.go_on.wait()
            self.go_on.clear()


async def test_a_text_that_pauses_is_spoken_by_a_task_for_each_stretch_and_heard_as_one() -> None:
    source = Pausing("One. ", "Two. ", "Six.")
    async with running() as service, pool(service) as tts:
        narration = narrating(tts, source, pause_s=0.02)
        listening = asyncio.create_task(heard_from(narration))
        for done in (1, 2, 3):
            await eventually(lambda done=done: len(service.texts) == done and tts.busy == 0)  # type: ignore[misc]
            source.go_on.set()

        assert await listening == pcm_of("One. Two. Six.", RATE)

        assert len(service.tasks) == 3
        assert narration.words == [
            WordTime("One", 0, 3, 0, 60),
            WordTime("Two", 5, 8, 100, 160),
            WordTime("Six", 10, 13, 200, 260),
        ]


async def test_no_task_is_begun_before_there_is_text_again() -> None:
    source = Pausing("One. ", "Two.")
    async with running() as service, pool(service) as tts:
        narration = narrating(tts, source, pause_s=0.02)
        listening = asyncio.create_task(heard_from(narration))

        await eventually(lambda: service.texts == ["One. "] and tts.busy == 0)

        assert len(service.tasks) == 1
        source.go_on.set()
        await eventually(lambda: service.texts == ["One. ", "Two."])
        source.go_on.set()
        await listening


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 5, 9, 16])
async def test_a_connection_that_dies_in_mid_sentence_costs_no_sample(frames: int, words: bool) -> None:
    behaviour = Behaviour(drop_after_frames=frames, drop_once=True, frame_bytes=641)
    text = "One two. Three four five six. Seven eight."
    async with running(behaviour) as service, pool(service) as tts:
        request = VoiceRequest(sample_rate=RATE, word_timestamp_enabled=words)

        async def take_speech() -> Speech:
            return tts.begin(request)

        narration = Narration(Script(text), Telling(take_speech, SystemClock(), RATE))

        assert await heard_from(narration) == pcm_of(text, RATE)

        assert len(service.tasks) == 2
        if words:
            spoken = [(text[word.begin_index : word.end_index], word.begin_ms) for word in narration.words]
            assert spoken == [
                ("One", 0),
                ("two", 80),
                ("Three", 180),
                ("four", 300),
                ("five", 400),
                ("six", 500),
                ("Seven", 600),
                ("eight", 720),
            ]


async def test_a_service_that_stays_away_is_told_once_patience_has_run_out() -> None:
    behaviour = Behaviour(drop_after_frames=2)
    async with running(behaviour) as service, pool(service) as tts:
        narration = narrating(tts, "A sentence. " * 20, pauses_s=(0.0, 0.01))

        with pytest.raises(ConnectionLostError):
            await heard_from(narration)

        await eventually(lambda: tts.busy == 0)


async def test_sound_that_cannot_be_counted_is_not_continued_in_the_middle() -> None:
    async with running(Behaviour(drop_after_frames=2)) as service, pool(service) as tts:
        narration = narrating(tts, "A sentence that breaks.", rate=0)
        received: list[bytes] = []

        with pytest.raises(ConnectionLostError):
            await listen(narration, received)

        assert received
        assert len(service.tasks) == 1


async def test_a_task_that_has_all_the_text_it_may_have_is_followed_by_the_next() -> None:
    text = "One two three. Four five six. Seven eight nine. "
    async with running() as service, pool(service) as tts:
        narration = narrating(tts, text, task_characters=20)

        assert await heard_from(narration) == pcm_of(text, RATE)

        assert service.texts == ["One two three. ", "Four five six. ", "Seven eight nine. "]
        assert len(service.tasks) == 3


async def test_near_its_end_a_task_stops_between_sentences() -> None:
    pieces = ["One ", "two. ", "Six ", "ten. "] * 3
    async with running() as service, pool(service) as tts:
        narration = narrating(tts, pieces, task_characters=24)

        assert await heard_from(narration) == pcm_of("".join(pieces), RATE)

        assert len(service.tasks) > 1
        assert set(service.texts) == {"One two. ", "Six ten. "}


async def test_ssml_is_collected_and_goes_to_one_task() -> None:
    async with running() as service, pool(service) as tts:
        request = VoiceRequest(sample_rate=RATE, enable_ssml=True)

        async def take_speech() -> Speech:
            return tts.begin(request)

        telling = Telling(take_speech, SystemClock(), RATE, is_ssml=True)
        narration = Narration(Script(["<speak>", "Hello.", "</speak>"]), telling)

        sound = await heard_from(narration)

        assert sound == pcm_of("<speak>Hello.</speak>", RATE)
        assert len(service.tasks) == 1


async def test_only_the_first_task_of_a_wav_stream_begins_with_a_header() -> None:
    header = b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(20) + b"data\xff\xff\xff\xff"
    speeches = [Canned(header + b"one"), Canned(header + b"two"), Canned(b"bare")]
    taken = iter(speeches)

    async def take_speech() -> Speech:
        return next(taken)

    telling = Telling(take_speech, SystemClock(), 0, is_wav=True, task_characters=2)
    narration = Narration(Script("aabbcc"), telling)

    assert await heard_from(narration) == header + b"onetwobare"


class Canned:
    """A task whose sound is ready."""

    def __init__(self, *sound: bytes) -> None:
        self.task_id = "canned"
        self.bound_ns = 7
        self.words: list[WordTime] = []
        self.sentence = None
        self.text = ""
        self.is_cancelled = False
        self._sound = sound
        self._finished = asyncio.Event()

    async def send_text(self, text: str) -> None:
        self.text += text

    async def finish(self) -> None:
        self._finished.set()

    async def audio(self) -> AsyncIterator[bytes]:
        await self._finished.wait()
        for data in self._sound:
            yield data

    async def cancel(self) -> int:
        self.is_cancelled = True
        self._finished.set()
        return 5


async def test_a_service_that_ends_every_task_at_once_is_given_up() -> None:
    taken = 0

    class Ended(Canned):
        async def audio(self) -> AsyncIterator[bytes]:
            for data in self._sound:
                yield data

    async def take_speech() -> Speech:
        nonlocal taken
        taken += 1
        return Ended()

    telling = Telling(take_speech, SystemClock(), RATE, pauses_s=(0.0, 0.0))

    with pytest.raises(ConnectionLostError, match="the service ended the task before its text"):
        await heard_from(Narration(Script("Hello."), telling))

    assert taken == 3


async def test_who_stops_listening_has_cancelled_the_task() -> None:
    async with running() as service, pool(service) as tts:
        narration = narrating(tts, ["A sentence. "] * 1000)

        async with aclosing(narration.audio()) as audio:
            await anext(audio)
            assert narration.task_id == service.tasks[0]
            assert narration.bound_ns > 0

        await eventually(lambda: tts.busy == 0)
        assert service.cancels == 1
        assert tts.counters["replaced"] == 0


async def test_a_cancel_ends_the_sound_and_begins_no_other_task() -> None:
    async with running() as service, pool(service) as tts:
        narration = narrating(tts, ["A sentence. "] * 1000)
        audio = narration.audio()
        await anext(audio)

        written_ns = await narration.cancel()

        assert written_ns
        assert [data async for data in audio] == []
        assert len(service.tasks) == 1


async def test_a_cancel_ends_the_pause_before_a_new_try() -> None:
    behaviour = Behaviour(status=503)
    async with running(behaviour) as service, pool(service, spares=0) as tts:
        narration = narrating(tts, "Hello.", pauses_s=(3600.0,))
        listening = asyncio.create_task(heard_from(narration))
        await eventually(lambda: tts.counters["dial_failures"] == 1)

        await narration.cancel()

        assert await listening == b""
        assert tts.counters["dial_failures"] == 1


async def test_a_cancel_while_a_task_is_being_taken_cancels_that_too() -> None:
    speech = Canned(b"ab")
    taking, go_on = asyncio.Event(), asyncio.Event()

    async def take_speech() -> Speech:
        taking.set()
        await go_on.wait()
        return speech

    narration = Narration(Script("Hello."), Telling(take_speech, SystemClock(), RATE))
    listening = asyncio.create_task(heard_from(narration))
    await taking.wait()
    assert (narration.task_id, narration.bound_ns) == ("", 0)

    assert await narration.cancel() is None
    go_on.set()
    await listening

    assert speech.is_cancelled


async def test_a_source_that_fails_is_told_behind_what_it_gave_before() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "Half a "
        raise ZeroDivisionError

    async with running() as service, pool(service) as tts:
        narration = narrating(tts, broken())
        received: list[bytes] = []

        with pytest.raises(ZeroDivisionError):
            await listen(narration, received)

        assert b"".join(received) == pcm_of("Half a ", RATE)


async def test_a_listener_that_pauses_for_long_loses_nothing() -> None:
    text = "One sentence of some length. " * 40
    patience = ClientPatience(silence_ns=50_000_000)
    async with (
        running(Behaviour(frame_bytes=3200)) as service,
        pool(service, patience=patience, buffer_ms=200, most_ahead=60) as tts,
    ):
        narration = narrating(tts, text)
        audio = narration.audio()
        received = [await anext(audio)]
        # Held back by the listener, the service has text enough and gets no more: its task is ended.
        await eventually(lambda: has_paused(narration))

        async for data in audio:
            received.append(data)  # noqa: PERF401  an async comprehension cannot go on where anext stopped

        assert b"".join(received) == pcm_of(text, RATE)
        assert len(service.tasks) > 1


def has_paused(narration: Narration) -> bool:
    part = narration.parts.latest
    assert part is not None
    assert isinstance(part.speech, PooledSpeech)
    return part.speech.was_silent


async def test_a_refusal_is_told_at_once() -> None:
    async with running() as service, pool(service) as tts:

        async def take_speech() -> Speech:
            return tts.begin(VoiceRequest("no-such-model"))

        narration = Narration(Script("Hello."), Telling(take_speech, SystemClock(), 24_000))

        with pytest.raises(SynthesisError, match="ModelNotFound"):
            await heard_from(narration)
