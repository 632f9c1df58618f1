"""What the caller says on its way to the recogniser and back, with a hand-turned clock and ring."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.call.ears import Ears
from bridge.call.hearing import CallerWords, Hearing
from bridge.engine.commands import LegEvent
from bridge.errors import RecognitionError
from bridge.plane.columns import Columns
from bridge.plane.events import Latched, VoiceStarted, VoiceStopped
from bridge.plane.ring import CaptureReader
from bridge.ports import Understanding
from tests.aio.cosyvoice_fake import eventually
from tests.call.ears import ScriptedRecognizer
from tests.fakes import MS, ManualClock

GENERATION = 3


class Line:
    """A caller whose every sample counts up, so that what was heard tells when it was said."""

    def __init__(self, rate_hz: int = 8000) -> None:
        self.clock = ManualClock(start_ns=1_000 * MS)
        self.columns = Columns(memoryview(bytearray(Columns.size_bytes(1))), 1)
        self.columns.generation[0] = GENERATION
        self.recognizer = ScriptedRecognizer(rate_hz)
        self.words: list[CallerWords] = []
        self.ears = Ears(
            self.recognizer,
            CaptureReader(self.columns, 0, GENERATION),
            rate_hz=8000,
            clock=self.clock,
            on_words=self.words.append,
            call_id="a",
        )

    async def pass_ms(self, ms: int) -> None:
        """Let time pass and sound come."""
        write, size = int(self.columns.capture_write[0]), self.columns.shape.capture
        index = np.arange(write, write + 8 * ms)
        self.columns.capture[0, 0, index % size] = index % 30_000
        self.columns.capture[0, 1, index % size] = -1
        self.columns.capture_write[0] = write + 8 * ms
        self.clock.advance(ms)
        await self.settle()

    async def settle(self) -> None:
        self.ears._woken.set()  # as its timer would
        for _ in range(8):
            await asyncio.sleep(0)

    async def tell(self, event: LegEvent) -> None:
        self.ears.on_event(event)
        await self.settle()

    async def voice(self) -> None:
        await self.tell(VoiceStarted(0, GENERATION, self.clock.now_ns(), onset_ns=0))

    async def silence(self) -> None:
        await self.tell(VoiceStopped(0, GENERATION, self.clock.now_ns(), ended_ns=0))


@asynccontextmanager
async def line(rate_hz: int = 8000) -> AsyncIterator[Line]:
    made = Line(rate_hz)
    running = asyncio.create_task(made.ears.run())
    try:
        await made.settle()
        yield made
    finally:
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING):
        yield caplog


async def test_an_utterance_is_heard_from_before_its_voice_until_after_it() -> None:
    async with line() as made:
        await made.pass_ms(1500)
        await made.voice()
        await made.pass_ms(400)
        await made.silence()
        await made.pass_ms(500)
        (recognition,) = made.recognizer.recognitions
        await made.pass_ms(300)

        samples = np.frombuffer(recognition.heard, "<i2")
        assert recognition.is_finished
        assert samples.tolist() == list(range(8000, 8000 + 8 * 1400))


async def test_nothing_is_read_while_nobody_speaks() -> None:
    async with line() as made:
        await made.pass_ms(1000)
        await made.tell(Latched(0, GENERATION, 0, remote_key=0))
        await made.pass_ms(5000)

        assert made.recognizer.recognitions == []


async def test_words_come_back_with_the_times_of_their_sound() -> None:
    async with line() as made:
        await made.pass_ms(1000)
        await made.voice()
        await made.pass_ms(1000)
        (recognition,) = made.recognizer.recognitions
        recognition.says.put_nowait(Understanding("I would", False, 300, None))
        recognition.says.put_nowait(Understanding("   ", False, 300, None))
        recognition.says.put_nowait(Understanding(" I would like. ", True, 300, 900))
        recognition.says.put_nowait(Understanding("To", False, 1000, None))
        await made.settle()

        began_ns = (2000 - 500 + 300) * MS
        assert made.words == [
            CallerWords(1, "I would", False, began_ns, 3000 * MS),
            CallerWords(1, "I would like.", True, began_ns, began_ns + 600 * MS),
            CallerWords(2, "To", False, 2500 * MS, 3000 * MS),
        ]


async def test_the_recogniser_hears_at_its_own_rate() -> None:
    async with line(16_000) as made:
        await made.pass_ms(500)
        await made.voice()
        await made.pass_ms(500)
        await made.silence()
        await made.pass_ms(500)

        (recognition,) = made.recognizer.recognitions
        assert len(recognition.heard) // 2 == 16 * 1500


async def test_a_sentence_that_was_begun_is_kept_when_the_recogniser_fails(
    log: pytest.LogCaptureFixture,
) -> None:
    async with line() as made:
        await made.voice()
        await made.pass_ms(100)
        (recognition,) = made.recognizer.recognitions
        recognition.says.put_nowait(Understanding("My secret is", False, 0, None))
        recognition.says.put_nowait(RecognitionError("what about 'My secret is'?", code="InternalError"))
        await made.settle()

        assert [(words.id, words.text, words.is_final) for words in made.words] == [
            (1, "My secret is", False),
            (1, "My secret is", True),
        ]
        assert recognition.was_cancelled
    assert [record.getMessage() for record in log.records] == [
        "call a: the caller's words are lost: InternalError"
    ]


async def test_a_call_complains_once(log: pytest.LogCaptureFixture) -> None:
    async with line() as made:
        for _ in range(3):
            await made.voice()
            await made.pass_ms(100)
            await made.silence()
            await made.pass_ms(500)
            made.recognizer.recognitions[-1].says.put_nowait(RecognitionError("gone", code="Closed"))
            await made.settle()

        assert len(made.recognizer.recognitions) == 3
    assert len(log.records) == 1


async def test_without_room_the_words_are_lost_and_the_next_ones_are_not() -> None:
    async with line() as made:
        made.recognizer.has_room = False
        await made.voice()
        await made.pass_ms(300)
        await made.silence()
        await made.pass_ms(500)
        made.recognizer.has_room = True
        await made.pass_ms(1000)
        await made.voice()
        await made.pass_ms(100)

        (recognition,) = made.recognizer.recognitions
        assert np.frombuffer(recognition.heard, "<i2")[0] == 8 * 1300


async def test_who_speaks_for_long_is_heard_in_pieces_that_fit_together() -> None:
    async with line() as made:
        await made.voice()
        for _ in range(260):
            await made.pass_ms(100)

        first, second = made.recognizer.recognitions
        assert first.is_finished
        heard = np.frombuffer(first.heard + second.heard, "<i2")
        assert heard.tolist() == [index % 30_000 for index in range(8 * 26_000)]


async def test_who_leaves_is_not_understood_any_more() -> None:
    async with line() as made:
        await made.voice()
        await made.pass_ms(300)

    (recognition,) = made.recognizer.recognitions
    assert recognition.was_cancelled
    assert not recognition.is_finished


async def test_sound_goes_on_by_itself_while_somebody_speaks() -> None:
    async with line() as made:
        await made.voice()
        (recognition,) = made.recognizer.recognitions
        made.columns.capture_write[0] += 800

        await eventually(lambda: len(recognition.heard) == 1600)


async def test_an_utterance_that_was_understood_is_over() -> None:
    async with line() as made:
        await made.voice()
        await made.pass_ms(100)
        (recognition,) = made.recognizer.recognitions
        recognition.says.put_nowait(Understanding("Yes.", True, 0, 100))
        recognition.says.put_nowait(None)
        await made.settle()

        assert [words.text for words in made.words] == ["Yes."]
        assert recognition.was_cancelled


async def test_agents_read_words_as_they_come_and_lose_the_oldest_when_they_sleep() -> None:
    hearing = Hearing(ManualClock())
    hearing.on_words(CallerWords(1, "nobody listens", True, 0, 0))
    reader = hearing.words()
    for number in range(300):
        hearing.on_words(CallerWords(number, "words", True, 0, 0))

    assert (await anext(reader)).id == 300 - 256
    assert (await anext(reader)).id == 300 - 255
    await reader.aclose()  # type: ignore[attr-defined]
    del reader
    assert not hearing._readers
