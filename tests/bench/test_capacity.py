import pytest

from tests.bench.capacity import Cell, cost_line
from tests.bench.stand import Run


def run(
    cpu_ms: float = 0.5, p99_ms: float = 1.0, *, legs: int = 1000, sent: float = 1.0, lost: int = 0
) -> Run:
    return Run(
        carrier="engine",
        legs=legs,
        seconds=10,
        cpu_ms_per_call_s=cpu_ms,
        far_end={
            "sent_share": sent,
            "legs_heard": legs,
            "lost": lost,
            "lost_in": 0,
            "lateness": {"p99_ms": p99_ms},
        },
        probe={"p99_ms": 0.25},
        realtime=True,
        exact=True,
    )


def test_the_median_run_is_chosen_by_what_is_late_on_our_account() -> None:
    cell = Cell(1000, True, "basic", [run(0.5, 9.25), run(0.6, 1.25), run(0.7, 2.25)])

    assert cell.cost_ms == 0.6
    assert cell.core_percent == 60
    assert cell.middle is cell.runs[2]
    assert cell.as_json()["median_excess_ms"] == 2
    assert list(cell.verdicts().values()) == [True, True, True]


def test_a_run_whose_generator_failed_is_counted_and_repeated_but_not_for_ever() -> None:
    cell = Cell(1000, True, "basic", [run(sent=0.99), run()])

    assert (len(cell.valid), cell.discarded) == (1, 1)
    assert cell.wants(2)
    assert not cell.wants(1)

    cell.runs += [run(sent=0.5)] * 3

    assert not cell.wants(2)


def test_what_misses_a_goal_is_told() -> None:
    cell = Cell(1000, True, "all", [run(0.86, 3.5, lost=1)])

    assert list(cell.verdicts().values()) == [False, False, False]
    assert Cell(500, True, "all", [run(legs=500)]).verdicts() == {}
    assert Cell(1000, False, "all", [run()]).verdicts() == {}


def test_a_cell_without_a_valid_run_says_nothing() -> None:
    cell = Cell(1000, True, "basic", [run(sent=0.1)])

    told = cell.as_json()
    assert cell.middle is None
    assert told["cpu_ms_per_call_s"] is None
    assert told["goals"] == {}


def test_the_cost_is_a_part_for_each_tick_and_one_for_each_call() -> None:
    ticks = {200: 2, 500: 3, 1000: 5}
    cells = [
        Cell(legs, True, "basic", [run(15 * count / legs + 0.4, legs=legs)]) for legs, count in ticks.items()
    ]

    line = cost_line(cells)

    assert line == pytest.approx((1.5, 0.04))
    assert cost_line(cells[:1]) is None
    assert cost_line([]) is None
