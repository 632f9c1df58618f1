import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.framing import Framer


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def test_frames_come_out_when_they_are_full() -> None:
    framer = Framer(3)

    assert framer.push(pcm(1, 2)) == []
    assert [list(frame) for frame in framer.push(pcm(3, 4, 5, 6, 7))] == [[1, 2, 3], [4, 5, 6]]
    assert framer.sound_end == 7
    assert list(framer.pad()) == [7, 0, 0]
    assert framer.late_samples == 2


def test_silence_put_in_is_taken_back_from_the_pause_that_follows() -> None:
    framer = Framer(4)
    framer.push(pcm(1, 2))
    framer.pad()
    framer.pad()

    first = framer.push(pcm(0, 0, 0))
    second = framer.push(pcm(0, 0, 0, 0, 9))

    assert first == []
    assert [list(frame) for frame in second] == []
    assert framer.late_samples == 0
    assert list(framer.pad()) == [0, 9, 0, 0]


def test_where_no_pause_follows_the_silence_stays_until_the_next_seam() -> None:
    framer = Framer(2)
    framer.push(pcm(1))
    framer.pad()

    framer.push(pcm(2, 0, 3))
    assert framer.late_samples == 1
    framer.pad()
    assert framer.late_samples == 2
    framer.push(pcm(0, 0, 0))

    assert framer.late_samples == 0
    assert framer.sound_end == 7


def test_zeros_in_the_middle_of_a_sentence_are_sound() -> None:
    framer = Framer(2)

    frames = framer.push(pcm(0, 0, 0, 1))

    assert [list(frame) for frame in frames] == [[0, 0], [0, 1]]


@given(st.binary(max_size=400), st.lists(st.integers(0, 90), max_size=8))
def test_how_a_stream_is_torn_does_not_matter(data: bytes, cuts: list[int]) -> None:
    whole, torn = Framer(7), Framer(7)
    at, pieces = 0, []
    for size in [*cuts, len(data)]:
        pieces += torn.push(data[at : at + size])
        at += size

    expected = whole.push(data)

    assert [list(frame) for frame in pieces] == [list(frame) for frame in expected]
    assert list(torn.pad()) == list(whole.pad())
