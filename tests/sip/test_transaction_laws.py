"""Laws that hold for every transaction, whatever comes in whatever order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.errors import LocalProtocolError
from bridge.sip.message import Request, Response
from bridge.sip.transaction import Expired, Kind, Passed, State, Transaction, Transmit
from tests.fakes import MS, ManualClock
from tests.sip.messages import reply, request

STATUSES = st.sampled_from([100, 180, 183, 200, 202, 302, 404, 486, 500, 603])
CLIENTS = (Kind.INVITE_CLIENT, Kind.CLIENT)


class AnyTransaction(RuleBasedStateMachine):
    """Feeds one machine with everything that may happen to it."""

    @initialize(kind=st.sampled_from(Kind))
    def begin(self, kind: Kind) -> None:
        self.clock = ManualClock()
        method = "INVITE" if kind in (Kind.INVITE_CLIENT, Kind.INVITE_SERVER) else "OPTIONS"
        self.machine = Transaction(kind, request(method), now_ns=0)
        self.finals_passed = self.expired = 0
        self.last_said: Response | None = None
        self.collect()

    def collect(self) -> None:
        for output in self.machine.drain():
            if isinstance(output, Passed) and isinstance(output.message, Response):
                self.finals_passed += output.message.status >= 200
            elif isinstance(output, Expired):
                self.expired += 1
            elif isinstance(output, Transmit) and self.machine.kind not in CLIENTS:
                assert self.last_said is not None
                assert output.data == bytes(self.last_said)

    @precondition(lambda self: self.machine.kind in CLIENTS)
    @rule(status=STATUSES)
    def the_peer_answers(self, status: int) -> None:
        self.machine.receive(reply(self.machine.request, status), now_ns=self.clock.now_ns())
        self.collect()

    @precondition(lambda self: self.machine.kind not in CLIENTS)
    @rule(status=STATUSES)
    def we_answer(self, status: int) -> None:
        response = reply(self.machine.request, status)
        before = self.last_said
        self.last_said = response
        try:
            self.machine.respond(response, now_ns=self.clock.now_ns())
        except LocalProtocolError:
            self.last_said = before
        self.collect()

    @precondition(lambda self: self.machine.kind not in CLIENTS)
    @rule(is_ack=st.booleans())
    def the_peer_repeats_itself(self, is_ack: bool) -> None:
        item: Request = request("ACK") if is_ack else self.machine.request
        self.machine.receive(item, now_ns=self.clock.now_ns())
        self.collect()

    @rule(wait_ms=st.sampled_from([1, 499, 500, 4000, 5000, 31_999, 32_000]))
    def time_passes(self, wait_ms: int) -> None:
        end_ns = self.clock.now_ns() + wait_ms * MS
        while (due_ns := self.machine.deadline_ns) is not None and due_ns <= end_ns:
            self.clock.advance((due_ns - self.clock.now_ns()) / MS)
            self.machine.handle_timeout(now_ns=self.clock.now_ns())
            self.collect()
        self.clock.advance((end_ns - self.clock.now_ns()) / MS)

    @invariant()
    def the_end_is_the_end(self) -> None:
        if self.machine.state is State.TERMINATED:
            assert self.machine.deadline_ns is None

    @invariant()
    def only_a_user_at_work_may_be_waited_for_without_a_limit(self) -> None:
        waits_for_us = self.machine.state in (State.PROCEEDING, State.TRYING)
        assert self.machine.deadline_ns is not None or waits_for_us or self.machine.state is State.TERMINATED

    @invariant()
    def the_end_is_told_at_most_once(self) -> None:
        assert self.expired <= 1
        if self.machine.kind is Kind.CLIENT:
            assert self.finals_passed + self.expired <= 1

    def teardown(self) -> None:
        machine = self.machine
        if machine.kind not in CLIENTS and self.last_said is None:
            return
        for _ in range(100):
            if machine.deadline_ns is None:
                break
            machine.handle_timeout(now_ns=machine.deadline_ns)
        assert machine.deadline_ns is None


TestAnyTransaction = AnyTransaction.TestCase
TestAnyTransaction.settings = settings(stateful_step_count=25, deadline=None)


def test_a_client_cannot_be_answered_by_its_own_user() -> None:
    with pytest.raises(LocalProtocolError):
        Transaction(Kind.CLIENT, request(), now_ns=0).respond(reply(request(), 200), now_ns=0)
