import numpy as np

from bridge.plane.columns import Columns
from bridge.plane.inquiry import Inquiry
from bridge.plane.spec import PlaneSettings
from tests.fakes import MS

ROWS = np.array([0, 2])


def inquiry() -> tuple[Inquiry, Columns]:
    columns = Columns(bytearray(Columns.size_bytes(3)), 3)
    return Inquiry(columns, PlaneSettings()), columns


def test_questions_are_numbered_where_everybody_can_see_them() -> None:
    asked, columns = inquiry()

    asked.ask(ROWS, now_ns=0)
    asked.close(ROWS)
    asked.ask(ROWS[:1], now_ns=0)

    assert columns.question.tolist() == [2, 0, 0]
    assert asked.is_open(np.arange(3)).tolist() == [True, False, False]
    assert asked.number(0) == 2


def test_an_answer_is_overdue_after_a_quarter_of_a_second() -> None:
    asked, _ = inquiry()
    asked.ask(ROWS, now_ns=100 * MS)

    assert not asked.is_overdue(np.arange(3), now_ns=329 * MS).any()
    assert asked.is_overdue(np.arange(3), now_ns=330 * MS).tolist() == [True, False, True]


def test_another_leg_begins_with_nothing_asked() -> None:
    asked, columns = inquiry()
    asked.ask(ROWS, now_ns=0)
    asked.agreed[ROWS] = True

    asked.restart(2)

    assert columns.question.tolist() == [1, 0, 0]
    assert asked.agreed.tolist() == [True, False, False]
