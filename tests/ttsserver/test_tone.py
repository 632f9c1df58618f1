import numpy as np

from bridge.ttsserver.tone import RATE, ToneEngine
from bridge.ttsserver.voice import Delivery


def test_the_same_text_is_the_same_bytes() -> None:
    first = ToneEngine().render("one two 三", Delivery())
    second = ToneEngine().render("one two 三", Delivery())

    assert first.samples.tobytes() == second.samples.tobytes()
    assert [word.text for word in first.words] == ["one", "two", "三"]


def test_a_word_sounds_when_it_says() -> None:
    rendered = ToneEngine().render("hello you", Delivery())

    hello, you = rendered.words
    assert (hello.begin_ms, hello.end_ms, you.begin_ms, you.end_ms) == (30, 330, 370, 550)
    sound = np.abs(rendered.samples.astype(int))
    assert sound[: 30 * RATE // 1000].max() == 0
    assert sound[331 * RATE // 1000 : 369 * RATE // 1000].max() == 0
    assert sound[40 * RATE // 1000 : 320 * RATE // 1000].max() > 8000


def test_rate_pitch_and_volume_are_honoured() -> None:
    plain = ToneEngine().render("hello", Delivery())
    fast = ToneEngine().render("hello", Delivery(rate=2.0))
    loud = ToneEngine().render("hello", Delivery(volume=100))
    high = ToneEngine().render("hello", Delivery(pitch=2.0))
    mute = ToneEngine().render("hello", Delivery(volume=0))

    assert fast.words[0].end_ms - fast.words[0].begin_ms == 150
    assert loud.samples.max() > 1.9 * plain.samples.max()
    assert np.count_nonzero(np.diff(np.sign(high.samples))) > 1.9 * np.count_nonzero(
        np.diff(np.sign(plain.samples))
    )
    assert mute.samples.any() == np.False_


def test_a_lone_dash_has_no_sound() -> None:
    assert len(ToneEngine().render(" — ", Delivery()).samples) == 0
    ToneEngine().check("任何")
