import asyncio
import os
import re
import signal
import sys

import pytest

from bridge.media.resample import Resampler
from bridge.ttsserver.studio import Studio
from bridge.ttsserver.voice import Delivery
from bridge.ttsserver.whisper import (
    EXTRA,
    HEAR_HZ,
    Recogniser,
    RecogniserBusyError,
    RecogniserFailedError,
)
from tests.ttsserver.ears import ECHO
from tests.ttsserver.recogniser import Score, characters, words
from tests.ttsserver.sentences import CHINESE, ENGLISH


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


async def test_sound_goes_to_the_process_and_words_come_back() -> None:
    recogniser = Recogniser(ECHO)
    try:
        assert await recogniser.understand(b"soun", "en") == "en soun"
        assert await recogniser.understand(b"more", "zh") == "zh more"
        assert recogniser.starts == 1
    finally:
        await recogniser.close()

    assert recogniser.pid is None


async def test_a_process_that_died_is_replaced_and_no_word_is_lost() -> None:
    recogniser = Recogniser(ECHO)
    try:
        await recogniser.understand(b"one.", "en")
        assert recogniser.pid is not None
        os.kill(recogniser.pid, signal.SIGKILL)

        assert await recogniser.understand(b"two.", "en") == "en two."
        assert recogniser.starts == 2
    finally:
        await recogniser.close()


@pytest.mark.parametrize(
    "text",
    ["", "print('no JSON', flush=True)", "print('[]', flush=True)", "import time; time.sleep(60)"],
    ids=["dies", "babbles", "lists", "hangs"],
)
async def test_a_process_that_fails_twice_over_the_same_sound_is_not_asked_again(text: str) -> None:
    recogniser = Recogniser(script(text), patience_s=0.3)
    try:
        with pytest.raises(RecogniserFailedError, match="does not answer"):
            await recogniser.understand(b"soun", "en")
        assert (recogniser.starts, recogniser.waiting) == (2, 0)
    finally:
        await recogniser.close()


async def test_what_the_process_cannot_do_is_said() -> None:
    recogniser = Recogniser(script("""print('{"error": "no model"}', flush=True); input()"""))
    try:
        with pytest.raises(RecogniserFailedError, match="no model"):
            await recogniser.understand(b"", "xx")
    finally:
        await recogniser.close()


async def test_what_cannot_wait_is_refused_at_once() -> None:
    recogniser = Recogniser(script("import time; time.sleep(60)"))
    waiting = [asyncio.create_task(recogniser.understand(b"", "en")) for _ in range(8)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(RecogniserBusyError):
            await recogniser.understand(b"", "en")
    finally:
        await recogniser.close()
        failures = await asyncio.gather(*waiting, return_exceptions=True)

    assert {type(failure) for failure in failures} == {RecogniserFailedError}


async def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next() -> None:
    recogniser = Recogniser(ECHO)
    try:
        await recogniser.understand(b"zero", "en")
        given_up = asyncio.create_task(recogniser.understand(b"one.", "en"))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up

        assert await recogniser.understand(b"two.", "en") == "en two."
        assert recogniser.starts == 1
    finally:
        await recogniser.close()


async def test_getting_ready_never_fails() -> None:
    recogniser = Recogniser(script(""))
    await recogniser.warm("en")
    await recogniser.close()
    await recogniser.close()

    with pytest.raises(RecogniserFailedError):
        await recogniser.understand(b"", "en")


async def test_where_nothing_is_installed_what_would_install_it_is_said() -> None:
    with pytest.raises(RecogniserFailedError, match=re.escape(EXTRA)):
        await Recogniser(()).understand(b"", "en")


@pytest.mark.e2e
@pytest.mark.timeout(120)
async def test_whisper_understands_the_languages_it_has_a_model_for_and_is_silent_about_silence() -> None:
    english, chinese = spoken("longanyang", ENGLISH[0]), spoken("longanhuan", CHINESE[0])
    heard, score = Recogniser(), Score()
    try:
        score.add(words(ENGLISH[0]), words(await heard.understand(english, "en")))
        score.add(characters(CHINESE[0]), characters(await heard.understand(chinese, "zh")))
        silence = await heard.understand(bytes(2 * HEAR_HZ), "en")
        assert heard.pid is not None
        niceness = os.getpriority(os.PRIO_PROCESS, heard.pid)
    finally:
        await heard.close()

    assert score.rate < 0.2
    assert silence == ""
    assert niceness >= 10


def spoken(voice: str, text: str) -> bytes:
    studio = Studio(1)
    try:
        rendered = studio.engine(voice).render(text, Delivery(with_words=False))
    finally:
        studio.close()
    resampler = Resampler(rendered.rate, HEAR_HZ)
    return resampler.push(rendered.samples.astype("<i2").tobytes()) + resampler.flush()
