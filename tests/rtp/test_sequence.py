from hypothesis import given
from hypothesis import strategies as st

from bridge.rtp.sequence import SEQUENCE_TURN, TIMESTAMP_TURN, ExtendedSequence, is_newer, step

SEQUENCES = st.integers(0, SEQUENCE_TURN - 1)


def test_zero_comes_after_the_highest_number() -> None:
    assert step(0xFFFF, 0) == 1
    assert is_newer(0, 0xFFFF)
    assert not is_newer(0xFFFF, 0)
    assert not is_newer(5, 5)


def test_timestamps_wrap_at_their_own_width() -> None:
    assert step(TIMESTAMP_TURN - 160, 0, TIMESTAMP_TURN) == 160


@given(SEQUENCES, st.integers(-(SEQUENCE_TURN // 2), SEQUENCE_TURN // 2 - 1))
def test_a_step_leads_from_one_number_to_the_other(before: int, way: int) -> None:
    assert step(before, (before + way) % SEQUENCE_TURN) == way


@given(SEQUENCES, st.lists(st.integers(-99, 2999), max_size=200))
def test_extended_numbers_follow_the_source_through_any_number_of_wraps(start: int, ways: list[int]) -> None:
    extended = ExtendedSequence()
    assert extended.extend(start) == start
    highest = start
    for way in ways:
        true = max(highest + way, 0)
        assert extended.extend(true % SEQUENCE_TURN) == true

        highest = max(highest, true)
        assert extended.highest == highest
