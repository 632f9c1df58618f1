"""Changes of ours, and challenges, before a call is answered (RFC 3311 §5.1, RFC 3262 §4)."""

import pytest

from bridge.sip.digest import Credentials
from bridge.sip.events import Answer, Ended, Established, Progress, Progressed, Reoffer, Reoffered
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from tests.sip.desk import BRIDGE_SDP, Desk, called, placed, sent_request
from tests.sip.messages import OFFER, raw, reply

HELD = BRIDGE_SDP + b"a=sendonly\r\n"
HOLD = OFFER + b"a=recvonly\r\n"
ALLOWED = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE")
CHALLENGE = ("Proxy-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
LENA = "<sip:lena@192.0.2.2>"


def progress(
    invite: Request, *, rseq: str = "7", tag: str = "lena", allow: bool = True, body: bytes = OFFER
) -> Response:
    extra = [("Require", "100rel"), ("RSeq", rseq)] if rseq else []
    extra += [ALLOWED] if allow else []
    return reply(invite, 183, to_tag=tag, contact=LENA, extra=tuple(extra), body=body)


def early(desk: Desk, **parts: object) -> Request:
    """We call, and are told reliably how it sounds; returns our INVITE."""
    invite = placed(desk, **parts)
    desk.hear(progress(invite))
    prack = desk.request()
    desk.hear(reply(prack, 200, to_tag="lena"))
    desk.look()
    return invite


def ringing(desk: Desk, *, allow: str = ALLOWED[1]) -> str:
    """A phone calls and is told reliably how we sound; returns the call."""
    call = called(desk, extra=("Supported: 100rel", f"Allow: {allow}"))
    desk.do(Progress(call, BRIDGE_SDP))
    rack = f"RAck: {desk.response().headers.get('RSeq')} 1 INVITE"
    desk.hear(raw("PRACK", branch="z9hG4bKp", to_tag=call, number=2, extra=(rack,)))
    desk.look()
    return call


def outcomes(desk: Desk) -> list[int]:
    return [output.status for output in desk.look() if isinstance(output, Reoffered)]


def test_a_challenged_prack_is_repeated_with_credentials() -> None:
    desk = Desk()
    invite = placed(desk, credentials=Credentials("lena", "secret-secret"))
    desk.hear(progress(invite))
    prack = desk.request()
    desk.hear(reply(prack, 407, to_tag="lena", extra=(CHALLENGE,)))
    again = desk.request()
    assert (str(again.cseq), again.headers.get("RAck")) == ("3 PRACK", "7 1 INVITE")
    assert again.headers.get("Proxy-Authorization") is not None
    assert again.via.branch != prack.via.branch

    desk.hear(reply(again, 407, to_tag="lena", extra=(CHALLENGE,)))
    assert desk.lines() == []  # a wrong password is not tried twice
    desk.hear(progress(invite, rseq="8"))
    assert str(desk.request().cseq) == "4 PRACK"


def test_a_challenge_without_an_account_leaves_it_at_that() -> None:
    desk = Desk()
    desk.hear(progress(placed(desk)))
    desk.hear(reply(desk.request(), 401, to_tag="lena", extra=(CHALLENGE,)))
    assert desk.lines() == []


def test_who_calls_may_change_the_call_before_it_is_answered() -> None:
    desk = Desk()
    invite = early(desk)
    desk.do(Reoffer("us", "t", HELD))
    update = desk.request()
    assert (str(update.cseq), update.body, update.to.tag) == ("3 UPDATE", HELD, "lena")
    assert update.headers.get("Session-Expires") is None
    desk.hear(reply(update, 200, to_tag="lena", contact=LENA, body=HOLD))
    assert outcomes(desk) == [200]

    desk.hear(reply(invite, 200, to_tag="lena", contact=LENA, body=OFFER, extra=(ALLOWED,)))

    established = desk.the(Established)
    # What the 200 repeats is older than what was changed since.
    assert (established.sdp, established.agreed_with) == (HOLD, "lena")


def test_a_challenged_change_before_the_answer_is_repeated() -> None:
    desk = Desk()
    early(desk, credentials=Credentials("lena", "secret-secret"))
    desk.do(Reoffer("us", "t", HELD))
    desk.hear(reply(desk.request(), 407, to_tag="lena", extra=(CHALLENGE,)))
    again = desk.request()
    assert (again.method, again.body) == ("UPDATE", HELD)
    assert again.headers.get("Proxy-Authorization") is not None


@pytest.mark.parametrize(
    ("rseq", "allow", "body"), [("", True, OFFER), ("7", False, OFFER), ("7", True, b"")]
)
def test_there_is_no_change_before_the_first_answer_or_where_nobody_takes_it(
    rseq: str, allow: bool, body: bytes
) -> None:
    desk = Desk()
    desk.hear(progress(placed(desk), rseq=rseq, allow=allow, body=body))
    desk.look()
    desk.do(Reoffer("us", "t", HELD))
    assert outcomes(desk) == [487]


def test_who_takes_no_update_after_all_is_asked_no_more() -> None:
    desk = Desk()
    early(desk)
    desk.do(Reoffer("us", "t", HELD))
    desk.hear(reply(desk.request(), 405, to_tag="lena"))
    assert outcomes(desk) == [405]
    desk.do(Reoffer("us", "t", HELD))
    assert outcomes(desk) == [487]


def test_a_change_that_collides_before_the_answer_is_tried_again() -> None:
    desk = Desk()
    invite = early(desk)
    desk.do(Reoffer("us", "t", HELD))
    desk.hear(reply(desk.request(), 491, to_tag="lena"))
    desk.wait(4_000)
    again = sent_request(desk.look()[0])
    assert str(again.cseq) == "4 UPDATE"
    desk.hear(reply(again, 491, to_tag="lena"))
    desk.hear(reply(invite, 200, to_tag="lena", contact=LENA, extra=(ALLOWED,)))
    desk.the(Established)
    desk.wait(4_000)
    assert str(sent_request(desk.look()[0]).cseq) == "5 UPDATE"


def test_of_a_fork_the_one_who_answers_wins_and_what_another_was_asked_is_over() -> None:
    desk = Desk()
    invite = early(desk)
    desk.hear(progress(invite, tag="otto"))
    outputs = desk.look()
    assert [output.tag for output in outputs if isinstance(output, Progressed)] == ["otto"]
    desk.do(Reoffer("us", "t", HELD))
    update = desk.request()
    assert update.to.tag == "otto"

    desk.hear(reply(invite, 200, to_tag="lena", contact=LENA))

    outputs = desk.look()
    assert [output.status for output in outputs if isinstance(output, Reoffered)] == [487]
    (established,) = [output for output in outputs if isinstance(output, Established)]
    assert (established.sdp, established.agreed_with) == (OFFER, "lena")
    desk.hear(reply(update, 200, to_tag="otto", body=HOLD))
    assert desk.look() == []


def test_whoever_never_was_heard_before_says_something_new_with_its_answer() -> None:
    desk = Desk()
    invite = early(desk)
    desk.hear(reply(invite, 200, to_tag="new", contact=LENA, body=HOLD))
    established = desk.the(Established)
    assert (established.sdp, established.agreed_with) == (HOLD, "")


def test_a_peer_that_knows_no_such_call_before_the_answer_gets_a_cancel() -> None:
    desk = Desk()
    early(desk)
    desk.do(Reoffer("us", "t", HELD))
    desk.hear(reply(desk.request(), 481, to_tag="lena"))
    assert "CANCEL" in desk.lines()


def test_who_is_called_may_change_the_call_before_answering_and_the_answer_waits_for_it() -> None:
    desk = Desk()
    call = ringing(desk)
    desk.do(Reoffer(call, "t", HELD))
    update = desk.request()
    assert (update.method, update.body) == ("UPDATE", HELD)
    desk.do(Answer(call, BRIDGE_SDP))
    assert desk.lines() == []

    desk.hear(reply(update, 200, to_tag="phone", contact=LENA, body=HOLD))

    outputs = desk.look()
    assert [output.status for output in outputs if isinstance(output, Reoffered)] == [200]
    (sent,) = [output for output in outputs if isinstance(output, Send)]
    assert sent.data.startswith(b"SIP/2.0 200 ")
    assert sent.data.endswith(b"\r\n\r\n")  # everything was said before


def test_a_change_that_nobody_decides_ends_a_call_that_rings() -> None:
    desk = Desk()
    call = ringing(desk)
    desk.do(Reoffer(call, "t", HELD))
    assert sent_request(desk.look()[0]).method == "UPDATE"
    desk.do(Answer(call, BRIDGE_SDP))
    desk.wait(33_000)
    assert [output.reason for output in desk.look() if isinstance(output, Ended)]


def test_a_caller_who_takes_no_update_is_not_asked() -> None:
    desk = Desk()
    call = ringing(desk, allow="INVITE, ACK, BYE, CANCEL")
    desk.do(Reoffer(call, "t", HELD))
    assert outcomes(desk) == [487]
