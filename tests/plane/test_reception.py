import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.columns import Columns
from bridge.plane.packets import Arrivals
from bridge.plane.reception import Reception
from bridge.rtp.sequence import ExtendedSequence
from bridge.rtp.stats import InterarrivalJitter
from tests.fakes import MS
from tests.plane.rig import PEER, Rig

ROWS = np.array([1])


def started(sequence: int) -> tuple[Reception, Columns]:
    columns = Columns(bytearray(Columns.size_bytes(2)), 2)
    reception = Reception(columns)
    reception.restart(1, sequence)
    assert reception.account(ROWS, np.array([sequence])).all()
    return reception, columns


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-40, 40), max_size=120))
def test_every_number_is_fresh_once_and_the_rest_is_counted(start: int, ways: list[int]) -> None:
    reception, columns = started(start)
    extended, seen = ExtendedSequence(), {start}
    extended.extend(start)
    duplicates = 0
    for way in ways:
        true = max((extended.highest or 0) + way, start)
        if true < (extended.highest or 0) - 60:
            continue
        extended.extend(true % 2**16)

        fresh = bool(reception.account(ROWS, np.array([true % 2**16]))[0])

        assert fresh is (true not in seen)
        duplicates += not fresh
        seen.add(true)
    assert int(columns.rx_duplicate[1]) == duplicates
    assert int(columns.rx_lost[1]) == (extended.highest or 0) - start + 1 - len(seen)


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 2999), max_size=60))
def test_numbers_are_extended_and_gaps_counted_over_every_wrap(start: int, ways: list[int]) -> None:
    reception, columns = started(start)
    columns.rx_packets[1] = 2
    true = start
    for way in ways:
        true += way
        reception.account(ROWS, np.array([true % 2**16]))
        columns.rx_packets[1] += np.uint64(1)

    # The stream begins with the packet before the first one that was accounted for: it proved the source.
    assert reception.highest(1) == true
    assert reception.expected(ROWS).tolist() == [true - start + 2]
    assert reception.lost(1) == int(columns.rx_lost[1]) == sum(ways) - len(ways)
    assert reception.gaps[1] == sum(way > 1 for way in ways)


def test_expectations_of_several_streams_add_up_and_end_with_the_leg() -> None:
    reception, columns = started(100)
    columns.rx_packets[1] = 2
    reception.account(ROWS, np.array([104]))
    columns.rx_packets[1] = 3

    reception.restart(1, 40_000)
    columns.rx_packets[1] = 5
    reception.account(ROWS, np.array([40_000]))

    assert reception.expected(ROWS).tolist() == [6 + 2]
    assert (reception.lost(1), reception.highest(1), reception.gaps[1]) == (0, 40_000, 1)
    reception.open(1)
    columns.rx_packets[1] = 0
    assert reception.expected(ROWS).tolist() == [0]
    assert (reception.lost(1), reception.gaps[1]) == (0, 0)


def test_a_leap_beyond_the_window_forgets_what_came_before() -> None:
    reception, columns = started(10)

    assert reception.account(ROWS, np.array([200])).all()

    assert int(columns.rx_lost[1]) == 189
    assert reception.step(ROWS, np.array([199])).tolist() == [-1]


def test_numbers_far_from_the_highest_are_not_plausible() -> None:
    steps = np.array([-100, -99, 1, 2999, 3000])

    assert Reception.is_plausible(steps).tolist() == [False, True, True, True, False]


def test_rows_of_one_batch_do_not_disturb_each_other() -> None:
    reception, columns = started(5)
    reception.restart(0, 100)

    fresh = reception.account(np.array([0, 1]), np.array([100, 5]))

    assert fresh.tolist() == [True, False]
    assert columns.rx_duplicate.tolist() == [0, 1]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-90, 90), max_size=80))
def test_jitter_is_what_the_rfc_computes(timestamp: int, offsets_ms: list[int]) -> None:
    reception, columns = started(0)
    alone = InterarrivalJitter(8000)

    for number, offset_ms in enumerate(offsets_ms):
        ticks = (timestamp + 160 * number) % 2**32
        now_ns = (1000 + 20 * number + offset_ms) * MS
        reception.time(ROWS, np.array([ticks]), arrived_ns=np.array([now_ns]))
        alone.observe(ticks, now_ns=now_ns)

    assert columns.jitter_ticks[1] == alone.ticks


def test_a_new_time_line_is_no_jitter() -> None:
    reception, columns = started(0)

    reception.time(ROWS, np.array([0]), arrived_ns=np.array([0]))
    reception.time(ROWS, np.array([8_000_000]), arrived_ns=np.array([20 * MS]))

    assert columns.jitter_ticks[1] == 0


@pytest.mark.parametrize("is_known", [True, False])
def test_a_slow_look_is_no_jitter_where_it_is_known_when_packets_came(is_known: bool) -> None:
    rig, arrivals = Rig(), Arrivals(1)
    for number in range(200):
        # Hardly uneven, but to either side of the moments at which we look.
        came_ns = number * 20 * MS + number % 2 * MS // 10
        rig.now_ns = -(-came_ns // (4 * MS)) * 4 * MS
        arrivals.count = 0
        arrivals.add(rig.packet(), row=rig.row, source=PEER)
        arrivals.waited_ns[0] = rig.now_ns - came_ns if is_known else 0
        rig.plane.receive(arrivals, now_ns=rig.now_ns)

    jitter_ms = float(rig.columns.jitter_ticks[rig.row]) / 8
    assert jitter_ms <= 0.25 if is_known else jitter_ms > 3
