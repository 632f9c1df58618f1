import pytest

from bridge.errors import LocalProtocolError
from bridge.sip.transaction import (
    LINGERS,
    TRANSITIONS,
    Kind,
    Passed,
    State,
    Transaction,
    Transmit,
    transaction_key,
)
from tests.fakes import MS, ManualClock
from tests.sip.messages import parsed_request, raw, reply, request


def started(kind: Kind, clock: ManualClock) -> Transaction:
    method = "INVITE" if kind in (Kind.INVITE_CLIENT, Kind.INVITE_SERVER) else "OPTIONS"
    return Transaction(kind, request(method), now_ns=clock.now_ns())


def pass_time(machine: Transaction, clock: ManualClock, *, until_ms: int) -> list[tuple[int, str]]:
    """Run the machine's timers; return when it sent or said what."""
    seen: list[tuple[int, str]] = []
    while machine.deadline_ns is not None and machine.deadline_ns <= until_ms * MS:
        clock.advance((machine.deadline_ns - clock.now_ns()) / MS)
        machine.handle_timeout(now_ns=clock.now_ns())
        seen += [(clock.now_ns() // MS, type(output).__name__) for output in machine.drain()]
    return seen


def say(machine: Transaction, status: int, clock: ManualClock) -> None:
    machine.respond(reply(machine.request, status), now_ns=clock.now_ns())


def hear(machine: Transaction, status: int, clock: ManualClock) -> None:
    machine.receive(reply(machine.request, status), now_ns=clock.now_ns())


def test_an_invite_nobody_answers_is_repeated_and_given_up() -> None:
    clock = ManualClock()
    machine = started(Kind.INVITE_CLIENT, clock)
    assert machine.drain() == [Transmit(bytes(machine.request))]

    seen = pass_time(machine, clock, until_ms=60_000)

    assert seen == [(ms, "Transmit") for ms in (500, 1500, 3500, 7500, 15500, 31500)] + [(32000, "Expired")]
    assert machine.state is State.TERMINATED
    assert machine.deadline_ns is None


def test_an_invite_that_is_being_worked_on_waits_as_long_as_it_takes() -> None:
    clock = ManualClock()
    machine = started(Kind.INVITE_CLIENT, clock)
    machine.drain()

    hear(machine, 180, clock)
    hear(machine, 183, clock)

    assert [type(output) for output in machine.drain()] == [Passed, Passed]
    assert (machine.state, machine.deadline_ns) == (State.PROCEEDING, None)


@pytest.mark.parametrize("ringing_first", [True, False])
def test_a_refusal_is_acknowledged_every_time_it_comes(ringing_first: bool) -> None:
    clock = ManualClock()
    invite = request("INVITE", extra=("Route: <sip:proxy;lr>",))
    machine = Transaction(Kind.INVITE_CLIENT, invite, now_ns=0)
    if ringing_first:
        hear(machine, 180, clock)
    machine.drain()

    hear(machine, 486, clock)
    ack, passed = machine.drain()
    hear(machine, 486, clock)
    again = machine.drain()

    assert isinstance(ack, Transmit)
    assert isinstance(passed, Passed)
    assert again == [ack]
    acked = parsed_request(ack.data)
    assert (acked.method, str(acked.via), acked.to.tag) == ("ACK", str(invite.via), "bot")
    assert acked.headers.get("Route") == "<sip:proxy;lr>"
    assert transaction_key(acked, is_server=True) == transaction_key(invite, is_server=True)
    hear(machine, 180, clock)
    assert machine.drain() == []
    assert pass_time(machine, clock, until_ms=60_000) == []
    assert (machine.state, clock.now_ns()) == (State.TERMINATED, 32_000 * MS)


@pytest.mark.parametrize("ringing_first", [True, False])
def test_every_repeated_success_is_passed_on(ringing_first: bool) -> None:
    clock = ManualClock()
    machine = started(Kind.INVITE_CLIENT, clock)
    if ringing_first:
        hear(machine, 180, clock)
    machine.drain()

    hear(machine, 200, clock)
    hear(machine, 200, clock)

    assert [type(output) for output in machine.drain()] == [Passed, Passed]
    assert machine.state is State.ACCEPTED
    assert pass_time(machine, clock, until_ms=60_000) == []
    assert (machine.state, clock.now_ns()) == (State.TERMINATED, 32_000 * MS)


def test_a_request_nobody_answers_is_repeated_ever_more_slowly() -> None:
    clock = ManualClock()
    machine = started(Kind.CLIENT, clock)
    machine.drain()

    seen = pass_time(machine, clock, until_ms=60_000)

    assert [ms for ms, _ in seen] == [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500, 32000]
    assert seen[-1] == (32000, "Expired")


def test_a_request_that_is_being_worked_on_is_repeated_every_t2() -> None:
    clock = ManualClock()
    machine = started(Kind.CLIENT, clock)
    machine.drain()

    hear(machine, 100, clock)
    hear(machine, 100, clock)
    assert [type(output) for output in machine.drain()] == [Passed, Passed]
    seen = pass_time(machine, clock, until_ms=60_000)

    assert [ms for ms, _ in seen] == [500, 4500, 8500, 12500, 16500, 20500, 24500, 28500, 32000]
    assert machine.state is State.TERMINATED


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("working_first", [True, False])
def test_the_final_answer_of_a_request_is_passed_on_once(status: int, working_first: bool) -> None:
    clock = ManualClock()
    machine = started(Kind.CLIENT, clock)
    if working_first:
        hear(machine, 100, clock)
    machine.drain()

    hear(machine, status, clock)
    hear(machine, status, clock)

    assert len(machine.drain()) == 1
    pass_time(machine, clock, until_ms=60_000)
    assert (machine.state, clock.now_ns()) == (State.TERMINATED, 5_000 * MS)


def test_a_repeated_invite_gets_the_last_answer_again() -> None:
    clock = ManualClock()
    machine = started(Kind.INVITE_SERVER, clock)
    machine.receive(machine.request, now_ns=0)
    assert machine.drain() == []

    say(machine, 100, clock)
    say(machine, 180, clock)
    machine.drain()
    machine.receive(machine.request, now_ns=0)

    assert machine.drain() == [Transmit(bytes(reply(machine.request, 180)))]
    assert machine.deadline_ns is None


def test_a_refusal_is_repeated_until_its_ack() -> None:
    clock = ManualClock()
    machine = started(Kind.INVITE_SERVER, clock)
    say(machine, 486, clock)
    machine.drain()

    assert pass_time(machine, clock, until_ms=4_000) == [(ms, "Transmit") for ms in (500, 1500, 3500)]
    machine.receive(machine.request, now_ns=clock.now_ns())
    assert len(machine.drain()) == 1
    ack = request("ACK")
    machine.receive(ack, now_ns=clock.now_ns())
    machine.receive(ack, now_ns=clock.now_ns())
    machine.receive(machine.request, now_ns=clock.now_ns())

    assert machine.drain() == []
    assert machine.state is State.CONFIRMED
    assert pass_time(machine, clock, until_ms=60_000) == []
    assert (machine.state, clock.now_ns()) == (State.TERMINATED, 8_500 * MS)


def test_a_refusal_without_ack_is_given_up() -> None:
    clock = ManualClock()
    machine = started(Kind.INVITE_SERVER, clock)
    say(machine, 486, clock)
    machine.drain()

    seen = pass_time(machine, clock, until_ms=60_000)

    assert seen[-1] == (32000, "Expired")
    assert machine.state is State.TERMINATED


def test_after_a_success_the_invite_is_absorbed_and_the_ack_passed_on() -> None:
    clock = ManualClock()
    machine = started(Kind.INVITE_SERVER, clock)
    say(machine, 200, clock)
    say(machine, 200, clock)
    assert len(machine.drain()) == 2

    machine.receive(machine.request, now_ns=0)
    ack = request("ACK")
    machine.receive(ack, now_ns=0)

    assert machine.drain() == [Passed(ack)]
    pass_time(machine, clock, until_ms=60_000)
    assert (machine.state, clock.now_ns()) == (State.TERMINATED, 32_000 * MS)


@pytest.mark.parametrize("status", [200, 404])
def test_a_repeated_request_is_answered_from_memory(status: int) -> None:
    clock = ManualClock()
    machine = started(Kind.SERVER, clock)
    machine.receive(machine.request, now_ns=0)
    assert machine.drain() == []
    say(machine, 100, clock)
    say(machine, 183, clock)
    machine.receive(machine.request, now_ns=0)
    assert len(machine.drain()) == 3

    say(machine, status, clock)
    machine.receive(machine.request, now_ns=0)

    assert machine.drain() == [Transmit(bytes(reply(machine.request, status)))] * 2
    pass_time(machine, clock, until_ms=60_000)
    assert (machine.state, clock.now_ns()) == (State.TERMINATED, 32_000 * MS)


def test_a_final_answer_may_come_without_a_provisional_one() -> None:
    clock = ManualClock()
    for status in (200, 404):
        machine = started(Kind.SERVER, clock)
        say(machine, status, clock)
        assert machine.state is State.COMPLETED


def test_a_second_final_answer_is_our_own_bug() -> None:
    clock = ManualClock()
    machine = started(Kind.SERVER, clock)
    say(machine, 200, clock)

    with pytest.raises(LocalProtocolError, match="404 while COMPLETED"):
        say(machine, 404, clock)
    with pytest.raises(LocalProtocolError, match="200 while TRYING"):
        say(started(Kind.CLIENT, clock), 200, clock)


def test_an_early_timeout_does_nothing() -> None:
    clock = ManualClock()
    machine = started(Kind.CLIENT, clock)
    machine.drain()

    machine.handle_timeout(now_ns=clock.advance(499))

    assert machine.drain() == []


def test_transactions_are_told_apart_by_branch_sender_and_method() -> None:
    invite = request("INVITE")

    assert transaction_key(invite, is_server=True) == transaction_key(request("ACK"), is_server=True)
    assert transaction_key(invite, is_server=True) != transaction_key(request("CANCEL"), is_server=True)
    assert transaction_key(invite, is_server=True) != transaction_key(
        request("INVITE", via="SIP/2.0/UDP 192.0.2.2:5061"), is_server=True
    )
    assert transaction_key(invite, is_server=False) == transaction_key(reply(invite, 200), is_server=False)


def test_old_phones_without_unique_branches_are_told_apart_by_everything_else() -> None:
    old = parsed_request(raw("INVITE", branch="1"))

    assert transaction_key(old, is_server=True) == transaction_key(
        parsed_request(raw("ACK", branch="1", to_tag="bot")), is_server=True
    )
    assert transaction_key(old, is_server=True) != transaction_key(
        parsed_request(raw("INVITE", branch="1", number=2)), is_server=True
    )


def test_every_state_that_can_be_entered_has_a_row_and_an_end() -> None:
    for kind, table in TRANSITIONS.items():
        entered = {state for row in table.values() for state, _ in row.values()}
        assert entered - {State.TERMINATED} <= set(table)
        assert State.TERMINATED in entered
        assert {state for owner, state in LINGERS if owner is kind} <= set(table)


def test_a_branch_of_nothing_but_the_cookie_tells_nothing() -> None:
    one = parsed_request(raw("OPTIONS", branch="z9hG4bK", call_id="a"))
    other = parsed_request(raw("OPTIONS", branch="z9hG4bK", call_id="b"))

    assert transaction_key(one, is_server=True) != transaction_key(other, is_server=True)
