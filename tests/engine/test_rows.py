import pytest

from bridge.engine.rows import FreeRows


def test_rows_are_handed_out_by_rate_and_numbered_through() -> None:
    free = FreeRows(2, 3)

    assert [free.take(8000), free.take(16000), free.take(24000), free.take(48000)] == [0, 2, 5, 8]
    assert len(free) == 7


def test_the_row_longest_free_goes_first() -> None:
    free = FreeRows(1, 2)
    first = free.take(16000)

    free.append(first)

    assert [free.take(16000), free.take(16000)] == [2, first]
    assert not free.has(16000)


def test_a_rate_without_rows_has_none_left() -> None:
    free = FreeRows(1, 0)

    assert free.has(8000)
    assert not free.has(48000)
    with pytest.raises(LookupError):
        free.take(48000)
