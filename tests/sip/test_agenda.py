from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.agenda import Agenda


def test_the_earliest_deadline_is_next() -> None:
    agenda = Agenda()
    agenda.set("b", 20)
    agenda.set("a", 10)
    agenda.set("a", 10)

    assert agenda.next_ns == 10
    assert agenda.take(now_ns=9) == []
    assert agenda.take(now_ns=20) == ["a", "b"]
    assert agenda.next_ns is None


def test_a_moved_deadline_counts_only_where_it_is_now() -> None:
    agenda = Agenda()
    agenda.set("a", 10)
    agenda.set("a", 30)
    agenda.set("b", 20)
    agenda.set("b", None)
    agenda.set("c", None)

    assert agenda.take(now_ns=29) == []
    assert agenda.next_ns == 30
    assert agenda.take(now_ns=30) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9))))
def test_what_is_due_is_taken_exactly_once(steps: list[tuple[str, int | None]]) -> None:
    agenda = Agenda()
    model: dict[str, int] = {}
    for name, due_ns in steps:
        agenda.set(name, due_ns)
        model.pop(name, None)
        if due_ns is not None:
            model[name] = due_ns

    assert agenda.next_ns == min(model.values(), default=None)
    assert sorted(agenda.take(now_ns=5)) == sorted(name for name, due_ns in model.items() if due_ns <= 5)
    assert sorted(agenda.take(now_ns=9)) == sorted(name for name, due_ns in model.items() if due_ns > 5)


def test_a_deadline_that_moves_for_ever_takes_no_more_room() -> None:
    agenda = Agenda()
    year_ns = 365 * 86_400 * 10**9
    for at_ns in range(10_000):
        agenda.set("a", at_ns + year_ns)
        agenda.set("gone", at_ns + year_ns)
        agenda.set("gone", None)

    assert len(agenda) < 100
    assert agenda.next_ns == 9_999 + year_ns
