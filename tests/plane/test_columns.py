import mmap

import numpy as np
import pytest

from bridge.plane.columns import CAPTURE_SAMPLES, COUNTERS, PLAY_SAMPLES, Columns


def test_all_columns_lie_apart_and_inside_the_memory() -> None:
    size = Columns.size_bytes(3)
    columns = Columns(bytearray(size), 3)
    arrays = [value for value in vars(columns).values() if isinstance(value, np.ndarray)]

    for number, array in enumerate(arrays):
        array[...] = number + 1

    assert all((array == number + 1).all() for number, array in enumerate(arrays))
    assert sum(array.nbytes for array in arrays) <= size
    assert columns.play_samples.shape == (3, PLAY_SAMPLES)
    assert columns.capture.shape == (3, 2, CAPTURE_SAMPLES)


def test_words_are_aligned_so_that_no_store_is_torn() -> None:
    columns = Columns(bytearray(Columns.size_bytes(5)), 5)

    for name, value in vars(columns).items():
        if isinstance(value, np.ndarray):
            base = columns.play_stamp.ctypes.data
            assert (value.ctypes.data - base) % 64 == 0, name


def test_both_sides_of_a_mapping_see_the_same_row() -> None:
    memory = mmap.mmap(-1, Columns.size_bytes(2))
    mine, theirs = Columns(memory, 2), Columns(memory, 2)

    mine.rx_lost[1] = 42

    assert theirs.counters(1)["rx_lost"] == 42
    assert set(theirs.counters(0)) == set(COUNTERS)


def test_clearing_a_row_leaves_its_neighbour_alone() -> None:
    columns = Columns(bytearray(Columns.size_bytes(2)), 2)
    columns.play_samples[...] = 5
    columns.epoch[...] = 3

    columns.clear(0)

    assert not columns.play_samples[0].any()
    assert columns.play_samples[1].all()
    assert columns.epoch.tolist() == [0, 3]


def test_memory_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 rows need \d+ bytes, not 10"):
        Columns(bytearray(10), 2)
