"""Transfers as an agent's calls have them: REFER and NOTIFY both ways."""

import pytest

from bridge.sip.digest import Credentials
from bridge.sip.events import Ended, Established, Hangup, Output
from bridge.sip.message import Request
from bridge.sip.refer_events import (
    AcceptReferral,
    Refer,
    Referred,
    RefuseReferral,
    TellReferral,
    Texted,
    Transferring,
)
from tests.sip.desk import Desk, called, connected, placed, standing
from tests.sip.messages import OFFER, PHONE, raw, reply

ANN = "sip:ann@192.0.2.5"


def within(call: str, method: str, *fields: str, number: int = 2, body: bytes = b"") -> bytes:
    """A request of the phone in its call; its body is not SDP."""
    whole = raw(method, branch=f"z9hG4bK{method}{number}", to_tag=call, number=number, extra=fields)
    return whole.replace(b"Content-Length: 0", f"Content-Length: {len(body)}".encode()) + body


def notify(call: str, status: str, *, state: str = "active", number: int = 2, event: str = "refer") -> bytes:
    fields = (f"Event: {event}", f"Subscription-State: {state}", "Content-Type: message/sipfrag")
    return within(call, "NOTIFY", *fields, number=number, body=f"SIP/2.0 {status}\r\n".encode())


def refer(call: str, *more: str, to: str = f"<{ANN}>", number: int = 2) -> bytes:
    return within(call, "REFER", f"Refer-To: {to}", *more, number=number)


def told(desk: Desk) -> list[tuple[int, bool]]:
    return [(each.status, each.is_over) for each in desk.look() if isinstance(each, Transferring)]


def referring(desk: Desk) -> tuple[str, Request]:
    """A phone has called and is asked to call Ann."""
    call = standing(desk)
    desk.do(Refer(call, ANN))
    return call, desk.request()


def test_a_blind_transfer_is_a_refer_within_the_call() -> None:
    desk = Desk()
    call, asked = referring(desk)

    assert (asked.method, asked.uri, asked.from_.tag, asked.to.tag) == (
        "REFER",
        "sip:lena@192.0.2.2:5060",
        call,
        "phone",
    )
    assert asked.headers.get("Refer-To") == f"<{ANN}>"
    assert asked.headers.get("Referred-By") == f"<sip:bot@192.0.2.9>;tag={call}"
    assert asked.headers.get("Supported") == "replaces, norefersub"


def test_what_becomes_of_it_is_told_step_by_step() -> None:
    desk = Desk()
    call, asked = referring(desk)

    desk.hear(reply(asked, 202, to_tag=call))
    desk.hear(notify(call, "100 Trying", number=2))
    desk.hear(notify(call, "180 Ringing", number=3, event=f"refer;id={asked.cseq.number}"))
    desk.hear(notify(call, "200 OK", number=4, state="terminated;reason=noresource"))

    outputs = desk.look()
    assert [(o.status, o.reason, o.is_over) for o in outputs if isinstance(o, Transferring)] == [
        (202, "Accepted", False),
        (100, "Trying", False),
        (180, "Ringing", False),
        (200, "OK", True),
    ]
    assert all(o.is_accepted for o in outputs if isinstance(o, Transferring))
    desk.hear(notify(call, "200 OK", number=5))
    assert desk.response().status == 481


def test_a_notify_that_overtakes_the_202_is_the_last_word_all_the_same() -> None:
    desk = Desk()
    call, asked = referring(desk)
    desk.hear(notify(call, "486 Busy Here", state="terminated"))
    desk.hear(reply(asked, 202, to_tag=call))

    assert told(desk) == [(486, True)]
    assert desk.agent.calls == 1


@pytest.mark.parametrize(("status", "is_over"), [(403, True), (405, True), (202, False)])
def test_the_peer_may_refuse(status: int, is_over: bool) -> None:
    desk = Desk()
    call, asked = referring(desk)

    desk.hear(reply(asked, status, to_tag=call))

    output = desk.the(Transferring)
    assert (output.status, output.is_over, output.is_accepted) == (status, is_over, not is_over)


def test_a_peer_that_will_not_tell_is_done_with_its_202() -> None:
    desk = Desk()
    call, asked = referring(desk)

    desk.hear(reply(asked, 202, to_tag=call, extra=(("Refer-Sub", "false"),)))

    assert told(desk) == [(202, True)]


def test_a_peer_that_never_answers_has_refused() -> None:
    desk = Desk()
    referring(desk)
    desk.look()

    desk.wait(32_000)

    assert told(desk) == [(408, True)]


def test_a_provisional_answer_says_nothing() -> None:
    desk = Desk()
    call, asked = referring(desk)

    desk.hear(reply(asked, 100, to_tag=call))

    assert told(desk) == []


def test_a_challenged_refer_goes_out_again_and_its_new_number_names_it() -> None:
    desk = Desk()
    invite = placed(desk, credentials=Credentials("desk", "sesame"))
    desk.hear(reply(invite, 200, to_tag="lena", contact="<sip:lena@192.0.2.2:5062>", body=OFFER))
    desk.the(Established)
    desk.do(Refer("us", ANN))
    first = desk.request()
    desk.hear(reply(first, 401, extra=(("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'),)))

    second = desk.request()

    assert second.method == "REFER"
    assert second.headers.get("Authorization")
    assert (second.cseq.number, second.headers.get("Refer-To")) == (first.cseq.number + 1, f"<{ANN}>")
    desk.hear(reply(second, 202))
    told_by_lena = raw(
        "NOTIFY",
        branch="z9hG4bKn",
        call_id="our-call",
        from_tag="lena",
        to_tag="us",
        extra=(f"Event: refer;id={second.cseq.number}", "Subscription-State: terminated"),
    )
    desk.hear(told_by_lena)
    assert told(desk) == [(202, False), (0, True)]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (("Event: presence", "Subscription-State: active"), 489),
        (("Subscription-State: active",), 489),
        (("Event: refer;id=77", "Subscription-State: active"), 481),
        (("Event: refer", "Subscription-State: asleep"), 400),
    ],
)
def test_a_notify_about_something_else_is_refused(fields: tuple[str, ...], status: int) -> None:
    desk = Desk()
    call, _ = referring(desk)

    desk.hear(within(call, "NOTIFY", *fields))

    assert desk.response().status == status


def test_another_refer_takes_the_place_of_one_that_nobody_waits_for() -> None:
    desk = Desk()
    call, first = referring(desk)
    desk.do(Refer(call, "sip:bob@192.0.2.5"))
    second = desk.request()
    desk.hear(reply(first, 202, to_tag=call))
    desk.hear(reply(second, 202, to_tag=call))
    desk.hear(notify(call, "200 OK", event=f"refer;id={first.cseq.number}"))

    assert told(desk) == [(202, False)]


def test_an_attended_transfer_names_the_other_call_as_its_peer_knows_it() -> None:
    desk = Desk()
    call = standing(desk)
    connected(desk)

    desk.do(Refer(call, "", replacing="us"))

    refer_to = desk.request().headers.get("Refer-To")
    assert refer_to == "<sip:lena@192.0.2.2:5062?Replaces=our-call%3Bto-tag%3Dlena%3Bfrom-tag%3Dus>"


@pytest.mark.parametrize("other", ["nobody", "us"])
def test_a_call_that_does_not_stand_cannot_be_handed_over(other: str) -> None:
    desk = Desk()
    call = standing(desk)
    placed(desk)

    desk.do(Refer(call, "", replacing=other))

    output = desk.the(Transferring)
    assert (output.status, output.is_over, output.is_accepted) == (481, True, False)


def test_a_call_that_does_not_stand_cannot_be_transferred() -> None:
    desk = Desk()
    call = called(desk)
    placed(desk)
    for name in (call, "us"):
        desk.do(Refer(name, ANN))
        assert told(desk) == [(481, True)]
        desk.do(AcceptReferral(name, "nothing"))
        assert desk.look() == []

    desk.do(Refer("nobody", ANN))

    assert desk.look() == []


def test_a_peer_asks_for_a_call_and_hears_how_it_goes() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call, "Referred-By: <sip:lena@192.0.2.2>"))
    referred = desk.the(Referred)
    assert (referred.call, referred.target, referred.replaces) == (call, ANN, "")
    assert referred.referred_by == "<sip:lena@192.0.2.2>"

    desk.do(AcceptReferral(call, referred.ticket))
    accepted, first = desk.sent()
    desk.do(TellReferral(call, referred.ticket, 180))
    second = desk.request()
    desk.do(TellReferral(call, referred.ticket, 200, "Fine"))
    last = desk.request()

    assert accepted.headers.get("Refer-Sub") is None
    assert [each.headers.get("Event") for each in (first, second, last)] == ["refer;id=2"] * 3
    assert [each.body for each in (first, second, last)] == [
        b"SIP/2.0 100 Trying\r\n",
        b"SIP/2.0 180 Ringing\r\n",
        b"SIP/2.0 200 Fine\r\n",
    ]
    assert second.headers.get("Subscription-State") == "active;expires=180"
    assert last.headers.get("Subscription-State") == "terminated;reason=noresource"
    assert last.headers.get("Content-Type") == "message/sipfrag;version=2.0"
    desk.hear(reply(last, 200))
    desk.do(TellReferral(call, referred.ticket, 200))
    desk.do(AcceptReferral(call, referred.ticket))
    assert desk.look() == []


def test_who_wants_no_word_gets_none() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call, "Refer-Sub: false", "Supported: norefersub"))
    referred = desk.the(Referred)

    desk.do(AcceptReferral(call, referred.ticket))
    accepted = desk.response()
    desk.do(TellReferral(call, referred.ticket, 200))

    assert (accepted.status, accepted.headers.get("Refer-Sub")) == (202, "false")
    assert desk.look() == []


def test_nothing_is_told_before_it_is_accepted_and_nothing_refused_after() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call))
    ticket = desk.the(Referred).ticket
    desk.do(TellReferral(call, ticket, 180))
    assert desk.look() == []
    desk.do(AcceptReferral(call, ticket))
    desk.look()

    for command in (AcceptReferral(call, ticket), RefuseReferral(call, ticket)):
        desk.do(command)

    assert desk.look() == []


@pytest.mark.parametrize("status", [403, 603])
def test_a_refer_may_be_refused_and_the_call_goes_on(status: int) -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call))
    desk.do(RefuseReferral(call, desk.the(Referred).ticket, status))

    assert desk.response().status == status
    desk.hear(refer(call, number=3))
    assert desk.the(Referred).target == ANN
    desk.do(RefuseReferral(call, "nothing"))
    assert desk.look() == []


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("<tel:+4930>", 416),
        ("<http://example.org>", 416),
        ("<sip:ann@192.0.2.5;method=BYE>", 403),
        ("<nobody>", 400),
    ],
)
def test_only_phones_can_be_called(to: str, status: int) -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(refer(call, to=to))

    assert desk.response().status == status
    assert not [output for output in desk.look() if isinstance(output, Referred)]


def test_who_is_to_be_called_by_tls_stays_so() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call, to="<sips:ann@192.0.2.5>"))
    referred = desk.the(Referred)
    assert (referred.target, referred.source) == ("sips:ann@192.0.2.5", PHONE)


def test_one_at_a_time_and_eight_in_a_call() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call, number=2))
    ticket = desk.the(Referred).ticket
    desk.hear(refer(call, number=3))
    assert desk.response().status == 491
    desk.do(RefuseReferral(call, ticket))
    for number in range(4, 11):
        desk.hear(refer(call, number=number))
        desk.do(RefuseReferral(call, desk.the(Referred).ticket))
    desk.look()

    desk.hear(refer(call, number=11))

    assert desk.response().status == 403


def told_after(status: int) -> Desk:
    """The first NOTIFY is answered with this, and then there is more to tell."""
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call))
    ticket = desk.the(Referred).ticket
    desk.do(AcceptReferral(call, ticket))
    _, first = desk.sent()
    assert isinstance(first, Request)
    desk.hear(reply(first, status))
    desk.do(TellReferral(call, ticket, 200))
    return desk


def test_a_peer_that_does_not_know_its_subscription_any_more_is_told_nothing_more() -> None:
    assert told_after(481).look() == []


def test_a_notify_that_was_overtaken_is_not_the_end() -> None:
    assert told_after(500).request().body == b"SIP/2.0 200 OK\r\n"


def test_the_end_of_the_call_ends_what_is_open() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(refer(call))
    ticket = desk.the(Referred).ticket
    desk.hear(within(call, "BYE", 'Reason: SIP;cause=200;text="done"', number=3))

    outputs: list[Output] = desk.outputs
    (ended,) = [output for output in outputs if isinstance(output, Ended)]
    assert ended.cause == 'SIP;cause=200;text="done"'
    assert "481 REFER" in desk.lines()
    desk.do(TellReferral(call, ticket, 200))
    assert desk.look() == []


@pytest.mark.parametrize("method", ["REFER", "NOTIFY", "MESSAGE"])
def test_a_call_that_ends_takes_no_orders(method: str) -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Hangup(call))
    desk.look()

    desk.hear(within(call, method, f"Refer-To: <{ANN}>"))

    assert desk.response().status == 481


def test_a_text_is_answered_and_handed_on() -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(within(call, "MESSAGE", "Content-Type: text/plain", body=b"hello"))

    outputs = desk.look()
    assert Texted(call, "hello") in outputs
    desk.hear(within(call, "MESSAGE", "Content-Type: text/html", number=3, body=b"<b>"))
    assert desk.response().status == 415


def test_a_text_outside_a_call_is_answered_and_goes_nowhere() -> None:
    desk = Desk()
    desk.hear(raw("MESSAGE", extra=("Content-Type: text/plain",)))
    assert desk.response().status == 200
    desk.hear(raw("MESSAGE", branch="z9hG4bK2", number=2, extra=("Content-Type: text/html",)))
    assert desk.response().status == 415
    assert desk.agent.counters["texts"] == 2


@pytest.mark.parametrize(("method", "status"), [("REFER", 403), ("NOTIFY", 481), ("SUBSCRIBE", 489)])
def test_transfers_belong_to_calls(method: str, status: int) -> None:
    desk = Desk()

    desk.hear(raw(method, extra=("Event: refer", f"Refer-To: <{ANN}>")))

    assert desk.response().status == status
