import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rtp.stats import InterarrivalJitter
from tests.fakes import MS, ManualClock


def test_a_clock_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="clock_rate must be positive, not 0"):
        InterarrivalJitter(0)


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 10**15))
def test_even_arrival_has_no_jitter_wherever_the_clocks_stand(timestamp: int, now_ns: int) -> None:
    jitter = InterarrivalJitter(8000)

    for packet in range(100):
        jitter.observe((timestamp + 160 * packet) % 2**32, now_ns=now_ns + 20 * MS * packet)

    assert jitter.ticks == 0


def test_one_packet_8_ms_late_counts_a_sixteenth_of_64_ticks() -> None:
    clock, jitter = ManualClock(), InterarrivalJitter(8000)

    jitter.observe(0, now_ns=clock.now_ns())
    jitter.observe(160, now_ns=clock.advance(28))

    assert jitter.ticks == 4
