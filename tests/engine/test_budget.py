import pytest

from bridge.engine.budget import LIMIT, SLOT_WORK, Budget, Costs, weight_of
from bridge.plane.codec import L16_16K

S = 1_000_000_000
COSTS = Costs(tick_ns=400_000, pair_ns=10_000)
"""A fiftieth of a core for each tick in 20 ms, and a twentieth of a percent for each call."""


def test_the_number_admitted_is_the_largest_within_the_limit() -> None:
    assert COSTS.share(0) == pytest.approx(0.02)
    assert COSTS.share(SLOT_WORK) == pytest.approx(0.02 + SLOT_WORK * 0.0005)
    assert COSTS.share(SLOT_WORK + 1) == pytest.approx(0.04 + (SLOT_WORK + 1) * 0.0005)
    assert COSTS.share(2000) == pytest.approx(0.1 + 1)
    assert COSTS.calls == 1300
    assert COSTS.share(COSTS.calls) <= LIMIT < COSTS.share(COSTS.calls + 1)
    assert Budget(COSTS).calls == COSTS.calls


def test_a_machine_that_seemed_too_slow_for_any_call_takes_a_few() -> None:
    slow = Costs(tick_ns=4_000_000, pair_ns=10_000)

    assert slow.calls == Budget(slow).calls == 0
    assert Budget(slow).fits(50)
    assert not Budget(slow).fits(51)


def test_before_anything_was_measured_everything_fits() -> None:
    budget = Budget()
    budget.take(5000)
    for second in range(0, 9, 3):
        budget.observe(second * S, now_ns=second * S)

    assert budget.fits(1e6)
    assert budget.calls == 0
    budget.begin(COSTS)
    assert not budget.fits(1)


@pytest.mark.parametrize(
    ("rate_hz", "codec", "weight"),
    [(8000, None, 1), (16_000, None, 5.5), (24_000, None, 24), (16_000, L16_16K, 3)],
)
def test_dearer_codecs_weigh_more(rate_hz: int, codec: int | None, weight: float) -> None:
    assert weight_of(rate_hz, codec) == weight
    assert weight_of(rate_hz, codec, is_encrypted=True) == pytest.approx(weight + 0.8)


def test_a_call_that_does_not_fit_is_refused_until_another_ends() -> None:
    budget = Budget(COSTS)
    budget.take(1299)

    assert budget.fits(1)
    budget.take(1)
    assert not budget.fits(0.1)
    budget.give_back(20)
    assert budget.fits(20)
    assert not budget.fits(20.5)
    assert budget.share == pytest.approx(COSTS.share(1280))


def test_what_calls_really_take_counts_for_more_than_what_was_measured_at_the_start() -> None:
    budget = Budget(COSTS)
    budget.take(800)

    cpu_ns = 0
    for second in range(0, 60, 3):
        budget.observe(cpu_ns, now_ns=second * S)
        cpu_ns += int(3 * S * 0.75)  # Half as much again as planned.

    assert budget.share == pytest.approx(0.75, rel=0.01)
    assert budget.calls == pytest.approx(800, abs=5)
    assert not budget.fits(10)


def test_a_machine_quicker_than_it_seemed_takes_more() -> None:
    budget = Budget(COSTS)
    budget.take(1000)

    for second in range(0, 60, 3):
        budget.observe(int(second * S * 0.3), now_ns=second * S)

    assert budget.share == pytest.approx(0.3, rel=0.01)
    assert budget.calls > 1300


def test_few_calls_teach_nothing_and_no_moment_is_looked_at_twice() -> None:
    budget = Budget(COSTS)
    budget.take(10)
    for second in range(0, 30, 3):
        budget.observe(int(second * S * 0.9), now_ns=second * S)
    assert budget.calls == COSTS.calls

    busy = Budget(COSTS)
    busy.take(1000)
    busy.observe(0, now_ns=0)
    busy.observe(S, now_ns=S)
    assert busy.calls == COSTS.calls


def test_one_odd_reading_cannot_close_the_house() -> None:
    budget = Budget(COSTS)
    budget.take(1000)
    budget.observe(0, now_ns=0)
    budget.observe(1000 * S, now_ns=2 * S)

    assert budget.calls > 100


def test_what_was_never_taken_cannot_be_given_back() -> None:
    budget = Budget(COSTS)
    budget.give_back(5)

    assert budget.planned == 0
