import numpy as np
import pytest

from bridge.cosyvoice.voices import VOICES
from bridge.text.passage import Pronunciation
from bridge.ttsserver import kokoro
from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.kokoro import RATE, STYLES, KokoroEngine, KokoroNetwork
from bridge.ttsserver.level import EDGE_MS
from bridge.ttsserver.studio import shared_kokoro
from bridge.ttsserver.voice import Delivery, Timbre, UnspeakableError
from tests.ttsserver.measure import f0_track_hz

SENTENCE = "您的预约在14日。"


@pytest.fixture(scope="module")
def voice() -> KokoroEngine:
    return KokoroEngine(shared_kokoro, "zf_xiaoxiao")


def test_the_same_text_and_seed_are_the_same_bytes_and_another_seed_is_not(voice: KokoroEngine) -> None:
    first, second, other = (
        voice.render("您好。", Delivery(seed=seed)).samples.tobytes() for seed in (7, 7, 8)
    )

    assert first == second
    assert first != other


def test_each_character_has_its_time_in_order_and_a_number_one(voice: KokoroEngine) -> None:
    rendered = voice.render(SENTENCE, Delivery())

    assert [word.text for word in rendered.words] == ["您", "的", "预", "约", "在", "14", "日"]
    assert all(SENTENCE[word.begin_index : word.end_index] == word.text for word in rendered.words)
    borders = [border for word in rendered.words for border in (word.begin_ms, word.end_ms)]
    assert borders == sorted(borders)
    assert borders[0] < 150
    assert borders[-1] <= len(rendered.samples) * 1000 / rendered.rate + 1


def test_a_word_sounds_where_its_time_says(voice: KokoroEngine) -> None:
    rendered = voice.render("不行。可以。", Delivery())

    _, no, yes, _ = rendered.words
    sound = np.abs(rendered.samples.astype(int))
    between = sound[no.end_ms * RATE // 1000 : yes.begin_ms * RATE // 1000]
    middle = sound[no.begin_ms * RATE // 1000 : no.end_ms * RATE // 1000]
    assert np.median(between) < 0.1 * np.median(middle)


def test_the_silence_around_speech_is_trimmed(voice: KokoroEngine) -> None:
    sound = np.abs(voice.render("好。", Delivery()).samples.astype(int))

    loud = np.flatnonzero(sound > sound.max() * 0.02)
    assert loud[0] / RATE * 1000 < 3 * EDGE_MS
    assert (len(sound) - loud[-1]) / RATE * 1000 < 4 * EDGE_MS


def test_a_given_pronunciation_is_what_is_said(voice: KokoroEngine) -> None:
    given = Delivery(pronunciations=(Pronunciation(0, 2, "py", "zai4 jian4"),))

    told = voice.render("您好。", given)

    assert told.samples.tobytes() == voice.render("再见。", Delivery()).samples.tobytes()


def test_a_timbre_changes_pitch_and_throat_and_not_the_length(voice: KokoroEngine) -> None:
    plain = voice.render(SENTENCE, Delivery())
    small = voice.render(SENTENCE, Delivery(timbre=Timbre(pitch=1.2, formant=1.1)))

    assert small.rate > plain.rate
    ratio = np.nanmedian(f0_track_hz(small.samples, small.rate)) / np.nanmedian(
        f0_track_hz(plain.samples, plain.rate)
    )
    assert 1.15 < ratio < 1.25
    assert abs(len(small.samples) / small.rate / (len(plain.samples) / plain.rate) - 1) < 0.03


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_style_speaks(style: str) -> None:
    assert len(KokoroEngine(shared_kokoro, style).render("好", Delivery()).samples) > 0


def test_every_documented_voice_is_cast_with_styles_that_are_here_and_men_are_no_women() -> None:
    casts = [cast_of(voice) for voice in VOICES]

    assert {cast.mandarin for cast in casts} | {cast.japanese for cast in casts} == set(STYLES)
    assert all(cast.is_female for cast in casts if cast.mandarin.startswith("zf") and cast.part != "robot")


def test_more_than_the_network_takes_at_once_is_spoken_in_parts(
    voice: KokoroEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kokoro, "_MAX_SIGNS", 12)

    rendered = voice.render("您好您好您好。", Delivery())

    assert len(rendered.words) == 6
    assert rendered.words[-1].end_ms <= len(rendered.samples) * 1000 / RATE + 1


@pytest.mark.parametrize("text", ["", "。", "——", "？！"])
def test_nothing_to_pronounce_is_no_sound_and_no_error(voice: KokoroEngine, text: str) -> None:
    assert len(voice.render(text, Delivery()).samples) == 0


def test_what_cannot_be_read_is_refused() -> None:
    def refuse(text: str) -> None:
        raise UnspeakableError(text)

    def never() -> KokoroNetwork:
        raise AssertionError("a check must load nothing")

    with pytest.raises(UnspeakableError, match="東京"):
        KokoroEngine(never, "jf_alpha", checker=refuse).check("東京")
    KokoroEngine(never, "zf_xiaoxiao").check("您好")


def test_a_short_first_piece_is_asked_for(voice: KokoroEngine) -> None:
    first, later = voice.breath(SENTENCE)

    assert first < later < 40
