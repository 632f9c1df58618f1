"""Nobody is left waiting for an answer that a dead process owed."""

import pytest

from bridge.engine.commands import (
    CloseRow,
    FlushRow,
    OpenRow,
    PressKeys,
    ReleaseKeys,
    SetBed,
    SetInterruptible,
    SetSensitivity,
    StopBed,
    UpdateRow,
)
from bridge.engine.dues import Dues, Settlement
from bridge.plane.columns import Columns
from bridge.plane.events import (
    Digit,
    Ducked,
    Flushed,
    KeysSent,
    PlaneEvent,
    Resumed,
    VoiceStarted,
    VoiceStopped,
)
from bridge.plane.floor import DUCKED, SPEAKING
from tests.engine.fake_plane import spec

ROW, GENERATION = 1, 7
NOW_NS = 123


class Ledger:
    def __init__(self) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(2)), 2)
        self.dues = Dues(ROW, GENERATION)
        self.opening = OpenRow(ROW, 2, spec(GENERATION))
        self.dues.order(self.opening)
        self.columns.generation[ROW] = GENERATION

    def press(self, ticket: int, digits: str) -> PressKeys:
        order = PressKeys(ROW, GENERATION, ticket, duration_ms=100, pause_ms=80, digits=digits)
        self.dues.order(order)
        return order

    def settle(self) -> Settlement:
        settlement = self.dues.settle(self.columns, ROW, now_ns=NOW_NS)
        assert settlement is not None
        return settlement

    def told(self) -> list[PlaneEvent]:
        """What the owner hears when this is settled."""
        return [self.dues.tell(event) for event in self.settle().events]


def flushed(epoch: int, *, position: int = 0, at_ns: int = 0, cause: str = "command") -> Flushed:
    return Flushed(ROW, GENERATION, at_ns, position, epoch, at_ns, cause)  # type: ignore[arg-type]


def keys(ticket: int, count: int, *, at_ns: int = 0) -> KeysSent:
    return KeysSent(ROW, GENERATION, at_ns, ticket=ticket, count=count)


def test_a_leg_that_was_never_opened_owes_and_is_owed_nothing() -> None:
    dues = Dues(ROW, GENERATION)
    dues.order(UpdateRow(ROW, spec(GENERATION)))
    dues.order(SetInterruptible(ROW, GENERATION, 1))

    assert dues.settle(Columns(bytearray(Columns.size_bytes(2)), 2), ROW, now_ns=0) is None


def test_the_row_is_opened_as_it_was_last_agreed() -> None:
    ledger = Ledger()
    ledger.dues.order(UpdateRow(ROW, spec(GENERATION, remote_key=5, sending=False)))
    ledger.dues.order(SetInterruptible(ROW, GENERATION, 2))
    ledger.dues.order(CloseRow(ROW, GENERATION))

    (order,) = ledger.settle().orders

    assert isinstance(order, OpenRow)
    assert (order.row, order.fds) == (ROW, 2)
    assert (order.spec.remote_key, order.spec.sending, order.spec.interruptible) == (5, False, 2)


def test_a_flush_that_was_not_carried_out_is_ordered_again() -> None:
    ledger = Ledger()
    ledger.dues.order(FlushRow(ROW, GENERATION))

    settlement = ledger.settle()

    assert settlement.orders == [ledger.opening, FlushRow(ROW, GENERATION)]
    assert settlement.events == []


def test_a_flush_that_was_carried_out_and_not_told_is_told() -> None:
    ledger = Ledger()
    ledger.dues.order(FlushRow(ROW, GENERATION))
    ledger.columns.epoch[ROW], ledger.columns.flush_position[ROW] = 1, 480
    ledger.columns.flush_cause[ROW] = 2

    settlement = ledger.settle()

    assert settlement.orders == [ledger.opening]
    assert settlement.events == [flushed(1, position=480, at_ns=NOW_NS)]
    assert ledger.told() == settlement.events
    assert ledger.settle().events == []


def test_a_callers_flush_does_not_answer_an_agents() -> None:
    ledger = Ledger()
    ledger.dues.order(FlushRow(ROW, GENERATION))
    ledger.columns.epoch[ROW] = 1

    settlement = ledger.settle()

    assert settlement.events == [flushed(1, at_ns=NOW_NS, cause="speech")]
    assert settlement.orders == [ledger.opening, FlushRow(ROW, GENERATION)]


def test_a_cause_that_is_none_counts_as_a_command() -> None:
    ledger = Ledger()
    ledger.columns.epoch[ROW], ledger.columns.flush_cause[ROW] = 1, 99

    assert ledger.settle().events == [flushed(1, at_ns=NOW_NS)]


def test_a_flush_that_was_told_is_over() -> None:
    ledger = Ledger()
    ledger.dues.order(FlushRow(ROW, GENERATION))
    ledger.columns.epoch[ROW] = 1

    ledger.dues.tell(flushed(1))

    assert ledger.settle() == Settlement([ledger.opening], [])


def test_a_voice_that_was_under_way_is_over_for_its_hearers() -> None:
    ledger = Ledger()
    ledger.dues.tell(VoiceStarted(ROW, GENERATION, 0, onset_ns=0))

    assert ledger.told() == [VoiceStopped(ROW, GENERATION, NOW_NS, ended_ns=NOW_NS)]
    assert ledger.told() == []


@pytest.mark.parametrize(("state", "ends"), [(SPEAKING, True), (DUCKED, False)])
def test_a_duck_is_ended_by_whoever_finds_it(state: int, ends: bool) -> None:
    ledger = Ledger()
    ledger.dues.tell(Ducked(ROW, GENERATION, 0, position=1, onset_ns=0, gate_ns=0))
    ledger.columns.floor_state[ROW], ledger.columns.played[ROW] = state, 320

    told = ledger.told()

    assert told == ([Resumed(ROW, GENERATION, NOW_NS, position=320)] if ends else [])


def test_a_duck_that_ended_is_not_ended_again() -> None:
    for end in (Resumed(ROW, GENERATION, 0, position=0), flushed(0)):
        ledger = Ledger()
        ledger.dues.tell(Ducked(ROW, GENERATION, 0, position=1, onset_ns=0, gate_ns=0))
        ledger.dues.tell(VoiceStarted(ROW, GENERATION, 0, onset_ns=0))
        ledger.dues.tell(VoiceStopped(ROW, GENERATION, 0, ended_ns=0))

        ledger.dues.tell(end)

        assert ledger.settle().events == []


def test_keys_that_were_not_pressed_yet_are_pressed_and_all_are_counted() -> None:
    ledger = Ledger()
    first, second = ledger.press(1, "1234"), ledger.press(2, "56")
    ledger.columns.tx_keys[ROW] = 3

    orders = ledger.settle().orders
    told = [ledger.dues.tell(keys(1, 1)), ledger.dues.tell(keys(2, 2))]

    assert orders == [
        ledger.opening,
        PressKeys(ROW, GENERATION, 1, first.duration_ms, first.pause_ms, "4"),
        second,
    ]
    assert told == [keys(1, 4), keys(2, 2)]


def test_keys_of_two_deaths_are_counted_once() -> None:
    ledger = Ledger()
    ledger.press(1, "12345")
    ledger.columns.tx_keys[ROW] = 2
    ledger.settle()
    ledger.columns.tx_keys[ROW] = 4

    (_, order) = ledger.settle().orders
    told = ledger.dues.tell(keys(1, 1))
    ledger.columns.tx_keys[ROW] = 5
    ledger.press(2, "6")

    assert isinstance(order, PressKeys)
    assert order.digits == "5"
    assert told == keys(1, 5)
    assert ledger.settle().orders[1:] == [PressKeys(ROW, GENERATION, 2, 100, 80, "6")]


def test_keys_that_were_all_pressed_or_called_off_are_told() -> None:
    ledger = Ledger()
    ledger.press(1, "12")
    ledger.press(2, "345")
    ledger.dues.order(ReleaseKeys(ROW, GENERATION))
    ledger.columns.tx_keys[ROW] = 3

    assert ledger.told() == [keys(1, 2, at_ns=NOW_NS), keys(2, 1, at_ns=NOW_NS)]
    assert ledger.settle() == Settlement([ledger.opening], [])


def test_a_row_that_was_not_yet_opened_is_opened_with_all_that_was_ordered() -> None:
    ledger = Ledger()
    ledger.columns.generation[ROW] = 0
    ledger.columns.epoch[ROW] = 9
    ledger.dues.order(FlushRow(ROW, GENERATION))
    order = ledger.press(1, "1")

    assert ledger.settle() == Settlement([ledger.opening, FlushRow(ROW, GENERATION), order], [])


def test_other_reports_and_answers_to_nobody_pass_as_they_are() -> None:
    ledger = Ledger()

    for event in (Digit(ROW, GENERATION, 0, "1", 80), keys(44, 1)):
        assert ledger.dues.tell(event) == event


def test_the_last_bed_is_laid_again_and_none_that_was_lifted() -> None:
    ledger = Ledger()
    first, last = (SetBed(ROW, GENERATION, number, 8000, -6, -12, yields=True) for number in (3, 4))
    ledger.dues.order(first)
    ledger.dues.order(last)

    assert ledger.settle().orders == [ledger.opening, last]
    ledger.dues.order(StopBed(ROW, GENERATION))
    assert ledger.settle().orders == [ledger.opening]


def test_a_row_is_as_sensitive_as_it_was_told_last() -> None:
    ledger = Ledger()
    ledger.dues.order(SetSensitivity(ROW, GENERATION, 2))

    (order,) = ledger.settle().orders

    assert isinstance(order, OpenRow)
    assert order.spec.sensitivity == 2
