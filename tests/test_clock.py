"""Two clocks, read as if at once."""

import time

from bridge.clock import unix_offset_ns

S = 1_000_000_000


def test_a_reading_that_was_held_up_does_not_count() -> None:
    readings = iter([(90_000_000, 45_000_000), (200, 7), (80, 5), (100, 6), (4_000, 2_000)])

    assert unix_offset_ns(lambda: next(readings)) == 5


def test_it_makes_the_present_of_monotonic_time() -> None:
    assert abs(time.monotonic_ns() + unix_offset_ns() - time.time_ns()) < 60 * S
