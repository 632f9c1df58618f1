import pytest

from tests.bench.saturation import Search, bears


def answer(search: Search, limit: int, *, unlucky: frozenset[int] = frozenset()) -> tuple[int, int]:
    """Search a carrier that bears `limit` calls; runs whose index is unlucky fail. Return best and runs."""
    runs = 0
    while (count := search.next) is not None:
        search.note(count, carried=count <= limit and runs not in unlucky)
        runs += 1
        assert runs < 60
    return search.best, runs


@pytest.mark.parametrize("limit", [7, 90, 400, 1234])
def test_the_limit_is_found_to_a_twentieth(limit: int) -> None:
    best, runs = answer(Search(start=100, most=5000), limit)

    assert limit * 0.94 - 1 <= best <= limit
    assert runs < 30


def test_one_bad_moment_is_no_failure() -> None:
    best, _ = answer(Search(start=100, most=5000), 300, unlucky=frozenset({0, 2, 5}))

    assert 280 <= best <= 300


def test_the_generator_bounds_the_search() -> None:
    best, _ = answer(Search(start=100, most=250), 1000)

    assert best == 250


def test_a_carrier_that_bears_nothing_is_found_out() -> None:
    best, _ = answer(Search(start=8, most=100), 0)

    assert best == 0


def test_a_run_is_carried_when_it_is_punctual_and_whole() -> None:
    good = {"lateness": {"p99_ms": 19.9}, "lost": 0, "lost_in": 0, "received_share": 0.996}

    assert bears(good)
    assert not bears({**good, "lost": 1})
    assert not bears({**good, "lost_in": 1})
    assert not bears({**good, "received_share": 0.99})
    assert not bears({**good, "lateness": {"p99_ms": 20.1}})
