"""Every timer of RFC 3261 Appendix A and RFC 6026, on a clock that a test turns, over UDP and TCP."""

from typing import NamedTuple

import pytest

from bridge.sip.transaction import Expired, Kind, State, Transaction, Transmit
from tests.fakes import MS, ManualClock
from tests.sip.messages import reply, request

T1, T2, T4 = 500, 4_000, 5_000


class Case(NamedTuple):
    """One timer: how its state is reached, and what it does when, in milliseconds from there."""

    letter: str
    kind: Kind
    said: tuple[int | str, ...]
    """What happens at once at the beginning: statuses, of the peer or of ourselves, or an ACK."""
    unreliable: tuple[int, ...]
    """When something is sent, or the transaction ends."""
    reliable: tuple[int, ...]
    sends: bool
    """Whether it sends; else it ends the transaction, and tells so or not."""
    tells: bool = False


DOUBLING = (500, 1500, 3500, 7500, 15_500, 31_500)
CAPPED = (500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500)

CASES = [
    Case("A", Kind.INVITE_CLIENT, (), DOUBLING, (), sends=True),
    Case("B", Kind.INVITE_CLIENT, (), (64 * T1,), (64 * T1,), sends=False, tells=True),
    Case("D", Kind.INVITE_CLIENT, (486,), (64 * T1,), (0,), sends=False),
    Case("E", Kind.CLIENT, (), CAPPED, (), sends=True),
    # Once the peer is at it, the interval is T2 from the next time on (§17.1.2.2).
    Case("E in Proceeding", Kind.CLIENT, (100,), (500, *range(4_500, 32_000, T2)), (), sends=True),
    Case("F", Kind.CLIENT, (), (64 * T1,), (64 * T1,), sends=False, tells=True),
    Case("F in Proceeding", Kind.CLIENT, (100,), (64 * T1,), (64 * T1,), sends=False, tells=True),
    Case("G", Kind.INVITE_SERVER, (486,), CAPPED, (), sends=True),
    Case("H", Kind.INVITE_SERVER, (486,), (64 * T1,), (64 * T1,), sends=False, tells=True),
    Case("I", Kind.INVITE_SERVER, (486, "ACK"), (T4,), (0,), sends=False),
    Case("J", Kind.SERVER, (200,), (64 * T1,), (0,), sends=False),
    Case("K", Kind.CLIENT, (200,), (T4,), (0,), sends=False),
    Case("L", Kind.INVITE_SERVER, (200,), (64 * T1,), (64 * T1,), sends=False),
    Case("M", Kind.INVITE_CLIENT, (200,), (64 * T1,), (64 * T1,), sends=False),
]
"""C is a proxy's; 2xx and what goes beyond transactions has timers of its own (tests/sip/test_answers.py)."""


@pytest.mark.parametrize("is_reliable", [False, True], ids=["UDP", "TCP"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.letter)
def test_a_timer_fires_when_the_table_says(case: Case, is_reliable: bool) -> None:
    machine = _brought(case, is_reliable=is_reliable)

    sent, ended, told = _watch(machine)

    due = list(case.reliable if is_reliable else case.unreliable)
    if case.sends:
        assert sent == due
    else:
        assert [ended] == due
        assert told is case.tells


@pytest.mark.parametrize("status", [100, 180])
@pytest.mark.parametrize("is_reliable", [False, True], ids=["UDP", "TCP"])
def test_an_invite_at_which_somebody_works_has_no_timer(status: int, is_reliable: bool) -> None:
    case = Case("none", Kind.INVITE_CLIENT, (status,), (), (), sends=True)

    assert _brought(case, is_reliable=is_reliable).deadline_ns is None


@pytest.mark.parametrize("kind", [Kind.INVITE_SERVER, Kind.SERVER])
def test_a_server_that_has_not_answered_waits_for_its_user(kind: Kind) -> None:
    assert _brought(Case("none", kind, (), (), (), sends=True), is_reliable=False).deadline_ns is None


def _brought(case: Case, *, is_reliable: bool) -> Transaction:
    """A machine in the state where the timer runs, all at time 0."""
    method = "INVITE" if case.kind in (Kind.INVITE_CLIENT, Kind.INVITE_SERVER) else "OPTIONS"
    machine = Transaction(case.kind, request(method), now_ns=0, is_reliable=is_reliable)
    for said in case.said:
        if isinstance(said, str):
            machine.receive(request(said), now_ns=0)
        elif case.kind in (Kind.INVITE_CLIENT, Kind.CLIENT):
            machine.receive(reply(machine.request, said), now_ns=0)
        else:
            machine.respond(reply(machine.request, said), now_ns=0)
    machine.drain()
    return machine


def _watch(machine: Transaction) -> tuple[list[int], int, bool]:
    """Run all timers out: when it sent, when it ended, and whether it told its user so."""
    clock = ManualClock()
    sent: list[int] = []
    told = False
    while (due_ns := machine.deadline_ns) is not None:
        # A nanosecond early nothing happens.
        machine.handle_timeout(now_ns=due_ns - 1)
        assert machine.drain() == []
        clock.advance((due_ns - clock.now_ns()) / MS)
        machine.handle_timeout(now_ns=clock.now_ns())
        for output in machine.drain():
            if isinstance(output, Transmit):
                sent.append(clock.now_ns() // MS)
            told = told or isinstance(output, Expired)
    assert machine.state is State.TERMINATED
    return sent, clock.now_ns() // MS, told
