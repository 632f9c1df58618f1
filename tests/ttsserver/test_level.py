import numpy as np

from bridge.ttsserver.level import EDGE_MS, limited, speech_span


def test_soft_sound_is_only_raised() -> None:
    soft = np.array([0.0, 0.1, -0.2], np.float32)

    raised = limited(soft, 2.0)

    assert raised.tolist() == [0, 6553, -13107]


def test_nothing_clips_however_loud() -> None:
    ramp = np.linspace(-3, 3, 2001, dtype=np.float32)

    bent = limited(ramp, 2.0)

    assert np.abs(bent.astype(int)).max() <= 0.97 * 32767 + 1
    assert (np.diff(bent.astype(int)) >= 0).all(), "a louder sound never comes out softer"


def test_the_silence_around_a_sound_is_cut_to_its_edges() -> None:
    sound = np.zeros(24000, np.float32)
    sound[8000:12000] = 0.5 * np.sin(np.arange(4000) * 0.3)

    begin, end = speech_span(sound, 24000)

    edge = 24000 * EDGE_MS // 1000
    assert 0 <= (8000 - edge) - begin < 120
    assert 0 <= end - (12000 + edge) < 240


def test_a_weak_consonant_before_a_vowel_is_kept() -> None:
    sound = np.zeros(24000, np.float32)
    sound[4800:6000] = 0.5 * 10 ** (-45 / 20)
    sound[6000:12000] = 0.5

    begin, _ = speech_span(sound, 24000)

    assert begin <= 4800 - 24 * EDGE_MS


def test_pure_silence_has_no_speech_in_it() -> None:
    assert speech_span(np.zeros(2400, np.float32), 24000) == (0, 0)
    assert speech_span(np.zeros(10, np.float32), 24000) == (0, 0)
