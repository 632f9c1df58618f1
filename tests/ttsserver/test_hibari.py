import numpy as np
import pytest
from hibari import Hibari

from bridge.text.passage import Pronunciation
from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.hibari import GAIN, RATE, HibariEngine
from bridge.ttsserver.level import EDGE_MS
from bridge.ttsserver.studio import shared_hibari
from bridge.ttsserver.voice import Delivery, Timbre, UnspeakableError

SENTENCE = "Your appointment is confirmed for Tuesday the fourteenth of March at ten thirty."


@pytest.fixture(scope="module")
def voice() -> HibariEngine:
    return shared_hibari()


def test_the_same_text_is_the_same_bytes(voice: HibariEngine) -> None:
    first = voice.render(SENTENCE, Delivery(seed=7))
    second = voice.render(SENTENCE, Delivery(seed=7))

    assert first.samples.tobytes() == second.samples.tobytes()
    assert first.words == second.words


def test_the_untouched_voice_is_the_network_s_own(voice: HibariEngine) -> None:
    rendered = voice.render("Hello there.", Delivery(with_words=False))

    own = Hibari()("Hello there.", seed=0) * GAIN * 32767
    samples = rendered.samples.astype(np.float64)
    at = int(np.correlate(own, samples, "valid").argmax())
    # Cut in two, the network rounds its 8-bit numbers elsewhere: that noise is 30 dB below the voice.
    assert (own[at : at + len(samples)] - samples).std() < 0.05 * samples.std()


def test_the_silence_around_speech_is_trimmed(voice: HibariEngine) -> None:
    samples = voice.render("Yes.", Delivery()).samples

    loud = np.flatnonzero(np.abs(samples.astype(int)) > np.abs(samples.astype(int)).max() * 0.02)
    assert loud[0] / RATE * 1000 < 3 * EDGE_MS
    assert (len(samples) - loud[-1]) / RATE * 1000 < 4 * EDGE_MS


def test_every_word_has_its_time_in_order(voice: HibariEngine) -> None:
    rendered = voice.render(SENTENCE, Delivery())

    assert [word.text for word in rendered.words] == SENTENCE.rstrip(".").split()
    assert all(SENTENCE[word.begin_index : word.end_index] == word.text for word in rendered.words)
    borders = [border for word in rendered.words for border in (word.begin_ms, word.end_ms)]
    assert borders == sorted(borders)
    assert borders[0] < 150
    assert borders[-1] <= len(rendered.samples) * 1000 / rendered.rate + 1


def test_a_word_sounds_where_its_time_says(voice: HibariEngine) -> None:
    rendered = voice.render("Stop. Now.", Delivery())

    stop, now = rendered.words
    sound = np.abs(rendered.samples.astype(int))
    between = sound[stop.end_ms * RATE // 1000 : now.begin_ms * RATE // 1000]
    assert len(between) > 0.05 * RATE
    assert between.min() < 0.02 * sound.max()
    for word in (stop, now):
        assert sound[word.begin_ms * RATE // 1000 : word.end_ms * RATE // 1000].max() > 0.5 * sound.max()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It costs $23.45, Dr. Smith.", ["It", "costs", "$23.45", "Dr", "Smith"]),
        ("Call 555-1234 at 10:30 am.", ["Call", "555-1234", "at", "10:30", "am"]),
        ("Don't — I mean it!", ["Don't", "I", "mean", "it"]),
    ],
)
def test_what_is_read_otherwise_than_written_has_times_too(
    voice: HibariEngine, text: str, words: list[str]
) -> None:
    rendered = voice.render(text, Delivery())

    assert [word.text for word in rendered.words] == words
    assert all(word.begin_ms < word.end_ms for word in rendered.words)


def test_a_cast_voice_has_another_pitch_and_the_same_loudness(voice: HibariEngine) -> None:
    woman = voice.render(SENTENCE, Delivery(timbre=cast_of("longanhuan").english))
    man = voice.render(SENTENCE, Delivery(timbre=cast_of("longanyang").english))

    assert pitch_hz(man.samples, man.rate) < 0.72 * pitch_hz(woman.samples, woman.rate)
    assert man.rate < woman.rate
    louder_db = 20 * np.log10(man.samples.astype(float).std() / woman.samples.astype(float).std())
    assert abs(louder_db) < 2
    lasts = (len(man.samples) / man.rate) / (len(woman.samples) / woman.rate)
    assert 0.9 < lasts < 1.15


def test_rate_and_volume_are_honoured(voice: HibariEngine) -> None:
    plain = voice.render(SENTENCE, Delivery())
    fast = voice.render(SENTENCE, Delivery(rate=2.0))
    mute = voice.render(SENTENCE, Delivery(volume=0))
    loud = voice.render(SENTENCE, Delivery(volume=100))

    assert 0.49 < len(fast.samples) / len(plain.samples) < 0.51
    assert not mute.samples.any()
    assert plain.samples.std() * 1.95 < loud.samples.std()
    assert np.abs(loud.samples.astype(int)).max() < 32767


def test_more_than_the_network_takes_at_once_is_spoken_in_parts(voice: HibariEngine) -> None:
    rendered = voice.render("word " * 150, Delivery())

    assert len(rendered.words) == 150
    assert len(rendered.samples) / rendered.rate > 30


def test_chinese_is_refused_and_not_left_out(voice: HibariEngine) -> None:
    with pytest.raises(UnspeakableError, match="Chinese"):
        voice.render("Hello 你好", Delivery())


def test_a_given_pronunciation_is_spoken_and_keeps_the_word_s_time(voice: HibariEngine) -> None:
    given = (Pronunciation(5, 12, "cmu", "HH AH0 L OW1"),)

    told = voice.render("Well colonel, go.", Delivery(pronunciations=given))

    same = voice.render("Well hello, go.", Delivery())
    assert abs(len(told.samples) - len(same.samples)) < 0.02 * len(same.samples)
    assert [word.text for word in told.words] == ["Well", "colonel", "go"]


def test_an_english_word_takes_no_pinyin(voice: HibariEngine) -> None:
    with pytest.raises(UnspeakableError, match="cmu, not 'py'"):
        voice.render("well", Delivery(pronunciations=(Pronunciation(0, 4, "py", "wei2"),)))


@pytest.mark.parametrize("text", ["", " ", "—", "...", "😀", "$", "。"])
def test_nothing_to_pronounce_is_no_sound_and_no_error(voice: HibariEngine, text: str) -> None:
    assert len(voice.render(text, Delivery(timbre=Timbre(formant=0.9))).samples) == 0


@pytest.mark.parametrize(
    "text",
    ["[hi](/x/)", "a_b C++ x=y~z", "1" * 500, "x" * 900, "\x00\x07 ok", "½ © ™ 5°C", "https://a.b/c?d=e#f"],
)
def test_odd_text_is_spoken_somehow(voice: HibariEngine, text: str) -> None:
    assert len(voice.render(text, Delivery()).samples) > 0


def pitch_hz(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate: int) -> float:
    """Median over the voiced stretches, by autocorrelation."""
    found = []
    size = rate // 20
    for start in range(0, len(samples) - size, size):
        frame = samples[start : start + size].astype(float)
        if frame.std() < 2000:
            continue
        same = np.correlate(frame, frame, "full")[size - 1 :]
        low, high = rate // 350, rate // 70
        found.append(rate / (low + int(same[low:high].argmax())))
    return float(np.median(found))
