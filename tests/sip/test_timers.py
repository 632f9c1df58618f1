from bridge.sip.timers import Backoff, Timers
from tests.fakes import MS


def due_times(backoff: Backoff, count: int) -> list[int]:
    times = []
    for _ in range(count):
        times.append(backoff.due_ns // MS)
        backoff.advance(now_ns=backoff.due_ns)
    return times


def test_intervals_double_up_to_the_ceiling() -> None:
    backoff = Backoff(first_ns=500 * MS, ceiling_ns=4000 * MS, now_ns=0)

    assert due_times(backoff, 6) == [500, 1500, 3500, 7500, 11500, 15500]


def test_without_a_ceiling_intervals_double_for_ever() -> None:
    backoff = Backoff(first_ns=500 * MS, ceiling_ns=None, now_ns=0)

    assert due_times(backoff, 6) == [500, 1500, 3500, 7500, 15500, 31500]


def test_slowing_down_takes_the_ceiling_from_the_next_time_on() -> None:
    backoff = Backoff(first_ns=500 * MS, ceiling_ns=4000 * MS, now_ns=0)
    backoff.slow_down()

    assert due_times(backoff, 3) == [500, 4500, 8500]
    endless = Backoff(first_ns=500 * MS, ceiling_ns=None, now_ns=0)
    endless.slow_down()
    assert due_times(endless, 2) == [500, 1500]


def test_giving_up_takes_64_round_trips() -> None:
    assert Timers().give_up_ns == 32_000 * MS
    assert Timers(t1_ns=MS).give_up_ns == 64 * MS
