import asyncio

import numpy as np
from numpy.typing import NDArray

from bridge.cosyvoice.hearing import HearingParameters
from bridge.cosyvoice.limits import Refusal
from bridge.cosyvoice.task import BeginHearing
from bridge.cosyvoice.transcript import Transcript
from bridge.ttsserver.scribe import BUSY, Scribe
from bridge.ttsserver.whisper import RecogniserBusyError, RecogniserFailedError
from tests.ttsserver.ears import ScriptedRecogniser, silence, voice


class Notebook:
    """What is written."""

    def __init__(self) -> None:
        self.written: list[Transcript] = []
        self.failure: Refusal | None = None
        self.is_done = False

    def understood(self, transcript: Transcript) -> None:
        self.written.append(transcript)

    def done(self) -> None:
        self.is_done = True

    def fail(self, refusal: Refusal) -> None:
        self.failure = refusal


class Room:
    """A scribe at work."""

    def __init__(self, *, rate: int = 16000, languages: tuple[str, ...] = ("en",)) -> None:
        self.recogniser = ScriptedRecogniser()
        self.notebook = Notebook()
        begin = BeginHearing("t", HearingParameters(rate, languages))
        self.scribe = Scribe(begin, recogniser=self.recogniser, reader=self.notebook)
        self.running = asyncio.create_task(self.scribe.run())

    async def hear(self, *sound: NDArray[np.int16]) -> None:
        self.scribe.hear(np.concatenate(sound).astype("<i2").tobytes())
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self) -> Notebook:
        self.scribe.end()
        await asyncio.wait_for(self.running, 5)
        return self.notebook


async def test_each_sentence_is_written_at_its_pause() -> None:
    room = Room()
    await room.hear(voice(1000), silence(1000), voice(600))

    assert room.notebook.written == [Transcript("1800 ms", 0, 1800, is_final=True, duration_s=2)]
    notebook = await room.end()

    assert notebook.is_done
    assert notebook.written[1] == Transcript("800 ms", 1800, 2600, is_final=True, duration_s=3)
    assert room.recogniser.languages == ["en", "en"]


async def test_a_long_sentence_is_told_while_it_is_said() -> None:
    room = Room()
    await room.hear(voice(1000))
    await room.hear(voice(500))
    await room.hear(voice(1000))
    await room.hear(voice(1000))

    assert room.notebook.written == [Transcript("1500 ms", 0), Transcript("3500 ms", 0)]
    await room.hear(silence(800))
    assert room.notebook.written[2].is_final
    await room.end()


async def test_a_beginning_is_not_told_after_the_whole() -> None:
    room = Room()
    room.recogniser.may_answer.clear()
    await room.hear(voice(1500))
    assert room.recogniser.waiting == 1
    await room.hear(silence(900))

    room.recogniser.may_answer.set()
    notebook = await room.end()

    assert [told.is_final for told in notebook.written] == [True]


async def test_nobody_looks_ahead_while_others_wait() -> None:
    room = Room()
    room.recogniser.waiting = 1
    await room.hear(voice(3000))

    assert room.notebook.written == []
    await room.end()
    assert len(room.notebook.written) == 1


async def test_silence_and_noise_are_no_words() -> None:
    room = Room(languages=())
    await room.hear(silence(5000))
    await room.hear(voice(300, level=400), silence(900))
    notebook = await room.end()

    assert notebook.is_done
    assert notebook.written == []
    assert room.recogniser.languages == [""]


async def test_telephone_sound_is_heard_at_the_recognisers_rate() -> None:
    room = Room(rate=8000)
    await room.hear(voice(1000, rate=8000))
    notebook = await room.end()

    assert notebook.written[0].end_ms in (980, 1000)


async def test_more_sound_than_can_be_heard_is_forgotten_from_its_beginning() -> None:
    room = Room()
    room.recogniser.may_answer.clear()
    await room.hear(voice(1000), silence(1000))
    for _ in range(4):
        room.scribe.hear(voice(28_000).astype("<i2").tobytes())

    room.recogniser.may_answer.set()
    notebook = await room.end()

    assert [told.begin_ms for told in notebook.written] == [0, 57_800, 85_800, 113_800]


async def test_a_recogniser_that_is_busy_or_fails_is_told_to_the_client() -> None:
    for error, code in ((RecogniserBusyError("8"), BUSY.code), (RecogniserFailedError("x"), "InternalError")):
        room = Room()
        room.recogniser.failure = error
        await room.hear(voice(500))
        notebook = await room.end()

        assert notebook.failure is not None
        assert notebook.failure.code == code
        assert not notebook.is_done
