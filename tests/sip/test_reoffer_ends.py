"""Changes of ours that go another way than they should, and changes before a call is answered."""

import pytest

from bridge.sip.agent import AgentSettings
from bridge.sip.digest import Credentials
from bridge.sip.events import (
    AcceptOffer,
    Arrived,
    Ended,
    Established,
    Hangup,
    Offer,
    OfferDue,
    Offered,
    Place,
    Progress,
    Reoffer,
    Reoffered,
)
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from bridge.sip.session_timer import SessionTimer, SessionTimerSettings
from tests.fakes import MS
from tests.sip.desk import BRIDGE_SDP, Desk, connected, placed
from tests.sip.messages import BRIDGE_IP, OFFER, PHONE, raw, reply

HELD = BRIDGE_SDP + b"a=sendonly\r\n"
GONE = "the other side knows no such call"
THEIRS = {"call_id": "our-call", "from_tag": "lena", "to_tag": "us"}


def change(desk: Desk) -> Request:
    desk.do(Reoffer("us", "t", HELD))
    return desk.request()


def refreshing() -> tuple[Desk, Request]:
    """A call of ours that is about to be refreshed by UPDATE; returns that."""
    desk = Desk(AgentSettings(allow=("192.0.2.0/24",), timer=SessionTimerSettings(600, 90)))
    extra = (("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE"))
    contact = "<sip:lena@192.0.2.2>"
    desk.hear(reply(placed(desk), 200, to_tag="lena", contact=contact, body=OFFER, extra=extra))
    desk.look()
    desk.wait(300_000)
    return desk, desk.request()


def test_an_offer_that_nobody_asked_for_is_not_sent() -> None:
    desk = Desk()
    connected(desk)

    desk.do(Offer("us", "t", HELD))
    change(desk)
    desk.do(Offer("us", "t", HELD))

    assert desk.look() == []
    desk.do(Hangup("us"))
    desk.look()
    desk.do(Offer("us", "t", HELD))
    assert desk.look() == []


def test_an_offer_under_another_ticket_is_not_the_one_that_was_asked_for() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(reply(change(desk), 491))
    desk.look()
    desk.wait(4000)
    assert desk.the(OfferDue).ticket == "t"

    desk.do(Offer("us", "other", HELD))

    assert desk.look() == []


def test_whoever_accepts_a_change_may_have_moved() -> None:
    desk = Desk()
    connected(desk)

    desk.hear(reply(change(desk), 200, contact="<sip:lena@192.0.2.2:5099>", body=OFFER))
    desk.look()
    desk.do(Hangup("us"))

    assert desk.request().uri == "sip:lena@192.0.2.2:5099"


def test_whoever_accepts_a_change_without_a_word_of_where_it_is_has_stayed() -> None:
    desk = Desk()
    connected(desk)

    desk.hear(reply(change(desk), 200, contact="", body=OFFER))
    desk.look()
    desk.do(Hangup("us"))

    assert desk.request().uri == "sip:lena@192.0.2.2:5062"


def test_a_peer_that_never_makes_up_its_mind_has_hung_up() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(reply(change(desk), 100))

    desk.wait(32_499)
    assert desk.look() == []
    desk.wait(1)

    assert desk.the(Ended).reason == GONE


@pytest.mark.parametrize(("after", "wait_ms"), [("3 (busy);duration=9", 3000), ("3600", 10_000)])
def test_who_asks_for_time_gets_it(after: str, wait_ms: int) -> None:
    desk = Desk()
    connected(desk)

    desk.hear(reply(change(desk), 500, extra=(("Retry-After", after),)))
    desk.look()

    desk.wait(wait_ms - 1)
    assert desk.look() == []
    desk.wait(1)
    assert desk.the(OfferDue).ticket == "t"


@pytest.mark.parametrize("after", ["soon", "9999999", ""])
def test_who_fails_without_naming_a_time_has_refused(after: str) -> None:
    desk = Desk()
    connected(desk)

    desk.hear(reply(change(desk), 500, extra=(("Retry-After", after),)))

    assert desk.the(Reoffered).status == 500


def test_the_acknowledgement_of_a_challenged_change_carries_its_credentials() -> None:
    desk = Desk()
    credentials = Credentials("bridge", "secret")
    uri = "sip:lena@192.0.2.2"
    desk.do(Place("us", "our-call", uri, PHONE, BRIDGE_IP, BRIDGE_SDP, credentials=credentials))
    desk.hear(reply(desk.request(), 200, to_tag="lena", contact=f"<{uri}>", body=OFFER))
    desk.look()
    asks = (("WWW-Authenticate", 'Digest realm="pbx", nonce="1", qop="auth"'),)

    desk.hear(reply(change(desk), 401, extra=asks))
    again = desk.sent()[-1]
    assert isinstance(again, Request)
    desk.hear(reply(again, 200, contact="", body=OFFER))

    (ack,) = [output.data for output in desk.look() if isinstance(output, Send)]
    assert b"CSeq: 3 ACK" in ack
    assert b"Authorization: " in ack


def test_a_refresh_that_is_too_short_is_asked_for_again_at_once() -> None:
    desk, update = refreshing()

    desk.hear(reply(update, 422, extra=(("Min-SE", "700"),)))

    again = desk.request()
    assert (again.method, again.headers.get("Session-Expires")) == ("UPDATE", "700;refresher=uac")
    assert again.cseq.number == update.cseq.number + 1
    desk.hear(reply(again, 422, extra=(("Min-SE", "650"),)))
    assert desk.lines() == []


@pytest.mark.parametrize("status", [405, 501])
def test_who_turns_out_not_to_take_update_is_refreshed_in_the_old_way(status: int) -> None:
    desk, update = refreshing()

    desk.hear(reply(update, status))
    assert desk.look() == []
    desk.wait(150_000)

    assert desk.the(OfferDue) == OfferDue("us", "", BRIDGE_SDP)


def test_a_refresh_that_collides_is_tried_again_as_it_was() -> None:
    desk, update = refreshing()

    desk.hear(reply(update, 491))
    desk.wait(4000)

    assert set(desk.lines()) == {"UPDATE"}


def test_who_finds_every_interval_too_short_is_believed_three_times() -> None:
    timer = SessionTimer(SessionTimerSettings(300))
    answers = [reply(raw("INVITE"), 422, extra=(("Min-SE", str(min_se)),)) for min_se in range(500, 900, 100)]

    assert [timer.raised(answer) for answer in answers] == [True, True, True, False]
    assert timer.ask()[0] == ("Session-Expires", "700")


def test_a_change_that_is_open_when_the_call_ends_keeps_no_clock_running() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(reply(change(desk), 100))
    desk.do(Hangup("us"))
    desk.look()

    while (due_ns := desk.agent.deadline_ns) is not None:
        before_ns = desk.clock.now_ns()
        desk.wait((due_ns - before_ns) / MS)
        assert desk.agent.deadline_ns is None or desk.agent.deadline_ns > due_ns

    assert desk.agent.calls == 0


# What follows happens before the call is answered.


def progressed(*, body: bytes = OFFER) -> tuple[Desk, str, Response]:
    """A caller who insists on reliable answers has got our description."""
    desk = Desk()
    desk.hear(raw("INVITE", body=body, extra=("Require: 100rel",)))
    call = desk.the(Arrived).call
    desk.do(Progress(call, BRIDGE_SDP))
    return desk, call, desk.response()


def update(call: str, number: int) -> bytes:
    return raw("UPDATE", branch=f"z9hG4bKu{number}", to_tag=call, number=number, body=OFFER)


def test_a_caller_may_change_the_call_once_it_has_acknowledged_our_answer() -> None:
    desk, call, progress = progressed()
    desk.hear(update(call, 2))
    assert desk.lines() == ["500 UPDATE"]
    rack = f"RAck: {progress.headers.get('RSeq')} 1 INVITE"
    desk.hear(raw("PRACK", branch="z9hG4bKp", to_tag=call, number=3, extra=(rack,)))
    desk.look()

    desk.hear(update(call, 4))
    desk.do(AcceptOffer(call, desk.the(Offered).ticket, BRIDGE_SDP))

    assert desk.lines() == ["200 UPDATE"]


def test_a_change_while_our_early_offer_waits_is_a_collision() -> None:
    desk, call, _ = progressed(body=b"")

    desk.hear(update(call, 2))

    assert desk.lines() == ["491 UPDATE"]


def test_a_callee_may_change_the_call_once_its_answer_has_come_reliably() -> None:
    desk = Desk()
    invite = placed(desk)
    contact = "<sip:lena@192.0.2.2>"

    def say(rseq: str, body: bytes) -> None:
        extra = (("Require", "100rel"), ("RSeq", rseq))
        desk.hear(reply(invite, 183, to_tag="lena", contact=contact, extra=extra, body=body))
        desk.look()

    desk.hear(raw("UPDATE", branch="z9hG4bK1", number=1, body=OFFER, **THEIRS))  # type: ignore[arg-type]
    assert desk.lines() == ["481 UPDATE"]
    say("7", b"")
    desk.hear(raw("UPDATE", branch="z9hG4bK2", number=2, body=OFFER, **THEIRS))  # type: ignore[arg-type]
    assert desk.lines() == ["491 UPDATE"]
    say("8", OFFER)

    desk.hear(raw("UPDATE", branch="z9hG4bK3", number=3, body=OFFER, **THEIRS))  # type: ignore[arg-type]
    desk.do(AcceptOffer("us", desk.the(Offered).ticket, BRIDGE_SDP))
    assert desk.lines() == ["200 UPDATE"]
    desk.hear(raw("BYE", branch="z9hG4bK4", number=4, **THEIRS))  # type: ignore[arg-type]
    assert desk.lines() == ["481 BYE"]
    desk.hear(reply(invite, 200, to_tag="lena", contact=contact))

    assert desk.the(Established).sdp == OFFER
    desk.hear(raw("BYE", branch="z9hG4bK5", number=3, **THEIRS))  # type: ignore[arg-type]
    assert desk.lines() == ["500 BYE"]
