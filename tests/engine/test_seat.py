from typing import cast

from bridge.engine.child import MediaProcess
from bridge.engine.commands import CloseRow, Command, FlushRow, HandKey, OpenRow, RowClosed, RowOpened
from bridge.engine.seat import Seat
from bridge.engine.shared import SharedMemory
from bridge.plane.events import RowFailed
from tests.engine.fake_plane import spec


class Carrier:
    """A media process that remembers what it was given."""

    def __init__(self) -> None:
        self.told: list[Command] = []
        self.memory: SharedMemory | None = None
        self.is_alive = True

    def carry(self, memory: SharedMemory, *, place: int) -> None:
        self.memory = memory

    def send(self, command: Command, fds: tuple[int, ...] = ()) -> None:
        self.told.append(command)

    def abandon(self) -> None:
        self.is_alive = False

    async def stop(self) -> None:
        self.is_alive = False


def seated() -> tuple[Seat, Carrier]:
    seat, carrier = Seat(4), Carrier()
    seat.sit(cast("MediaProcess", carrier))
    return seat, carrier


def replace_process(seat: Seat) -> Carrier:
    seat.vacate()
    heir = Carrier()
    seat.sit(cast("MediaProcess", heir))
    return heir


def test_the_memory_stays_when_the_process_changes() -> None:
    seat, carrier = seated()
    seat.memory.columns.played[1] = 5

    heir = replace_process(seat)

    assert not carrier.is_alive
    assert heir.memory is carrier.memory is seat.memory
    assert seat.memory.columns.played[1] == 5


def test_a_row_is_free_when_the_process_has_closed_it_and_not_before() -> None:
    seat, _ = seated()
    row = seat.free_rows.take(8000)
    seat.send(OpenRow(row, 0, spec(3)))
    seat.note(RowOpened(row, 3))
    assert (seat.load, seat.is_busy) == (1, True)

    seat.send(CloseRow(row, 3))
    assert (seat.load, seat.is_busy) == (1, False)
    seat.note(RowClosed(row, 3))
    seat.note(RowClosed(row, 3))

    assert seat.load == 0
    assert [seat.free_rows.take(8000) for _ in range(4)] == [1, 2, 3, 0]


def test_a_row_that_failed_keeps_nobody_busy() -> None:
    seat, _ = seated()
    seat.send(OpenRow(2, 0, spec(3)))

    seat.note(RowFailed(2, 3, 0, message="broken"))

    assert not seat.is_busy


def test_what_was_to_be_closed_is_closed_by_the_next_process() -> None:
    seat, _ = seated()
    seat.send(OpenRow(2, 0, spec(3)))
    seat.send(CloseRow(2, 3))

    heir = replace_process(seat)
    seat.repeat()

    assert heir.told == [CloseRow(2, 3)]


def test_between_two_processes_closings_and_keys_wait_and_legs_repeat_the_rest() -> None:
    seat, carrier = seated()
    seat.vacate()
    key = HandKey(1, 4, duration_ms=100, digit="5")

    seat.send(FlushRow(1, 4))
    seat.send(key)
    seat.send(CloseRow(2, 3))
    seat.send_only(FlushRow(1, 4))
    heir = Carrier()
    seat.sit(cast("MediaProcess", heir))
    seat.repeat()
    seat.repeat()

    assert carrier.told == []
    assert heir.told == [CloseRow(2, 3), key, CloseRow(2, 3)]


def test_rows_that_are_given_up_accept_nothing() -> None:
    seat, carrier = seated()
    seat.memory.columns.generation[1] = 4

    assert seat.give_up() is not None
    seat.send(OpenRow(2, 0, spec(3)))

    assert (seat.is_alive, seat.process, seat.memory.fd) == (False, None, -1)
    assert not seat.memory.columns.generation.any()
    assert carrier.told == []


def test_rows_are_given_up_with_and_without_a_process() -> None:
    for seat in (seated()[0], Seat(2)):
        seat.give_up()

        assert not seat.is_alive
