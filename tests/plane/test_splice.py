import numpy as np
import pytest

from bridge.plane.splice import LONGEST_PERIOD, SEEN_SAMPLES, blend, periods_ahead
from tests.plane.rig import hiss
from tests.plane.test_conceal import tone


@pytest.mark.parametrize("period", [30, 64, 100, 120])
def test_the_next_place_where_a_voice_repeats_is_found(period: int) -> None:
    found = int(periods_ahead(tone(SEEN_SAMPLES, period)[None, :])[0])

    assert found % period == 0
    assert found > 0


def test_a_sound_that_does_not_repeat_is_left_alone() -> None:
    noise = hiss(SEEN_SAMPLES, level_db=-20)

    assert periods_ahead(noise[None, :]).tolist() == [0]


def test_in_what_nobody_hears_any_place_will_do() -> None:
    noise = hiss(SEEN_SAMPLES, level_db=-65)

    assert periods_ahead(noise[None, :]).tolist() == [LONGEST_PERIOD]


def test_a_blend_begins_as_the_old_and_ends_as_the_new_without_a_step() -> None:
    old, new = np.full((1, 160), 1000, np.int16), np.full((1, 160), -1000, np.int16)

    blended = blend(old, new)[0].astype(int)

    assert 970 < blended[0] < 1000
    assert (blended[80:] == -1000).all()
    assert np.abs(np.diff(blended)).max() < 30
    assert (new == -1000).all()
