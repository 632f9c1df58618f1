import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.ttsserver import espeak
from bridge.ttsserver.espeak import LANGUAGES, EspeakEngine, EspeakProcess, is_installed
from bridge.ttsserver.voice import Delivery, EngineFailedError, UnspeakableError
from tests.ttsserver.measure import active_level_db, f0_track_hz

SENTENCE = "Guten Tag, wie geht es Ihnen heute?"
GERMAN = Delivery(language="de")


@pytest.fixture(scope="module")
def process() -> Iterator[EspeakProcess]:
    process = EspeakProcess()
    yield process
    process.close()


@pytest.fixture
def voice(process: EspeakProcess) -> EspeakEngine:
    return EspeakEngine(process)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_it_speaks_every_language_it_is_asked_for(voice: EspeakEngine, language: str) -> None:
    assert len(voice.render("123", Delivery(language=language)).samples) > 0


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "Bonjour, comment allez-vous ?"),
        ("ko", "안녕하세요 반갑습니다"),
        ("ru", "Здравствуйте, как дела?"),
        ("th", "สวัสดีครับ"),
        ("vi", "Xin chào các bạn"),
    ],
)
def test_each_word_has_its_time_in_order(voice: EspeakEngine, language: str, text: str) -> None:
    rendered = voice.render(text, Delivery(language=language))

    words = rendered.words
    assert [text[word.begin_index : word.end_index] for word in words] == [word.text for word in words]
    assert [word.begin_ms for word in words] == sorted(word.begin_ms for word in words)
    assert words[-1].end_ms <= len(rendered.samples) * 1000 / rendered.rate + 1
    assert len(words) == len([word for word in text.split() if word.strip("?")])


def test_volume_rate_and_pitch_are_honoured(voice: EspeakEngine) -> None:
    plain = voice.render(SENTENCE, GERMAN)
    level, pitch = (
        active_level_db(plain.samples, plain.rate),
        np.nanmedian(f0_track_hz(plain.samples, plain.rate)),
    )
    lasts = len(plain.samples) / plain.rate

    for factor in (0.5, 0.7, 1.5, 2.0):
        other = voice.render(SENTENCE, Delivery(language="de", rate=factor))
        assert abs(len(other.samples) / other.rate * factor / lasts - 1) < 0.1
        other = voice.render(SENTENCE, Delivery(language="de", pitch=factor))
        assert abs(np.nanmedian(f0_track_hz(other.samples, other.rate)) / pitch / factor - 1) < 0.1
        assert abs(len(other.samples) / other.rate / lasts - 1) < 0.1
    quiet = voice.render(SENTENCE, Delivery(language="de", volume=25))
    assert abs(level - active_level_db(quiet.samples, quiet.rate) - 6.02) < 0.1


def test_a_man_speaks_lower_than_a_woman(process: EspeakProcess) -> None:
    man, woman = (EspeakEngine(process, is_female=sex).render(SENTENCE, GERMAN) for sex in (False, True))

    assert np.nanmedian(f0_track_hz(man.samples, man.rate)) < 0.7 * np.nanmedian(
        f0_track_hz(woman.samples, woman.rate)
    )


def test_the_library_is_never_loaded_by_us(voice: EspeakEngine) -> None:
    voice.render(SENTENCE, GERMAN)

    assert "espeakng_loader" not in sys.modules
    assert "espeak" not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_a_process_that_died_is_started_again(voice: EspeakEngine, process: EspeakProcess) -> None:
    voice.render(SENTENCE, GERMAN)
    before = process.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)

    rendered = voice.render(SENTENCE, GERMAN)

    assert len(rendered.samples) > 0
    assert process.pid != before


def test_several_threads_take_turns(voice: EspeakEngine) -> None:
    found: list[bytes] = []

    def speak() -> None:
        found.append(voice.render(SENTENCE, GERMAN).samples.tobytes())

    threads = [threading.Thread(target=speak) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert len(found) == 6


def test_a_process_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mute = tmp_path / "mute.py"
    mute.write_text("import sys\nfor line in sys.stdin: pass\n", encoding="utf-8")
    monkeypatch.setattr(espeak, "_SCRIPT", mute)
    monkeypatch.setattr(espeak, "_PATIENCE_S", 0.2)
    process = EspeakProcess()

    with pytest.raises(EngineFailedError, match="does not answer"):
        EspeakEngine(process).render(SENTENCE, GERMAN)

    assert process.pid is None
    process.close()


def test_after_the_end_nothing_is_started() -> None:
    process = EspeakProcess()
    process.close()

    with pytest.raises(EngineFailedError):
        EspeakEngine(process).render(SENTENCE, GERMAN)


@pytest.mark.parametrize("text", ["\0", "a\nb", "<speak>&", '"}', "😀 ok"])
def test_odd_text_does_not_disturb_the_next(voice: EspeakEngine, text: str) -> None:
    voice.render(text, GERMAN)

    assert len(voice.render(SENTENCE, GERMAN).samples) > 20000


def test_a_language_it_does_not_have_and_too_much_text_are_refused(voice: EspeakEngine) -> None:
    with pytest.raises(UnspeakableError, match="no voice xx"):
        voice.render("a", Delivery(language="xx"))
    with pytest.raises(UnspeakableError, match="5000 characters"):
        voice.render("a" * 5000, GERMAN)


def test_without_the_extra_the_refusal_says_how_to_install_it(
    voice: EspeakEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak, "find_spec", lambda _: None)

    assert not is_installed()
    with pytest.raises(UnspeakableError, match=r"pip install espeakng-loader"):
        voice.check("Bonjour")
