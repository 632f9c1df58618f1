"""Provisional answers that must arrive, in both roles (RFC 3262)."""

import pytest

from bridge.sip.events import (
    AcceptOffer,
    Answer,
    Answered,
    Arrived,
    Ended,
    Established,
    Hangup,
    Offered,
    Progress,
    Progressed,
    RefuseOffer,
    Reoffer,
    Ring,
)
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from tests.sip.desk import BRIDGE_SDP, Desk, called, placed
from tests.sip.messages import OFFER, raw, reply

HELD, MUTE = OFFER + b"a=sendonly\r\n", BRIDGE_SDP + b"a=recvonly\r\n"
REQUIRE, SUPPORT = "Require: 100rel", "Supported: 100rel"


def prack(
    call: str,
    rseq: str | int,
    *,
    number: int = 2,
    body: bytes = b"",
    invite: int = 1,
    contact: str | None = None,
) -> bytes:
    extra = (f"RAck: {rseq} {invite} INVITE",) if rseq != "" else ()
    return raw(
        "PRACK",
        branch=f"z9hG4bKp{number}",
        to_tag=call,
        number=number,
        extra=extra,
        body=body,
        contact=contact,
    )


def last(desk: Desk) -> Response:
    message = desk.sent()[-1]
    assert isinstance(message, Response)
    return message


def test_a_caller_who_insists_is_rung_until_it_acknowledges() -> None:
    desk = Desk()
    call = called(desk, extra=(REQUIRE,))
    desk.do(Ring(call))
    ringing = last(desk)
    assert (ringing.status, ringing.headers.get("Require")) == (180, "100rel")
    rseq = ringing.headers.get("RSeq")
    desk.wait(500)
    assert desk.lines() == ["180 INVITE"]
    desk.wait(1000)
    assert desk.lines() == ["180 INVITE"]
    desk.hear(prack(call, f"{rseq}"))
    assert desk.lines() == ["200 PRACK"]
    desk.wait(10_000)
    assert desk.lines() == []


def test_the_answer_waits_for_the_acknowledgement_and_what_was_said_comes_in_order() -> None:
    desk = Desk()
    call = called(desk, extra=(SUPPORT,))
    desk.do(Progress(call, BRIDGE_SDP))
    early = last(desk)
    assert (early.status, early.body) == (183, BRIDGE_SDP)
    rseq = int(early.headers.get("RSeq") or 0)
    desk.do(Progress(call, BRIDGE_SDP))
    desk.do(Answer(call, BRIDGE_SDP))
    assert desk.lines() == []
    desk.hear(prack(call, rseq))
    again, done = desk.sent()
    assert isinstance(again, Response)
    assert (again.status, again.headers.get("RSeq")) == (183, str(rseq + 1))
    assert isinstance(done, Response)
    assert done.cseq.method == "PRACK"
    desk.hear(prack(call, rseq + 1, number=3))
    _, answer = desk.sent()
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (200, b"")  # said before
    desk.hear(raw("ACK", branch="z9hG4bKa", to_tag=call))
    desk.the(Established)


def test_a_plain_180_stays_plain_for_who_only_could_acknowledge_it() -> None:
    desk = Desk()
    call = called(desk, extra=(SUPPORT,))
    desk.do(Ring(call))
    assert last(desk).headers.get("RSeq") is None


def test_the_offer_is_ours_and_its_answer_comes_in_the_prack() -> None:
    desk = Desk()
    desk.hear(raw("INVITE", extra=(REQUIRE,)))
    arrived = desk.the(Arrived)
    assert arrived.wants_early_offer
    call = arrived.call
    desk.do(Ring(call))
    assert desk.lines() == []  # our offer must come first
    desk.do(Progress(call, BRIDGE_SDP))
    rseq = last(desk).headers.get("RSeq") or ""
    desk.hear(prack(call, rseq, body=OFFER))
    (answered,) = [output for output in desk.look() if isinstance(output, Answered)]
    assert answered.sdp == OFFER
    desk.do(Ring(call))
    desk.hear(prack(call, int(rseq) + 1, number=3))
    desk.look()
    desk.do(Answer(call, BRIDGE_SDP))
    assert last(desk).body == b""
    desk.hear(raw("ACK", branch="z9hG4bKa", to_tag=call))
    assert desk.the(Established).sdp == b""


@pytest.mark.parametrize(
    ("rack", "status"), [("", 400), ("x 1 INVITE", 400), ("1 1 INVITE", 481), ("1 1 BYE", 400)]
)
def test_a_prack_for_nothing_is_refused(rack: str, status: int) -> None:
    desk = Desk()
    call = called(desk, extra=(REQUIRE,))
    desk.do(Ring(call))
    desk.look()
    extra = (f"RAck: {rack}",) if rack else ()
    desk.hear(raw("PRACK", branch="z9hG4bKp", to_tag=call, number=2, extra=extra))
    assert last(desk).status == status


def test_an_offer_before_the_first_was_answered_is_refused_and_the_response_is_acknowledged() -> None:
    desk = Desk()
    call = called(desk, extra=(REQUIRE,))
    desk.do(Ring(call))
    # The answer is on its way to be said, and the caller has not seen it.
    desk.do(Progress(call, BRIDGE_SDP))
    rseq = int(ringing_of(desk).headers.get("RSeq") or 0)
    desk.hear(prack(call, rseq, body=OFFER))
    assert last(desk).status == 488
    desk.do(Answer(call, BRIDGE_SDP))
    desk.hear(prack(call, rseq + 1, number=3))
    assert desk.lines() == ["200 PRACK", "200 INVITE"]


def ringing_of(desk: Desk) -> Response:
    (response,) = desk.sent()
    assert isinstance(response, Response)
    return response


def described(*, body: bytes = OFFER) -> tuple[Desk, str, int]:
    """A caller who insists got our description; returns its number."""
    desk = Desk()
    desk.hear(raw("INVITE", body=body, extra=(REQUIRE, "Allow: INVITE, PRACK, UPDATE")))
    call = desk.the(Arrived).call
    desk.do(Progress(call, BRIDGE_SDP))
    return desk, call, int(last(desk).headers.get("RSeq") or 0)


def test_an_offer_in_a_prack_is_answered_in_its_200_and_the_answer_to_the_call_waits_for_that() -> None:
    desk, call, rseq = described()
    desk.do(Answer(call, BRIDGE_SDP))
    contact = "<sip:elsewhere@192.0.2.2:5099>"
    desk.hear(prack(call, rseq, body=HELD, contact=contact))
    offered = desk.the(Offered)
    assert (offered.call, offered.sdp) == (call, HELD)

    desk.do(AcceptOffer(call, offered.ticket, MUTE))

    agreed, answer = desk.sent()
    assert isinstance(agreed, Response)
    assert isinstance(answer, Response)
    assert (agreed.status, agreed.cseq.method, agreed.body) == (200, "PRACK", MUTE)
    assert agreed.headers.get("Content-Type") == "application/sdp"
    assert agreed.headers.get("Contact") is None
    assert (answer.status, answer.cseq.method, answer.body) == (200, "INVITE", b"")
    desk.hear(raw("ACK", branch="z9hG4bKa", to_tag=call))
    # Where it was said to be before: a PRACK moves nobody.
    assert "5099" not in desk.the(Established).remote_uri


@pytest.mark.parametrize("body", [OFFER, b""])
def test_an_offer_may_be_made_with_any_later_acknowledgement(body: bytes) -> None:
    desk, call, rseq = described(body=body)
    desk.hear(prack(call, rseq, body=b"" if body else OFFER))
    desk.do(Ring(call))
    desk.look()

    desk.hear(prack(call, rseq + 1, number=3, body=HELD))
    desk.do(AcceptOffer(call, desk.the(Offered).ticket, MUTE))

    assert last(desk).body == MUTE
    desk.do(Answer(call, BRIDGE_SDP))
    assert desk.lines() == ["200 INVITE"]


def test_an_offer_in_a_prack_that_cannot_be_is_refused_and_the_call_goes_on_as_it_was() -> None:
    desk, call, rseq = described()
    desk.do(Answer(call, BRIDGE_SDP))
    desk.hear(prack(call, rseq, body=HELD))
    desk.do(RefuseOffer(call, desk.the(Offered).ticket, 488))
    assert desk.lines() == ["488 PRACK", "200 INVITE"]


def test_an_offer_in_a_prack_collides_with_any_other_that_is_open() -> None:
    desk, call, rseq = described()
    desk.hear(prack(call, rseq))
    desk.look()
    desk.do(Reoffer(call, "t", MUTE))
    desk.do(Ring(call))
    desk.look()
    desk.hear(prack(call, rseq + 1, number=3, body=HELD))
    assert desk.lines() == ["491 PRACK"]

    desk, call, rseq = described()
    desk.do(Ring(call))
    desk.hear(prack(call, rseq, body=HELD))
    desk.look()
    desk.hear(prack(call, rseq + 1, number=3, body=HELD))
    assert (last(desk).status, desk.look()) == (500, [])


def test_what_a_prack_carries_and_is_no_description_is_not_understood() -> None:
    desk, call, rseq = described()
    offer = prack(call, rseq, body=b"hello").replace(b"application/sdp", b"text/plain")
    desk.hear(offer)
    assert last(desk).status == 415


def test_an_offer_that_nobody_has_decided_when_the_call_is_taken_back_is_over() -> None:
    desk, call, rseq = described()
    desk.hear(prack(call, rseq, body=HELD))
    desk.hear(raw("CANCEL"))
    assert desk.lines() == ["200 CANCEL", "487 INVITE", "487 PRACK"]


def test_a_call_that_nobody_acknowledges_is_given_up() -> None:
    desk = Desk()
    call = called(desk, extra=(REQUIRE,))
    desk.do(Ring(call))
    desk.do(Answer(call, BRIDGE_SDP))
    desk.wait(32_000)
    outputs = desk.look()
    assert [output.reason for output in outputs if isinstance(output, Ended)] == ["no prack"]
    assert b"SIP/2.0 504 " in [output for output in outputs if isinstance(output, Send)][-1].data


def test_nothing_more_is_said_once_it_is_refused_or_answered() -> None:
    desk = Desk()
    call = called(desk, extra=(REQUIRE,))
    desk.do(Ring(call))
    rseq = last(desk).headers.get("RSeq") or ""
    desk.hear(raw("CANCEL"))
    assert "487 INVITE" in desk.lines()
    desk.hear(prack(call, rseq))
    assert last(desk).status == 481
    desk.wait(400)
    assert desk.lines() == []


def test_a_prack_to_a_caller_is_refused() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.hear(reply(invite, 200, to_tag="lena", contact="<sip:lena@192.0.2.2>", body=OFFER))
    desk.look()
    desk.hear(
        raw(
            "PRACK",
            branch="z9hG4bKp",
            call_id="our-call",
            from_tag="lena",
            to_tag="us",
            extra=("RAck: 1 1 INVITE",),
        )
    )
    assert last(desk).status == 481


def ringing(
    invite: Request, status: int, rseq: str, *, tag: str = "lena", contact: str = "<sip:lena@192.0.2.2>"
) -> Response:
    response = reply(invite, status, to_tag=tag, contact=contact, body=OFFER if status == 183 else b"")
    response.headers.add("Require", "100rel")
    if rseq:
        response.headers.add("RSeq", rseq)
    return response


def test_a_caller_acknowledges_each_one_once_and_in_order() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.hear(ringing(invite, 183, "7"))
    outputs = desk.look()
    assert [output.status for output in outputs if isinstance(output, Progressed)] == [183]
    (sent,) = [output for output in outputs if isinstance(output, Send)]
    assert b"\r\nRAck: 7 1 INVITE\r\n" in sent.data
    assert b"CSeq: 2 PRACK" in sent.data
    desk.hear(ringing(invite, 183, "7"))
    desk.hear(ringing(invite, 180, "9"))
    assert desk.look() == []
    desk.hear(ringing(invite, 180, "8"))
    assert desk.request().headers.get("RAck") == "8 1 INVITE"
    ok = reply(invite, 200, to_tag="lena", contact="<sip:lena@192.0.2.2>")
    desk.hear(ok)
    established = desk.the(Established)
    assert established.sdp == OFFER  # of the 183
    desk.do(Hangup("us"))
    assert str(desk.request().cseq) == "4 BYE"  # counted on from the PRACKs


@pytest.mark.parametrize("rseq", ["", "x", "99999999999"])
def test_a_broken_rseq_is_not_acknowledged(rseq: str) -> None:
    desk = Desk()
    desk.hear(ringing(placed(desk), 180, rseq))
    assert desk.look() == []


def test_a_fork_has_a_count_for_each_branch_and_a_limit_of_them() -> None:
    desk = Desk()
    invite = placed(desk)
    for number in range(20):
        desk.hear(ringing(invite, 180, "1", tag=f"t{number}"))
    assert desk.lines() == ["PRACK"] * 16


def test_a_response_without_a_contact_makes_no_early_dialog() -> None:
    desk = Desk()
    desk.hear(ringing(placed(desk), 180, "1", contact=""))
    assert desk.look() == []


def test_a_timer_that_fires_early_says_nothing_and_an_answered_prack_is_over() -> None:
    desk = Desk()
    call = called(desk, extra=(REQUIRE,))
    desk.do(Ring(call))
    desk.look()
    desk.agent._roster.find(call).handle_timeout(now_ns=desk.clock.now_ns())  # type: ignore[union-attr]
    desk.wait(1)
    assert desk.lines() == []
    desk = Desk()
    desk.hear(ringing(placed(desk), 180, "1"))
    (sent,) = [output for output in desk.look() if isinstance(output, Send)]
    desk.hear(reply(sent.data, 200, to_tag="lena"))
    assert desk.look() == []
