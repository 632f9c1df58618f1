import numpy as np
import pytest

from bridge.media.l16 import L16Decoder, L16Encoder


def test_the_high_byte_comes_first() -> None:
    assert L16Encoder().encode(np.array([0x1234, -2], np.int16)) == b"\x12\x34\xff\xfe"


def test_what_was_said_is_heard_bit_for_bit() -> None:
    said = np.array([-32768, -1, 0, 1, 32767], np.int16)

    ((timestamp, heard),) = L16Decoder().receive(7, 900, L16Encoder().encode(said))

    assert timestamp == 900
    assert heard.dtype == np.int16
    assert heard.dtype.isnative
    assert np.array_equal(heard, said)


def test_half_a_sample_is_no_l16() -> None:
    with pytest.raises(ValueError, match="of 3 bytes ends in the middle"):
        L16Decoder().receive(7, 900, b"abc")


def test_it_has_nothing_to_make_up_lost_sound_from() -> None:
    assert L16Decoder().conceal(160) is None
    assert not L16Decoder().carried_lost
