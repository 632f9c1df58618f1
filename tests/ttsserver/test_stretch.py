import numpy as np
import pytest

from bridge.ttsserver.stretch import stretched
from tests.ttsserver.measure import active_level_db, f0_track_hz

RATE = 24000


def voice(seconds: float) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """A buzz at 150 Hz that comes and goes four times a second."""
    t = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 150 * n * t) / n for n in range(1, 12))
    return np.asarray(0.2 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)), np.float32)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3, 2.0])
def test_it_lasts_as_long_as_asked_at_the_same_pitch_and_level(factor: float) -> None:
    sound = voice(2)

    longer = stretched(sound, RATE, factor)

    assert len(longer) == round(len(sound) * factor)
    before, after = ((part * 32767).astype(np.int16) for part in (sound, longer))
    ratio = np.nanmedian(f0_track_hz(after, RATE)) / np.nanmedian(f0_track_hz(before, RATE))
    assert abs(ratio - 1) < 0.02
    assert abs(active_level_db(after, RATE) - active_level_db(before, RATE)) < 1


def test_the_same_length_is_the_same_sound() -> None:
    sound = voice(0.5)

    assert (stretched(sound, RATE, 1.0) == sound).all()


def test_nothing_stays_nothing_and_a_click_is_not_an_error() -> None:
    assert len(stretched(np.zeros(0, np.float32), RATE, 1.5)) == 0
    assert len(stretched(np.ones(10, np.float32), RATE, 1.5)) == 15
