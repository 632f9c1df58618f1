import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.bed import Bed

SOUND = np.array([100, -200, 300], np.int16)


@pytest.mark.parametrize(
    ("volume", "heard"),
    [(50, [100, -200, 300]), (0, [0, 0, 0]), (100, [200, -400, 600]), (25, [50, -100, 150])],
)
def test_volume_is_linear_and_fifty_is_as_it_is(volume: int, heard: list[int]) -> None:
    assert Bed(SOUND, volume).mix(np.zeros(3, np.int16)).tolist() == heard


def test_the_sound_begins_again_when_it_ends() -> None:
    bed = Bed(SOUND, 50)

    assert bed.mix(np.ones(4, np.int16)).tolist() == [101, -199, 301, 101]
    assert bed.mix(np.ones(2, np.int16)).tolist() == [-199, 301]


def test_what_is_too_loud_stops_at_full_scale() -> None:
    loud = np.array([30000, -30000], np.int16)

    assert Bed(loud, 100).mix(loud).tolist() == [32767, -32768]


def test_no_sound_is_silence() -> None:
    assert Bed(np.zeros(0, np.int16), 50).mix(SOUND).tolist() == SOUND.tolist()


@pytest.mark.parametrize("volume", [-1, 101])
def test_a_volume_out_of_range_is_refused(volume: int) -> None:
    with pytest.raises(ValueError, match=f"0 to 100, not {volume}"):
        Bed(SOUND, volume)


@given(st.lists(st.integers(0, 9), max_size=8))
def test_how_the_speech_is_torn_does_not_matter(sizes: list[int]) -> None:
    speech = np.arange(sum(sizes), dtype=np.int16)
    torn = Bed(SOUND, 70)

    pieces = [torn.mix(piece) for piece in np.split(speech, np.cumsum(sizes))]

    assert np.concatenate(pieces).tolist() == Bed(SOUND, 70).mix(speech).tolist()
