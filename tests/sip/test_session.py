import pytest

from bridge.sip.events import (
    AcceptOffer,
    Answer,
    Answered,
    Arrived,
    Ended,
    Gone,
    Hangup,
    Offered,
    Pressed,
    RefuseOffer,
)
from bridge.sip.layer import Send
from bridge.sip.message import Response
from bridge.sip.methods import ALLOW
from bridge.sip.session_states import TRANSITIONS, State
from tests.sip.desk import BRIDGE_SDP, Desk, called, connected, standing
from tests.sip.messages import OFFER, raw, reply

HOLD = OFFER + b"a=sendonly\r\n"


def reinvite(
    call: str, *, number: int = 2, body: bytes = HOLD, contact: str = "<sip:lena@192.0.2.2>"
) -> bytes:
    return raw("INVITE", branch=f"z9hG4bKre{number}", to_tag=call, number=number, body=body, contact=contact)


def ack(call: str, *, number: int = 2, body: bytes = b"") -> bytes:
    return raw("ACK", branch=f"z9hG4bKack{number}", to_tag=call, number=number, body=body)


def test_a_reinvite_is_answered_within_the_call() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))
    offered = desk.the(Offered)
    assert (offered.call, offered.sdp) == (call, HOLD)

    desk.do(AcceptOffer(call, offered.ticket, BRIDGE_SDP))
    success = desk.response()

    assert (success.status, success.body, success.to.tag) == (200, BRIDGE_SDP, call)
    desk.wait(500)
    assert desk.lines() == ["200 INVITE"]
    desk.hear(ack(call))
    desk.wait(60_000)
    assert desk.look() == []
    assert desk.agent.calls == 1


def test_a_reinvite_whose_ack_never_comes_ends_the_call() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))
    desk.do(AcceptOffer(call, desk.the(Offered).ticket, BRIDGE_SDP))

    desk.wait(32_000)

    assert Ended(call, "no ack") in desk.look()


def test_a_reinvite_without_an_offer_gets_ours_and_the_ack_answers_it() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call, body=b""))
    offered = desk.the(Offered)
    assert offered.sdp == b""
    desk.do(AcceptOffer(call, offered.ticket, BRIDGE_SDP))

    desk.hear(ack(call, body=HOLD))

    assert desk.the(Answered) == Answered(call, HOLD)


def test_a_refused_reinvite_leaves_the_call_as_it_was() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))

    desk.do(RefuseOffer(call, desk.the(Offered).ticket))

    assert desk.lines() == ["488 INVITE"]
    desk.hear(raw("ACK", branch="z9hG4bKre2", to_tag=call, number=2))
    desk.hear(raw("OPTIONS", branch="z9hG4bKo", to_tag=call, number=3))
    assert desk.lines() == ["200 OPTIONS"]


def test_a_ticket_is_good_for_one_answer() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))
    ticket = desk.the(Offered).ticket
    desk.do(AcceptOffer(call, ticket, BRIDGE_SDP))
    desk.look()

    desk.do(AcceptOffer(call, ticket, BRIDGE_SDP))
    desk.do(RefuseOffer(call, ticket))

    assert desk.look() == []


def test_a_reinvite_moves_the_peer_to_its_new_contact() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call, contact="<sip:lena@192.0.2.77:5099>"))
    desk.do(AcceptOffer(call, desk.the(Offered).ticket, BRIDGE_SDP))
    desk.look()

    desk.do(Hangup(call))

    assert desk.request().uri == "sip:lena@192.0.2.77:5099"


def test_a_refused_reinvite_leaves_the_peer_where_it_was() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call, contact="<sip:lena@192.0.2.77:5099>"))
    desk.do(RefuseOffer(call, desk.the(Offered).ticket))
    desk.look()

    desk.do(Hangup(call))

    assert desk.request().uri == "sip:lena@192.0.2.2:5060"


def test_a_bye_goes_where_the_peers_nat_was_seen_last() -> None:
    desk = Desk()
    via, contact = "SIP/2.0/UDP 10.0.0.7:5060", "<sip:lena@10.0.0.7>"
    desk.hear(raw("INVITE", body=OFFER, via=via, contact=contact), ("192.0.2.2", 1111))
    call = desk.the(Arrived).call
    desk.do(Answer(call, BRIDGE_SDP))
    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call), ("192.0.2.2", 1111))
    again = raw("INVITE", branch="z9hG4bKre", to_tag=call, number=2, body=HOLD, via=via, contact=contact)
    desk.hear(again, ("192.0.2.3", 2222))
    desk.do(AcceptOffer(call, desk.the(Offered).ticket, BRIDGE_SDP))
    desk.look()

    desk.do(Hangup(call))

    assert desk.the(Send).destination == ("192.0.2.3", 2222)


def test_a_reinvite_reaches_a_call_that_we_placed() -> None:
    desk = Desk()
    connected(desk)

    desk.hear(raw("INVITE", call_id="our-call", from_tag="lena", to_tag="us", number=70, body=HOLD))

    offered = desk.the(Offered)
    assert offered.sdp == HOLD
    desk.do(AcceptOffer("us", offered.ticket, BRIDGE_SDP))
    desk.wait(500)
    assert desk.lines() == ["200 INVITE"] * 2


def test_a_reinvite_before_the_ack_shows_that_only_the_ack_was_lost() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.hear(reinvite(call))

    assert desk.the(Offered).sdp == HOLD


def test_while_an_offer_of_ours_is_open_a_reinvite_must_wait() -> None:
    desk = Desk()
    call = called(desk, body=b"")
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.hear(reinvite(call))

    assert desk.lines() == ["491 INVITE"]


def test_a_reinvite_while_another_one_waits_comes_too_soon() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))
    desk.look()

    desk.hear(reinvite(call, number=3))

    response = desk.response()
    assert response.status == 500
    assert 0 <= int(response.headers.get("Retry-After") or "-1") <= 10


def test_a_reinvite_before_our_first_answer_comes_too_soon() -> None:
    desk = Desk()
    call = called(desk)

    desk.hear(reinvite(call))

    assert desk.lines() == ["500 INVITE"]


def test_a_reinvite_after_our_bye_is_too_late() -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Hangup(call))
    desk.look()

    desk.hear(reinvite(call))

    assert desk.lines() == ["481 INVITE"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"application/sdp", b"text/plain"), 415),
        ((b"Contact: <sip:lena@192.0.2.2>", b"Contact: <oops"), 400),
        ((b"Max-Forwards: 70", b"Require: foo"), 420),
    ],
)
def test_a_reinvite_that_makes_no_sense_is_refused(change: tuple[bytes, bytes], status: int) -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(reinvite(call).replace(*change))

    assert desk.lines() == [f"{status} INVITE"]


@pytest.mark.parametrize("names_us", [True, False])
def test_a_cancelled_reinvite_leaves_the_call_as_it_was(names_us: bool) -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))
    ticket = desk.the(Offered).ticket

    desk.hear(raw("CANCEL", branch="z9hG4bKre2", to_tag=call if names_us else "", number=2))

    assert sorted(desk.lines()) == ["200 CANCEL", "487 INVITE"]
    desk.do(AcceptOffer(call, ticket, BRIDGE_SDP))
    assert desk.look() == []
    assert desk.agent.calls == 1


def test_a_cancel_after_the_answer_to_a_reinvite_is_accepted_and_does_nothing() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))
    desk.do(AcceptOffer(call, desk.the(Offered).ticket, BRIDGE_SDP))
    desk.look()

    desk.hear(raw("CANCEL", branch="z9hG4bKre2", to_tag=call, number=2))

    assert desk.lines() == ["200 CANCEL"]
    desk.hear(ack(call))
    assert desk.agent.calls == 1


def test_a_bye_refuses_the_offer_that_still_waits() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(reinvite(call))
    desk.look()

    desk.hear(raw("BYE", branch="z9hG4bKbye", to_tag=call, number=3))

    outputs = desk.look()
    assert Gone(call) in outputs
    desk.outputs = outputs
    assert sorted(desk.lines()) == ["200 BYE", "487 INVITE"]


def test_requests_out_of_order_are_refused() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(raw("OPTIONS", branch="z9hG4bK7", to_tag=call, number=7))
    desk.look()

    desk.hear(raw("OPTIONS", branch="z9hG4bK6", to_tag=call, number=6))

    assert desk.lines() == ["500 OPTIONS"]


def test_a_request_with_the_wrong_partner_is_unknown() -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(raw("BYE", branch="z9hG4bKb", to_tag=call, number=2, from_tag="thief"))
    desk.hear(raw("ACK", branch="z9hG4bKa", to_tag=call, number=2, from_tag="thief"))

    assert desk.lines() == ["481 BYE"]


def test_what_is_not_served_is_refused_within_the_call_too() -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(raw("PUBLISH", branch="z9hG4bKi", to_tag=call, number=2))

    (refused,) = desk.sent()
    assert isinstance(refused, Response)
    assert (refused.status, refused.headers.get("Allow")) == (405, ALLOW)


def told(call: str, body: bytes, *, number: int = 2, kind: str = "application/dtmf-relay") -> bytes:
    message = raw("INFO", branch=f"z9hG4bKi{number}", to_tag=call, number=number, body=body)
    return message.replace(b"application/sdp", kind.encode())


def test_a_key_in_an_info_is_answered_and_reported_once_however_often_it_is_repeated() -> None:
    desk = Desk()
    call = standing(desk)

    for _ in range(3):
        desk.hear(told(call, b"Signal=5\r\nDuration=200\r\n"))

    outputs = desk.look()
    assert [output for output in outputs if isinstance(output, Pressed)] == [Pressed(call, "5", 200)]
    assert [output.data[:11] for output in outputs if isinstance(output, Send)] == [b"SIP/2.0 200"] * 3


def test_keys_reach_a_call_of_ours_too() -> None:
    desk = Desk()
    connected(desk)

    desk.hear(
        raw("INFO", branch="z9hG4bKi", call_id="our-call", from_tag="lena", to_tag="us", body=b"#").replace(
            b"application/sdp", b"application/dtmf"
        )
    )

    assert desk.the(Pressed) == Pressed("us", "#", 160)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"Signal=77\r\n", "application/dtmf-relay", 400),
        (b"<x/>", "application/xml", 415),
        (b"", "", 200),
        (b"!", "application/dtmf", 200),
    ],
)
def test_an_info_that_holds_no_key_is_answered_and_the_call_goes_on(
    body: bytes, kind: str, status: int
) -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(told(call, body, kind=kind))

    assert desk.lines() == [f"{status} INFO"]
    desk.hear(told(call, b"Signal=1", number=3))
    assert desk.the(Pressed).digit == "1"


def test_an_info_outside_any_call_or_after_its_end_finds_none() -> None:
    desk = Desk()
    desk.hear(raw("INFO", branch="z9hG4bKi"))
    assert desk.lines() == ["481 INFO"]
    call = standing(desk)
    desk.hear(told("elsewhere", b"Signal=1"))
    assert desk.lines() == ["481 INFO"]
    desk.do(Hangup(call))
    desk.look()

    desk.hear(told(call, b"Signal=1", number=3))

    assert desk.lines() == ["481 INFO"]


def test_the_answer_to_a_bye_may_come_while_its_peer_hangs_up_too() -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Hangup(call))
    bye = desk.request()
    desk.hear(reply(bye, 200, to_tag="phone"))

    assert desk.look() == [Gone(call)]
    desk.hear(raw("BYE", branch="z9hG4bKb", to_tag=call, number=2))
    assert desk.lines() == ["481 BYE"]


def test_every_state_has_a_row_and_leads_to_the_end() -> None:
    assert set(TRANSITIONS) == set(State)
    for state in State:
        seen = {state}
        while grown := {after for found in seen for after in TRANSITIONS[found].values()} - seen:
            seen |= grown
        assert State.ENDED in seen


def test_a_call_that_ends_unacknowledged_has_no_session_to_refresh() -> None:
    """Found by fuzzing: a deadline that nobody served kept the loop busy for ever."""
    desk = Desk()
    call = called(desk, extra=("Session-Expires: 90", "Supported: timer"))
    desk.do(Answer(call, BRIDGE_SDP))

    desk.wait(200_000)

    assert (desk.agent.calls, desk.agent.transactions, desk.agent.deadline_ns) == (0, 0, None)
