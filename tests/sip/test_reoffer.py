"""Changes of a call that stands, asked for by us or by the peer: re-INVITE, UPDATE, refreshes."""

import pytest

from bridge.sip.agent import AgentSettings
from bridge.sip.digest import Credentials
from bridge.sip.events import (
    AcceptOffer,
    Answered,
    Ended,
    Established,
    Hangup,
    Offer,
    OfferDue,
    Offered,
    RefuseOffer,
    Reoffer,
    Reoffered,
)
from bridge.sip.message import Request, Response
from bridge.sip.session_timer import SessionTimerSettings
from tests.sip.desk import BRIDGE_SDP, Desk, called, connected, placed, standing
from tests.sip.messages import OFFER, raw, reply

HELD = BRIDGE_SDP.replace(b"sendrecv", b"sendonly")
GONE = "the other side knows no such call"
THEIRS = {"call_id": "our-call", "from_tag": "lena", "to_tag": "us"}


def change(desk: Desk, *, sdp: bytes = HELD) -> Request:
    desk.do(Reoffer("us", "t", sdp))
    return desk.request()


def outcome(desk: Desk) -> tuple[int, bytes]:
    told = desk.the(Reoffered)
    assert told.ticket == "t"
    return told.status, told.sdp


def test_a_change_is_asked_for_answered_and_acknowledged_however_often() -> None:
    desk = Desk()
    connected(desk)
    asked = change(desk)
    assert (asked.method, asked.cseq.number, asked.body) == ("INVITE", 2, HELD)
    desk.hear(reply(asked, 100))
    assert desk.look() == []
    ok = reply(asked, 200, to_tag="lena", body=OFFER)
    desk.hear(ok)
    outputs = desk.look()
    assert [(each.status, each.sdp) for each in outputs if isinstance(each, Reoffered)] == [(200, OFFER)]
    desk.outputs = outputs
    assert desk.lines() == ["ACK"]
    desk.hear(ok)
    assert desk.lines() == ["ACK"]
    desk.hear(reply(asked, 180))
    assert desk.lines() == []


def test_a_refused_change_leaves_the_call_as_it_was() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(reply(change(desk), 488))
    assert outcome(desk) == (488, b"")
    desk.do(Hangup("us"))
    assert desk.request().method == "BYE"


def test_one_change_at_a_time() -> None:
    desk = Desk()
    connected(desk)
    change(desk)
    desk.do(Reoffer("us", "other", HELD))
    assert desk.the(Reoffered).status == 491


def test_after_a_collision_it_is_tried_again_later() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(reply(change(desk), 491))
    desk.look()
    desk.wait(2000)
    assert desk.lines() == []
    desk.wait(2000)
    assert desk.the(OfferDue) == OfferDue("us", "t", HELD)
    # Meanwhile the peer may have changed the call: the description is another one.
    desk.do(Offer("us", "t", BRIDGE_SDP))
    again = desk.request()
    assert (again.method, again.body) == ("INVITE", BRIDGE_SDP)
    desk.hear(reply(again, 200, body=OFFER))
    assert outcome(desk) == (200, OFFER)


def test_the_other_side_of_a_collision_waits_shorter() -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Reoffer(call, "t", HELD))
    desk.hear(reply(desk.request(), 491))
    desk.look()
    desk.wait(2000)
    assert desk.the(OfferDue).call == call


def test_who_always_collides_gives_up() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(reply(change(desk), 491))
    for _ in range(4):
        desk.look()
        desk.wait(4000)
        assert desk.the(OfferDue).ticket == "t"
        desk.do(Offer("us", "t", HELD))
        desk.hear(reply(desk.request(), 491))
    assert outcome(desk) == (491, b"")
    desk.wait(60_000)
    assert desk.lines() == []


def test_the_peers_change_collides_with_ours() -> None:
    desk = Desk()
    connected(desk)
    change(desk)
    desk.hear(raw("INVITE", branch="z9hG4bKr", number=5, body=OFFER, **THEIRS))  # type: ignore[arg-type]
    assert desk.lines() == ["491 INVITE"]


def test_ours_waits_until_theirs_is_decided() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(raw("INVITE", branch="z9hG4bKr", number=5, body=OFFER, **THEIRS))  # type: ignore[arg-type]
    ticket = desk.the(Offered).ticket
    desk.do(Reoffer("us", "t", HELD))
    assert desk.lines() == []
    desk.wait(4000)
    assert desk.lines() == []
    desk.do(RefuseOffer("us", ticket))
    desk.look()
    desk.wait(4000)
    desk.the(OfferDue)
    desk.do(Offer("us", "t", HELD))
    assert desk.lines() == ["INVITE"]


@pytest.mark.parametrize("status", [481, 408])
def test_a_peer_that_knows_no_such_call_has_hung_up(status: int) -> None:
    desk = Desk()
    connected(desk)
    desk.hear(reply(change(desk), status))
    outputs = desk.look()
    assert [each.status for each in outputs if isinstance(each, Reoffered)] == [status]
    assert [each.reason for each in outputs if isinstance(each, Ended)] == [
        "the other side knows no such call"
    ]
    desk.outputs = outputs
    assert "BYE" in desk.lines()


def test_a_change_that_nobody_answers_ends_the_call() -> None:
    desk = Desk()
    connected(desk)
    change(desk)
    desk.wait(32_000)
    assert [each.status for each in desk.look() if isinstance(each, Reoffered)] == [408]


def test_a_change_of_a_call_that_ends_or_does_not_stand_is_told_so() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Reoffer(call, "t", HELD))
    assert outcome(desk) == (487, b"")
    desk = Desk()
    connected(desk)
    change(desk)
    desk.hear(raw("BYE", branch="z9hG4bKb", number=9, contact=None, **THEIRS))  # type: ignore[arg-type]
    assert [each.status for each in desk.look() if isinstance(each, Reoffered)] == [487]
    desk = Desk()
    connected(desk)
    desk.do(Reoffer("nobody", "t", HELD))
    assert desk.agent.counters["late_commands"] == 1


def test_a_challenge_to_a_change_is_answered() -> None:
    desk = Desk()
    invite = placed(desk, credentials=Credentials("lena", "secret-secret"))
    desk.hear(reply(invite, 200, to_tag="lena", contact="<sip:lena@192.0.2.2>", body=OFFER))
    desk.look()
    asked = change(desk)
    challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n"')
    desk.hear(reply(asked, 401, extra=(challenge,)))
    again = desk.sent()[-1]
    assert isinstance(again, Request)
    assert again.headers.get("Authorization") is not None
    assert again.body == HELD
    desk.hear(reply(again, 200, body=OFFER))
    assert outcome(desk) == (200, OFFER)


def test_an_update_changes_the_call_without_an_ack() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(raw("UPDATE", branch="z9hG4bKu", to_tag=call, number=2, body=OFFER))
    offered = desk.the(Offered)
    assert offered.sdp == OFFER
    desk.hear(raw("UPDATE", branch="z9hG4bKv", to_tag=call, number=3, body=OFFER))
    refused = desk.response()
    assert refused.status == 500
    assert 0 <= int(refused.headers.get("Retry-After") or "-1") <= 10
    desk.do(AcceptOffer(call, offered.ticket, BRIDGE_SDP))
    done = desk.response()
    assert (done.status, done.body, done.cseq.method) == (200, BRIDGE_SDP, "UPDATE")
    desk.wait(40_000)
    assert desk.lines() == []


def test_an_update_without_a_description_moves_the_peer() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(raw("UPDATE", branch="z9hG4bKu", to_tag=call, number=2, contact="<sip:lena@192.0.2.2:7777>"))
    assert desk.response().status == 200
    desk.do(Hangup(call))
    assert desk.request().uri == "sip:lena@192.0.2.2:7777"


def test_an_early_update_may_refresh_but_not_change() -> None:
    desk = Desk()
    call = called(desk)
    desk.hear(raw("UPDATE", branch="z9hG4bKu", to_tag=call, number=2))
    assert desk.response().status == 200
    desk.hear(raw("UPDATE", branch="z9hG4bKv", to_tag=call, number=3, body=OFFER))
    assert desk.response().status == 500


def timed(expires_s: int = 1800) -> Desk:
    return Desk(AgentSettings(allow=("192.0.2.0/24",), timer=SessionTimerSettings(expires_s, 90)))


def answered(desk: Desk, value: str, *, allow: str) -> None:
    invite = placed(desk)
    extra = (("Session-Expires", value), *((("Allow", allow),) if allow else ()))
    desk.hear(reply(invite, 200, to_tag="lena", contact="<sip:lena@192.0.2.2>", body=OFFER, extra=extra))
    desk.the(Established)


def test_we_refresh_by_update_where_the_peer_takes_it() -> None:
    desk = timed()
    answered(desk, "600;refresher=uac", allow="INVITE, update")
    desk.wait(299_000)
    assert desk.lines() == []
    desk.wait(1_000)
    refresh = desk.request()
    assert (refresh.method, refresh.body) == ("UPDATE", b"")
    assert refresh.headers.get("Session-Expires") == "600;refresher=uac"
    desk.hear(reply(refresh, 200, extra=(("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE"))))
    assert desk.look() == []
    desk.wait(300_000)
    assert desk.request().method == "UPDATE"


def test_we_refresh_by_the_same_offer_where_it_does_not() -> None:
    desk = timed()
    answered(desk, "600;refresher=uac", allow="")
    desk.wait(300_000)
    assert desk.the(OfferDue) == OfferDue("us", "", BRIDGE_SDP)
    desk.do(Offer("us", "", BRIDGE_SDP))
    refresh = desk.request()
    assert (refresh.method, refresh.body) == ("INVITE", BRIDGE_SDP)
    desk.hear(
        reply(refresh, 200, to_tag="lena", body=OFFER, extra=(("Session-Expires", "600;refresher=uac"),))
    )
    assert desk.the(Answered).sdp == OFFER


def test_a_refused_refresh_is_tried_again_and_then_the_call_ends() -> None:
    desk = timed()
    answered(desk, "600;refresher=uac", allow="UPDATE")
    desk.wait(300_000)
    desk.hear(reply(desk.request(), 500))
    desk.look()
    desk.wait(150_000)
    assert "UPDATE" in desk.lines()
    desk.wait(150_000)
    outputs = desk.look()
    reasons = [each.reason for each in outputs if isinstance(each, Ended)]
    assert reasons in (["session expired"], [GONE])
    desk.outputs = outputs
    assert "BYE" in desk.lines()


def test_a_peer_that_forgets_to_refresh_is_hung_up_on() -> None:
    desk = timed()
    call = standing(desk, extra=("Supported: timer", "Session-Expires: 600;refresher=uac"))
    desk.wait(567_000)
    assert desk.lines() == []
    desk.wait(1_000)
    outputs = desk.look()
    assert [each.reason for each in outputs if isinstance(each, Ended)] == ["session expired"]
    desk.outputs = outputs
    bye = desk.request()
    assert bye.headers.get("Reason") == 'Q.850;cause=102;text="Recovery on timer expiry"'
    assert call


def test_a_refresh_of_the_peer_keeps_the_call() -> None:
    desk = timed()
    call = standing(desk, extra=("Supported: timer", "Session-Expires: 600;refresher=uac"))
    desk.wait(300_000)
    extra = ("Supported: timer", "Session-Expires: 600;refresher=uac")
    desk.hear(raw("UPDATE", branch="z9hG4bKu", to_tag=call, number=2, extra=extra))
    assert desk.response().headers.get("Session-Expires") == "600;refresher=uac"
    desk.wait(500_000)
    assert desk.lines() == []


def test_a_422_is_answered_by_an_invite_that_asks_for_longer() -> None:
    desk = timed(expires_s=100)
    invite = placed(desk)
    desk.hear(reply(invite, 422, extra=(("Min-SE", "500"),)))
    again = desk.sent()[-1]
    assert isinstance(again, Request)
    assert (again.cseq.number, again.headers.get("Session-Expires"), again.body) == (2, "500", BRIDGE_SDP)
    assert again.via.branch != invite.via.branch
    desk.hear(reply(again, 422, extra=(("Min-SE", "500"),)))
    assert desk.the(Ended).status == 422


def test_a_peer_that_asks_for_less_than_we_bear_is_told() -> None:
    desk = timed()
    call = standing(desk)
    extra = ("Supported: timer", "Session-Expires: 20")
    desk.hear(raw("INVITE", branch="z9hG4bKr", to_tag=call, number=2, body=OFFER, extra=extra))
    refused = desk.response()
    assert (refused.status, refused.headers.get("Min-SE")) == (422, "90")


def test_a_first_invite_that_asks_for_less_than_we_bear_is_told() -> None:
    desk = timed()
    desk.hear(raw("INVITE", body=OFFER, extra=("Supported: timer", "Session-Expires: 20")))
    refused = desk.response()
    assert isinstance(refused, Response)
    assert (refused.status, refused.headers.get("Min-SE")) == (422, "90")


def test_a_refresh_waits_while_a_change_of_ours_is_wanted() -> None:
    desk = timed()
    answered(desk, "600;refresher=uac", allow="UPDATE")
    desk.wait(299_000)
    asked = change(desk)
    desk.wait(1_500)
    assert "UPDATE" not in desk.lines()
    desk.hear(reply(asked, 200, body=OFFER, extra=(("Session-Expires", "600;refresher=uac"),)))
    assert outcome(desk)[0] == 200
