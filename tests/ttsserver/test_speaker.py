import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.limits import Refusal
from bridge.cosyvoice.message import Word
from bridge.cosyvoice.task import Begin
from bridge.ttsserver.faults import Fault
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.speaker import Speaker
from bridge.ttsserver.studio import Studio
from bridge.ttsserver.voice import Delivery, Engine, Rendered


class Notebook:
    """A listener with as much room as the test gives it."""

    def __init__(self, rooms: int = 10_000) -> None:
        self.rooms = asyncio.Semaphore(rooms)
        self.heard: list[str] = []
        self.refusals: list[Refusal] = []

    async def room(self) -> None:
        await self.rooms.acquire()

    def sentence_begin(self, text: str) -> None:
        self.heard.append(f"begin {text.strip()}")

    def audio(self, frame: bytes) -> None:
        if self.heard[-1] != "sound":
            self.heard.append("sound")

    def rest(self, frame: bytes) -> None:
        self.heard.append("rest")

    def sentence_end(self, words: tuple[Word, ...]) -> None:
        self.heard.append(f"end {len(words)}")

    def done(self) -> None:
        self.heard.append("done")

    def fail(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def reset(self) -> None:
        self.heard.append("reset")


class BrokenEngine:
    def check(self, text: str) -> None:
        pass

    def breath(self, text: str) -> tuple[int, int]:
        return 72, 140

    def render(self, text: str, delivery: Delivery) -> Rendered:
        raise ZeroDivisionError(text)


class CountingEngine:
    def __init__(self) -> None:
        self.rendered: list[str] = []

    def check(self, text: str) -> None:
        pass

    def breath(self, text: str) -> tuple[int, int]:
        return 72, 140

    def render(self, text: str, delivery: Delivery) -> Rendered:
        self.rendered.append(text)
        return Rendered(np.ones(24000, np.int16), 24000)


class OneVoice(Studio):
    def __init__(self, voice: Engine) -> None:
        super().__init__(1)
        self._voice = voice

    def engine(self, voice: str) -> Engine:
        return self._voice


@pytest.fixture
def studio() -> Iterator[Studio]:
    studio = Studio(1)
    yield studio
    studio.close()


def speaker(studio: Studio, notebook: Notebook, *faults: Fault, **parameters: object) -> Speaker:
    asked = {"voice": "tone", "format": "pcm", "sample_rate": 8000, "word_timestamp_enabled": True}
    begin = Begin("t", "cosyvoice-v3-flash", TaskParameters.from_wire(asked | parameters), "request")
    return Speaker(begin, studio=studio, sounds=Sounds(), listener=notebook, faults=frozenset(faults))


async def test_sentences_are_spoken_in_order_and_then_it_is_done(studio: Studio) -> None:
    notebook = Notebook()
    speaking = speaker(studio, notebook)
    speaking.push("One two. Thr")
    speaking.push("ee.")
    speaking.end()

    await speaking.run()

    assert notebook.heard == ["begin One two.", "sound", "end 2", "begin Three.", "sound", "end 1", "done"]


async def test_text_may_come_while_it_waits(studio: Studio) -> None:
    notebook = Notebook()
    speaking = speaker(studio, notebook)
    running = asyncio.create_task(speaking.run())
    await asyncio.sleep(0)

    speaking.push("One")
    speaking.flush()
    speaking.end()
    await running

    assert notebook.heard == ["begin One", "sound", "end 1", "done"]


async def test_a_sentence_with_nothing_to_pronounce_is_passed_over(studio: Studio) -> None:
    notebook = Notebook()
    speaking = speaker(studio, notebook)
    speaking.push("One.")
    speaking.flush()
    speaking.push(" — ")
    speaking.end()

    await speaking.run()

    assert notebook.heard == ["begin One.", "sound", "end 1", "done"]


async def test_a_task_without_any_sound_has_failed(studio: Studio) -> None:
    notebook = Notebook()
    speaking = speaker(studio, notebook)
    speaking.push(" — ")
    speaking.end()

    await speaking.run()

    assert [refusal.message for refusal in notebook.refusals] == ["Please ensure input text is valid."]


async def test_a_bug_in_a_voice_still_ends_its_task() -> None:
    studio = OneVoice(BrokenEngine())
    notebook = Notebook()
    speaking = speaker(studio, notebook)
    speaking.push("One.")
    speaking.end()

    with pytest.raises(ZeroDivisionError):
        await speaking.run()

    assert [refusal.code for refusal in notebook.refusals] == ["InternalError"]
    studio.close()


async def test_nothing_is_rendered_before_there_is_room() -> None:
    engine = CountingEngine()
    studio = OneVoice(engine)
    notebook = Notebook(rooms=1)
    speaking = speaker(studio, notebook)
    speaking.push("One. Two. Three. ")
    running = asyncio.create_task(speaking.run())
    async with asyncio.timeout(5):
        while not notebook.rooms.locked() or not engine.rendered:  # noqa: ASYNC110  a thread rings no bell
            await asyncio.sleep(0.01)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert engine.rendered == ["One. "]
    assert "sound" not in notebook.heard
    studio.close()


async def test_the_rest_of_a_container_follows_the_last_sentence(studio: Studio) -> None:
    notebook = Notebook()
    speaking = speaker(studio, notebook, format="opus", sample_rate=16000)
    speaking.push("One.")
    speaking.end()

    await speaking.run()

    assert notebook.heard == ["begin One.", "sound", "end 1", "rest", "done"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<speak>One.", "speak"),
        ('<speak voice="nobody">One.</speak>', "[tts:]Engine return error code: 418"),
        ('<speak>One.<soundEvent src="http://x/ding.wav"/></speak>', "tts_server.sounds"),
    ],
)
async def test_markup_that_cannot_be_done_is_refused_in_words(
    studio: Studio, text: str, message: str
) -> None:
    notebook = Notebook()
    speaking = speaker(studio, notebook, enable_ssml=True)
    speaking.push(text)
    speaking.end()

    await speaking.run()

    (refusal,) = notebook.refusals
    assert refusal.code == "InvalidParameter"
    assert message in refusal.message
    assert "sound" not in notebook.heard
