import numpy as np
from numpy.typing import NDArray

from bridge.engine.guard import RowGuard
from bridge.engine.sockets import FOREVER_NS
from bridge.plane.packets import Arrivals, Departures
from tests.engine.fake_plane import FakePlane, spec


def plane(*poisoned: int) -> FakePlane:
    made = FakePlane(8)
    for row in range(4):
        made.open(row, spec(row + 1, remote_key=row), now_ns=0)
    made.poisoned = set(poisoned)
    return made


def arrivals(*rows: int) -> Arrivals:
    made = Arrivals(8)
    for number, row in enumerate(rows):
        made.add(bytes([number]), row=row, source=row, is_rtcp=number % 2 == 1)
    return made


def test_sound_rows_are_served_in_one_go() -> None:
    guard, sound = RowGuard(), plane()

    guard.receive(lambda some: sound.receive(some, now_ns=0), arrivals(0, 1, 0))
    built = guard.build(lambda rows: sound.build(rows, now_ns=0), np.arange(4), sound.due_ns)

    assert sound.heard == [(0, b"\0", 0), (1, b"\1", 1), (0, b"\2", 0)]
    assert [len(departures) for departures in built] == [4]
    assert guard.drain() == {}


def test_a_poisoned_row_costs_nobody_elses_packets() -> None:
    guard, broken = RowGuard(), plane(1)

    marked: list[tuple[int, bool]] = []

    def receive(some: Arrivals) -> None:
        broken.receive(some, now_ns=0)
        marked.extend(zip(some.rows[: some.count].tolist(), some.is_rtcp[: some.count].tolist(), strict=True))

    guard.receive(receive, arrivals(2, 1, 0, 2))

    assert marked == [(0, False), (2, False), (2, True)]
    assert broken.heard == [(0, b"\2", 0), (2, b"\0", 2), (2, b"\3", 2)]
    assert [(row, type(error)) for row, error in guard.drain().items()] == [(1, IndexError)]
    assert guard.drain() == {}


def test_a_poisoned_row_sends_nothing_and_is_never_due_again() -> None:
    guard, broken = RowGuard(), plane(3)
    buffer = np.zeros((1, 172), np.uint8)

    def build(rows: NDArray[np.intp]) -> Departures:
        departures = broken.build(rows, now_ns=0)
        buffer[0, 0] = rows[0]
        return Departures(buffer, departures.lengths, departures.rows, departures.destinations)

    built = guard.build(build, np.arange(4), broken.due_ns)

    assert [int(departures.packets[0, 0]) for departures in built] == [0, 1, 2]
    assert broken.due_ns[3] == FOREVER_NS
    assert list(guard.drain()) == [3]
