import numpy as np
import pytest

from bridge.plane.codec import ROW_RATES_HZ
from bridge.plane.shape import NARROW, Shape, thin


@pytest.mark.parametrize("rate_hz", ROW_RATES_HZ)
def test_a_frame_is_20_ms_and_rings_hold_whole_frames(rate_hz: int) -> None:
    shape = Shape(rate_hz)

    assert shape.frame * 50 == shape.piece * 200 == rate_hz
    assert 4 <= shape.play / rate_hz < 8
    assert 2 <= shape.capture / rate_hz < 4
    assert shape.play & (shape.play - 1) == shape.capture % shape.frame == 0


def test_a_rate_that_rows_do_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="not 44100"):
        Shape(44100)


def test_thin_sound_is_the_mean_of_each_tick() -> None:
    pcm = np.array([[1, 3, -5, -7, 32767, 32767, 9], [0, 0, 0, 0, -32768, -32768, 9]], np.int16)

    assert thin(pcm, 2).tolist() == [[2, -6, 32767], [0, 0, -32768]]
    assert thin(pcm, NARROW.per_tick) is pcm
