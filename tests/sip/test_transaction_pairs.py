"""Laws of a client and a server transaction over a network that loses, doubles and reorders as it likes.

`test_transaction_laws.py` feeds one machine with anything; here two talk to each other, so that what one
side believes can be compared with what the other said.
"""

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.errors import LocalProtocolError
from bridge.sip import wire
from bridge.sip.flow import Address
from bridge.sip.layer import Outcome, Send, TransactionLayer
from bridge.sip.message import Request, Response, respond
from tests.fakes import MS, ManualClock
from tests.sip.messages import BRIDGE_IP, PHONE, request

FINALS = st.sampled_from([200, 202, 302, 404, 486, 503, 603])
PROVISIONALS = st.sampled_from([100, 180, 183])
SERVER = (BRIDGE_IP, 5060)


class Pair(RuleBasedStateMachine):
    """One request of a client, its server, and everything that is on its way between them."""

    @initialize(method=st.sampled_from(["INVITE", "OPTIONS"]), transport=st.sampled_from(["UDP", "TCP"]))
    def begin(self, method: str, transport: str) -> None:
        self.clock = ManualClock()
        self.transport = transport
        self.client, self.server = TransactionLayer(), TransactionLayer()
        self.to_server: list[bytes] = []
        self.to_client: list[bytes] = []
        self.asked: list[str] = []
        """Keys of what the server's user was asked to do."""
        self.said: list[int] = []
        """Finals that the server's user gave."""
        self.believed: list[int | None] = []
        """Finals that the client's user saw; None is that nobody answered."""
        self.told_unacknowledged = 0
        self.client.request(
            request(method, via=f"SIP/2.0/{transport} {PHONE[0]}:{PHONE[1]}"),
            destination=self._peer(SERVER),
            owner="client",
            now_ns=0,
        )
        self._collect()

    def _peer(self, place: tuple[str, int]) -> Address:
        return Address(*place, self.transport, 1 if self.transport != "UDP" else 0)

    @property
    def is_invite(self) -> bool:
        return bool(self.asked) and self.asked[0].endswith("INVITE")

    def _collect(self) -> None:
        for layer, queue in ((self.client, self.to_server), (self.server, self.to_client)):
            for output in layer.drain():
                if isinstance(output, Send):
                    queue.append(output.data)
                else:
                    self._learn(layer, output)

    def _learn(self, layer: TransactionLayer, outcome: Outcome) -> None:
        if layer is self.server:
            self.told_unacknowledged += outcome.message is None
        elif outcome.is_final:
            message = outcome.message
            self.believed.append(message.status if isinstance(message, Response) else None)

    def _arrive(self, layer: TransactionLayer, data: bytes) -> None:
        message = wire.parse(data)
        assert message is not None
        now_ns = self.clock.now_ns()
        source = self._peer(PHONE if layer is self.server else SERVER)
        is_known = layer.absorb(message, source=source, now_ns=now_ns)
        if not is_known and isinstance(message, Request) and message.method != "ACK":
            self.request = message
            self.asked.append(layer.open(message, source=source, now_ns=now_ns))
        self._collect()

    @precondition(lambda self: self.to_server)
    @rule(data=st.data())
    def something_reaches_the_server(self, data: st.DataObject) -> None:
        self._arrive(self.server, self._pick(data, self.to_server))

    @precondition(lambda self: self.to_client)
    @rule(data=st.data())
    def something_reaches_the_client(self, data: st.DataObject) -> None:
        self._arrive(self.client, self._pick(data, self.to_client))

    def _pick(self, data: st.DataObject, queue: list[bytes]) -> bytes:
        """Over TCP what was sent first; over UDP anything, which may stay on its way as well."""
        if self.transport != "UDP":
            return queue.pop(0)
        at = data.draw(st.integers(0, len(queue) - 1))
        return queue[at] if data.draw(st.booleans()) else queue.pop(at)

    @precondition(lambda self: self.transport == "UDP" and (self.to_server or self.to_client))
    @rule(at_server=st.booleans())
    def something_is_lost(self, at_server: bool) -> None:
        queue = self.to_server if at_server else self.to_client
        del queue[:1]

    @property
    def owes_answer(self) -> bool:
        """Whether the server's user has been asked more often than it has answered."""
        return len(self.asked) > len(self.said)

    @precondition(lambda self: self.owes_answer)
    @rule(status=PROVISIONALS)
    def the_user_is_at_it(self, status: int) -> None:
        self._say(len(self.said), status)

    @precondition(lambda self: self.owes_answer)
    @rule(status=FINALS)
    def the_user_answers(self, status: int) -> None:
        self.said.append(status)
        self._say(len(self.said) - 1, status)

    def _say(self, which: int, status: int) -> None:
        response = respond(self.request, status, source=PHONE, to_tag="server")
        self.server.respond(self.asked[which], response, now_ns=self.clock.now_ns())
        self._collect()

    @rule(wait_ms=st.sampled_from([1, 100, 500, 4000, 8000]))
    def time_passes(self, wait_ms: int) -> None:
        self._run_until(self.clock.now_ns() + wait_ms * MS)

    def _run_until(self, end_ns: int) -> None:
        while due := [ns for layer in (self.client, self.server) if (ns := layer.deadline_ns) is not None]:
            if min(due) > end_ns:
                break
            self.clock.advance((min(due) - self.clock.now_ns()) / MS)
            for layer in (self.client, self.server):
                layer.handle_timeout(now_ns=self.clock.now_ns())
            self._collect()
        self.clock.advance((end_ns - self.clock.now_ns()) / MS)

    @invariant()
    def one_request_is_asked_once_while_it_lives(self) -> None:
        # A copy that outlives the transaction is a new one (§17.2): nothing lives for 32 s here unanswered.
        if len(self.server) and self.transport != "UDP":
            assert len(self.asked) <= 1
        assert len(self.asked) <= 1 or self.clock.now_ns() >= 5_000 * MS

    @invariant()
    def nobody_believes_what_was_not_said(self) -> None:
        assert all(status in (None, *self.said) for status in self.believed)

    @invariant()
    def an_end_is_an_end(self) -> None:
        if None in self.believed:
            assert self.believed == [None]
        elif self.believed and self.believed[0] >= 300:  # type: ignore[operator]
            assert len(self.believed) == 1

    @invariant()
    def only_an_invite_is_told_of_the_same_success_again(self) -> None:
        if len(self.believed) > 1:
            assert self.is_invite
            assert len(set(self.believed)) == 1

    def teardown(self) -> None:
        """The network heals, the user answers: then both sides end, and agree."""
        if not hasattr(self, "clock"):
            return
        # Over TCP nothing is lost; over UDP a client that still asks is answered, whatever was lost before.
        is_in_time = self.clock.now_ns() < 20_000 * MS and not self.believed
        while self._is_something_left():
            while self.to_server:
                self._arrive(self.server, self.to_server.pop(0))
            if self.owes_answer:
                self.the_user_answers(486)
            elif self.is_invite and self.said[-1] < 300 and not self.believed:
                # A 2xx is repeated by the user, not by the transaction (§13.3.1.4).
                self._say_again()
            while self.to_client:
                self._arrive(self.client, self.to_client.pop(0))
            if not self.to_server:
                due = [ns for each in (self.client, self.server) if (ns := each.deadline_ns) is not None]
                self._run_until(min(due, default=self.clock.now_ns()))
        assert len(self.server) == 0
        if not is_in_time and self.is_invite and not self.believed:
            # A peer that rang and then fell silent for ever is the user's to give up (§17.1.1.2).
            return
        assert len(self.client) == 0
        assert self.believed
        if is_in_time:
            assert self.believed[0] in self.said
            # A copy that comes after its transaction is a new request, and nobody may be left to acknowledge.
            assert not self.told_unacknowledged or len(self.asked) > 1

    def _say_again(self) -> None:
        with suppress(LocalProtocolError):
            self._say(len(self.said) - 1, self.said[-1])

    def _is_something_left(self) -> bool:
        is_waiting = self.client.deadline_ns is not None or self.server.deadline_ns is not None
        return bool(is_waiting or self.to_server or self.to_client or self.owes_answer)


TestPair = Pair.TestCase
TestPair.settings = settings(
    stateful_step_count=30, deadline=None, max_examples=max(400, settings().max_examples)
)


@pytest.mark.parametrize("copies", [2, 5])
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_request_that_comes_several_times_is_one(method: str, copies: int) -> None:
    server = TransactionLayer()
    asked = request(method)

    opened = 0
    for _ in range(copies):
        if not server.absorb(asked, source=PHONE, now_ns=0):
            server.open(asked, source=PHONE, now_ns=0)
            opened += 1

    assert (opened, len(server)) == (1, 1)
