import socket
from collections.abc import Iterator

import pytest

from bridge.engine.commands import Message, RowClosed, RowOpened
from bridge.engine.link import Link
from bridge.engine.reports import MOST_OWED, Reports
from bridge.plane.events import Digit, Flushed, KeysSent, PlaneEvent, RowFailed, VoiceStarted

ROW, LEG = 3, 9
KEY = Digit(ROW, LEG, 5, digit="1", duration_ms=100)
VOICE = VoiceStarted(ROW, LEG, 5, onset_ns=4)


class Bench:
    """Reports whose reader sleeps until it is asked to read."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.link, self.reader = Link(ours, limit=20), Link(theirs)
        self.reports = Reports(self.link)

    def fill(self) -> None:
        while not self.reports.dropped:
            self.reports.post(VOICE)

    def read(self) -> list[Message]:
        read = self.reader.receive()
        while self.link.waiting:
            self.link.flush()
            read += self.reader.receive()
        return [message for message in read if message != VOICE]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.link.close()
    made.reader.close()


@pytest.mark.parametrize(
    "report",
    [
        RowOpened(ROW, LEG),
        RowClosed(ROW, LEG),
        RowFailed(ROW, LEG, 5, "broken"),
        Flushed(ROW, LEG, 5, 160, 1, 5, "speech"),
        KEY,
        KeysSent(ROW, LEG, 5, ticket=1, count=3),
    ],
    ids=lambda report: type(report).__name__,
)
def test_what_a_call_cannot_do_without_waits_although_the_pipe_is_full(
    bench: Bench, report: RowOpened | RowClosed | PlaneEvent
) -> None:
    bench.fill()

    assert bench.reports.post(report) is None

    assert bench.reports.dropped == 1
    assert bench.read() == [report]


def test_what_the_columns_tell_too_is_dropped_and_counted(bench: Bench) -> None:
    bench.fill()

    assert bench.reports.post(VOICE) is None

    assert bench.reports.dropped == 2
    assert bench.link.waiting == 20


def test_a_row_with_more_to_tell_than_a_call_can_have_ends_alone(bench: Bench) -> None:
    bench.fill()
    other = Digit(4, 10, 5, digit="2", duration_ms=100)

    ended = [bench.reports.post(KEY) for _ in range(MOST_OWED + 50)]
    assert bench.reports.post(other) is None

    assert ended == [None] * MOST_OWED + [ROW] + [None] * 49
    assert bench.link.waiting == 20 + MOST_OWED + 2
    *keys, failed, last = bench.read()
    assert keys == [KEY] * MOST_OWED
    assert isinstance(failed, RowFailed)
    assert (failed.row, failed.generation) == (ROW, LEG)
    assert last == other


def test_a_reader_that_comes_back_owes_a_row_nothing(bench: Bench) -> None:
    bench.fill()
    for _ in range(MOST_OWED):
        bench.reports.post(KEY)
    bench.read()

    assert [bench.reports.post(KEY) for _ in range(MOST_OWED)] == [None] * MOST_OWED


def test_the_next_leg_of_a_row_has_its_own_bound(bench: Bench) -> None:
    bench.fill()
    for _ in range(MOST_OWED):
        bench.reports.post(KEY)
    bench.reports.post(RowClosed(ROW, LEG))

    assert bench.reports.post(KEY) is None
