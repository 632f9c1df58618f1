import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.jitter import DelayNeed
from bridge.plane.spec import PlaneSettings

ROWS = np.array([1])
MS = 8


def after(*transits_ms: float, share: float = 0.01, base: int = 10**9) -> DelayNeed:
    delays = DelayNeed(2, PlaneSettings(late_share=share))
    delays.begin(ROWS, np.array([base + int(transits_ms[0] * MS)]))
    hear(delays, transits_ms, base)
    return delays


def hear(delays: DelayNeed, transits_ms: "tuple[float, ...] | list[float]", base: int = 10**9) -> None:
    for transit in transits_ms:
        delays.observe(ROWS, np.array([base + int(transit * MS)]))
    delays.review(ROWS)


def need_ms(delays: DelayNeed) -> float:
    """Beyond a transit of 0."""
    return float(delays.need[1] - 10**9) / MS


def test_a_steady_network_needs_no_delay_but_the_grain_of_a_clock() -> None:
    delays = after(*[5.0] * 100)

    assert 5 <= need_ms(delays) <= 7
    assert delays.base[1] == 10**9 + 5 * MS


def test_the_need_is_what_all_but_a_few_packets_stay_under() -> None:
    transits = np.random.default_rng(1).permutation(np.arange(1000) / 10).tolist()

    assert need_ms(after(*transits, share=0.01)) == pytest.approx(99, abs=3)
    assert need_ms(after(*transits, share=0.2)) == pytest.approx(80, abs=4)


def test_a_step_up_is_followed_within_a_few_packets() -> None:
    delays = after(*[0.0] * 1500)

    hear(delays, [80.0] * 10)

    assert need_ms(delays) >= 80


def test_a_step_down_is_followed_calmly() -> None:
    delays = after(*[80.0] * 1000)

    hear(delays, [0.0] * 300)
    soon = need_ms(delays)
    hear(delays, [0.0] * 600)

    assert soon >= 80
    assert need_ms(delays) < 10


@pytest.mark.parametrize("step_ms", [-90.0, -500.0, 150.0])
def test_a_step_out_of_sight_is_found_again(step_ms: float) -> None:
    delays = after(*[0.0] * 1000)

    for _ in range(60):
        hear(delays, [step_ms] * 50)

    assert need_ms(delays) == pytest.approx(step_ms, abs=4)
    assert delays.base[1] == pytest.approx(10**9 + step_ms * MS, abs=3 * MS)


def test_what_nobody_would_wait_for_does_not_count() -> None:
    delays = after(*[0.0] * 100)

    hear(delays, [201.0] * 20)

    assert need_ms(delays) <= 2
    assert delays.seen[1] == 100


def test_drift_is_followed() -> None:
    delays = after(0.0)

    for number in range(400):
        hear(delays, [number * 1.0] * 50)

    assert need_ms(delays) == pytest.approx(399, abs=8)


def test_a_new_time_line_keeps_what_is_known_of_the_jitter() -> None:
    delays = after(*([0.0, 30.0] * 100))
    before = delays.need[1] - delays.base[1]

    delays.begin(ROWS, np.array([-5000]))
    delays.observe(ROWS, np.array([-5000]))
    delays.review(ROWS)

    assert delays.base[1] == pytest.approx(-5000, abs=MS)
    assert delays.need[1] - delays.base[1] == pytest.approx(before, abs=MS)


def test_a_restart_forgets_the_network() -> None:
    delays = after(*([0.0, 30.0] * 100))

    delays.restart(1)
    delays.begin(ROWS, np.array([0]))
    delays.observe(ROWS, np.array([0]))
    delays.review(ROWS)

    assert delays.need[1] <= 3 * MS
    assert delays.seen[1] == 1


def test_weights_stay_in_bounds_for_ever() -> None:
    delays = after(*[1.0] * 20_000)

    assert delays._weight[1] < 2e4
    assert 1 <= need_ms(delays) <= 4


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=60))
def test_any_transit_is_taken(transits: list[int]) -> None:
    delays = DelayNeed(2, PlaneSettings())
    delays.begin(ROWS, np.array(transits[:1]))

    for transit in transits:
        delays.observe(ROWS, np.array([transit]))
        delays.review(ROWS)

    assert delays.base[1] <= delays.need[1]
