import pytest

from bridge.errors import LocalProtocolError
from bridge.sip.layer import Outcome, Send, TransactionLayer
from tests.fakes import MS
from tests.sip.messages import PHONE, reply, request


def test_an_answer_finds_the_request_it_belongs_to() -> None:
    layer = TransactionLayer()
    asked = request("OPTIONS")
    key = layer.request(asked, destination=PHONE, owner="me", now_ns=0)
    assert layer.drain() == [Send(bytes(asked), PHONE)]
    answer = reply(asked, 200)

    assert layer.absorb(answer, now_ns=0)

    assert layer.drain() == [Outcome(key, "me", asked, answer)]
    assert not layer.absorb(reply(request("OPTIONS", branch="z9hG4bKother"), 200), now_ns=0)


def test_a_request_without_an_answer_ends_in_nothing() -> None:
    layer = TransactionLayer()
    asked = request("INVITE")
    key = layer.request(asked, destination=PHONE, owner="me", now_ns=0)

    while layer.deadline_ns is not None:
        layer.handle_timeout(now_ns=layer.deadline_ns)

    outcome = layer.drain()[-1]
    assert outcome == Outcome(key, "me", asked, None)
    assert outcome.is_final
    assert len(layer) == 0


def test_only_final_answers_are_final() -> None:
    asked = request("INVITE")

    assert not Outcome("", "", asked, reply(asked, 180)).is_final
    assert Outcome("", "", asked, reply(asked, 200)).is_final
    assert not Outcome("", "", asked, request("ACK")).is_final


def test_a_repeated_request_is_absorbed_and_answered_where_its_via_says() -> None:
    layer = TransactionLayer()
    asked = request("OPTIONS")
    key = layer.open(asked, source=("192.0.2.2", 9), owner="x", now_ns=0)
    assert layer.owner_of(key) == "x"
    assert layer.absorb(asked, now_ns=0)
    assert layer.drain() == []
    answer = reply(asked, 200)

    layer.respond(key, answer, now_ns=0)
    layer.absorb(asked, now_ns=0)

    assert layer.drain() == [Send(bytes(answer), ("192.0.2.2", 5060))] * 2


def test_a_request_that_came_two_ways_is_noticed_while_the_first_lives() -> None:
    layer = TransactionLayer()
    first, second = request("OPTIONS"), request("OPTIONS", branch="z9hG4bKother")
    key = layer.open(first, source=PHONE, now_ns=0)
    assert layer.is_merged(second)
    other = layer.open(second, source=PHONE, now_ns=0)
    layer.respond(key, reply(first, 200), now_ns=0)
    layer.respond(other, reply(second, 482), now_ns=MS)

    layer.handle_timeout(now_ns=32_000 * MS)
    assert not layer.is_merged(second)
    layer.handle_timeout(now_ns=32_001 * MS)

    assert len(layer) == 0


def test_a_cancel_finds_the_invite_it_means() -> None:
    layer = TransactionLayer()
    key = layer.open(request("INVITE"), source=PHONE, now_ns=0)

    assert layer.cancelled(request("CANCEL")) == key
    assert layer.cancelled(request("CANCEL", branch="z9hG4bKother")) is None


def test_answering_a_request_that_is_gone_is_our_own_bug() -> None:
    layer = TransactionLayer()

    with pytest.raises(LocalProtocolError, match="200 to a request that is gone"):
        layer.respond("gone", reply(request(), 200), now_ns=0)
