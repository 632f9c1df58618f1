from dataclasses import replace

import pytest

from tests.bench.ledger import CallAccount, Ledger, slope_per_hour

GOOD = CallAccount(
    said=1000,
    carried=983,
    carried_unique=980,
    span=998,
    strangers=4,
    heard=1010,
    heard_unique=1010,
    heard_lost=0,
    heard_strange=0,
    rx_packets=983,
    rx_late=5,
    rx_duplicate=3,
    rx_lost=18,
    rx_stranger=4,
    rx_malformed=0,
    tx_packets=1010,
)


def test_a_call_whose_packets_add_up_has_no_faults() -> None:
    ledger = Ledger()

    ledger.add(GOOD)
    ledger.add(GOOD)

    assert GOOD.faults() == {}
    assert ledger.balance == 0
    assert (ledger.calls, ledger.faulty_calls) == (2, 0)
    assert (ledger.sent, ledger.in_time, ledger.late, ledger.duplicate) == (2014, 1950, 10, 6)
    assert (ledger.stranger, ledger.lost, ledger.lost_at_the_edges) == (8, 36, 4)
    assert (ledger.built, ledger.heard) == (2020, 2020)


def test_every_kind_of_disagreement_has_a_name() -> None:
    assert replace(GOOD, rx_packets=981).faults() == {"in": 2}
    assert replace(GOOD, rx_stranger=5).faults() == {"in": -1}
    assert replace(GOOD, rx_lost=17).faults() == {"lost": 1}
    assert replace(GOOD, rx_duplicate=4).faults() == {"duplicates": -1}
    assert replace(GOOD, tx_packets=1011).faults() == {"out": 1}
    assert replace(GOOD, heard=1012, tx_packets=1012).faults() == {"heard twice": 2}
    assert replace(GOOD, heard_lost=1).faults() == {"lost on the way back": 1}
    assert replace(GOOD, heard_strange=1).faults() == {"of another call": 1}


def test_what_is_missing_here_is_not_made_good_by_too_much_there() -> None:
    ledger = Ledger()

    ledger.add(replace(GOOD, rx_packets=981))
    ledger.add(replace(GOOD, rx_packets=985))

    assert ledger.balance == 0
    assert ledger.faulty_calls == 2
    assert ledger.faults == {"in": 4}


def test_the_slope_is_of_the_last_two_thirds_and_by_the_hour() -> None:
    seconds = [float(at) for at in range(0, 900, 10)]
    values = [100.0 if at < 300 else 50 + at / 3600 for at in seconds]

    assert slope_per_hour(seconds, values) == pytest.approx(1)
    assert slope_per_hour([5.0], [7.0]) == 0
    assert slope_per_hour([], []) == 0
