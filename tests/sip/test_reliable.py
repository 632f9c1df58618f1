"""Transactions over transports that deliver: nothing is sent twice, and nothing lingers (RFC 3261 §17)."""

import pytest

from bridge.sip.events import Answer, Arrived, Cut, Drain, Ended, Hangup, Place, Unsent
from bridge.sip.flow import Address, connection_of
from bridge.sip.layer import Outcome, Send, TransactionLayer
from bridge.sip.transaction import Kind, State, Transaction
from tests.fakes import MS
from tests.sip.desk import Desk
from tests.sip.messages import OFFER, raw, reply, request

PEER = Address("192.0.2.2", 5060, "TCP", 3)


def started(method: str, kind: Kind) -> Transaction:
    machine = Transaction(kind, request(method), now_ns=0, is_reliable=True)
    machine.drain()
    return machine


@pytest.mark.parametrize(("method", "kind"), [("INVITE", Kind.INVITE_CLIENT), ("OPTIONS", Kind.CLIENT)])
def test_a_request_is_sent_once_and_given_up_all_the_same(method: str, kind: Kind) -> None:
    machine = started(method, kind)
    assert machine.deadline_ns == 32_000 * MS
    machine.handle_timeout(now_ns=31_999 * MS)
    assert machine.drain() == []
    machine.handle_timeout(now_ns=32_000 * MS)
    assert machine.state is State.TERMINATED


@pytest.mark.parametrize(("method", "kind"), [("INVITE", Kind.INVITE_CLIENT), ("OPTIONS", Kind.CLIENT)])
def test_a_refused_request_is_over_at_once(method: str, kind: Kind) -> None:
    machine = started(method, kind)
    machine.receive(reply(machine.request, 486), now_ns=7)
    assert (machine.state, machine.deadline_ns) == (State.COMPLETED, 7)
    machine.handle_timeout(now_ns=7)
    assert machine.state is State.TERMINATED


def test_an_answered_request_of_the_peer_is_over_at_once() -> None:
    machine = started("OPTIONS", Kind.SERVER)
    machine.respond(reply(machine.request, 200), now_ns=7)
    machine.handle_timeout(now_ns=7)
    assert machine.state is State.TERMINATED


def test_a_refusal_waits_for_its_ack_without_being_repeated() -> None:
    machine = started("INVITE", Kind.INVITE_SERVER)
    machine.respond(reply(machine.request, 486), now_ns=0)
    machine.drain()
    machine.handle_timeout(now_ns=20_000 * MS)
    assert machine.drain() == []
    assert machine.deadline_ns == 32_000 * MS


def test_the_accepted_state_lasts_as_long_as_over_udp() -> None:
    machine = started("INVITE", Kind.INVITE_CLIENT)
    machine.receive(reply(machine.request, 200), now_ns=0)
    assert (machine.state, machine.deadline_ns) == (State.ACCEPTED, 32_000 * MS)


@pytest.mark.parametrize("status", [0, 100])
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_what_cannot_be_sent_or_is_cut_off_is_told_at_once(method: str, status: int) -> None:
    layer = TransactionLayer()
    asked = request(method, via="SIP/2.0/TCP 192.0.2.2:5060")
    key = layer.request(asked, destination=PEER, owner="call", now_ns=0)
    sent = layer.drain()
    assert sent == [Send(bytes(asked), PEER)]
    assert isinstance(sent[0], Send)
    assert sent[0].key == key
    if status:
        layer.absorb(reply(asked, status), source=PEER, now_ns=1)
        layer.drain()
    layer.cut(Address(*PEER, "TCP", 4), now_ns=2)
    assert layer.drain() == []
    layer.cut(PEER, now_ns=2)
    (gone,) = layer.drain()
    assert isinstance(gone, Outcome)
    assert (gone.key, gone.owner, gone.message, gone.why) == (key, "call", None, "the connection was cut")
    layer.unsent(key, now_ns=3)
    assert layer.drain() == []
    assert len(layer) == 0


def test_an_answered_request_is_not_harmed_by_the_end_of_its_connection() -> None:
    layer = TransactionLayer()
    asked = request("INVITE")
    key = layer.request(asked, destination=PEER, owner="call", now_ns=0)
    layer.absorb(reply(asked, 200), source=PEER, now_ns=1)
    layer.drain()
    layer.unsent(key, now_ns=2)
    layer.cut(PEER, now_ns=2)
    assert layer.drain() == []


def test_answers_carry_no_key() -> None:
    layer = TransactionLayer()
    asked = request("OPTIONS")
    key = layer.open(asked, source=PEER, now_ns=0)
    layer.respond(key, reply(asked, 200), now_ns=0)
    (sent,) = layer.drain()
    assert isinstance(sent, Send)
    assert (sent.key, sent.destination[0]) == ("", "192.0.2.2")


def test_the_agent_tells_a_call_whose_invite_cannot_be_sent() -> None:
    desk = Desk()
    place = Place("us", "our-call", "sip:lena@192.0.2.2", PEER, "192.0.2.9", OFFER)
    desk.do(place)
    (sent,) = [output for output in desk.look() if isinstance(output, Send)]
    assert b"Via: SIP/2.0/TCP 192.0.2.9:5060;" in sent.data
    assert b"Contact: <sip:cosybridge@192.0.2.9:5060;transport=tcp>" in sent.data
    desk.do(Unsent(sent.key))
    assert (desk.the(Ended).status, desk.agent.calls) == (408, 0)


def test_the_agent_tells_a_call_whose_connection_is_cut() -> None:
    desk = Desk()
    desk.do(Place("us", "our-call", "sip:lena@192.0.2.2", PEER, "192.0.2.9", OFFER))
    desk.look()
    desk.do(Cut(PEER))
    assert desk.the(Ended).reason == "the connection was cut"
    desk.do(Drain())
    assert desk.agent.state == "draining"


def test_a_call_follows_its_peer_to_another_connection() -> None:
    desk = Desk()
    via = "SIP/2.0/TCP 192.0.2.2:5060"
    desk.hear(raw("INVITE", via=via, body=OFFER), Address("192.0.2.2", 40000, "TCP", 3))
    call = desk.the(Arrived).call
    desk.do(Answer(call, OFFER))
    desk.look()
    desk.hear(raw("ACK", via=via, branch="z9hG4bKa", to_tag=call), Address("192.0.2.2", 40001, "TCP", 4))
    desk.look()
    desk.do(Hangup(call))
    (sent,) = [output for output in desk.look() if isinstance(output, Send)]
    assert connection_of(sent.destination) == 4
