"""Challenges to our calls, and ours to strangers' calls, through the whole agent."""

from bridge.sip.agent import AgentSettings
from bridge.sip.digest import Credentials, DigestClient, digest_fields
from bridge.sip.events import Answer, Arrived, Ask, Drain, Ended, Established, Gone, Hangup, Replied, Trust
from bridge.sip.message import Request, Response
from tests.fakes import SeededIds
from tests.sip.desk import BRIDGE_SDP, Desk, called, placed, standing
from tests.sip.messages import OFFER, PHONE, parsed_request, raw, reply, request

LENA = Credentials("lena", "open sesame")
STRANGER = ("198.51.100.7", 5062)
CHALLENGE = ("Proxy-Authenticate", 'Digest realm="pbx", nonce="n1", qop="auth"')


def said(asked: Request, name: str = "Proxy-Authorization") -> dict[str, str]:
    fields = digest_fields(asked.headers.get(name) or "")
    assert fields is not None
    return fields


def challenged_call(desk: Desk) -> tuple[Request, Request]:
    """Our INVITE is challenged and goes again; returns it and the ACK of the challenge."""
    invite = placed(desk, credentials=LENA, from_user="100", from_domain="pbx.example")
    desk.hear(reply(invite, 407, extra=(CHALLENGE,)))
    ack, second = desk.sent()
    assert isinstance(ack, Request)
    assert isinstance(second, Request)
    assert (ack.method, ack.cseq.number, ack.via.branch) == ("ACK", 1, invite.via.branch)
    return invite, second


def test_a_challenged_invite_is_acknowledged_and_goes_again_with_credentials() -> None:
    desk = Desk()

    first, second = challenged_call(desk)

    assert second.method == "INVITE"
    assert second.cseq.number == 2
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert second.from_.uri.text == "sip:100@pbx.example"
    assert second.via.branch != first.via.branch
    assert second.to.tag == ""
    assert second.body == BRIDGE_SDP
    assert said(second)["username"] == "lena"
    assert not [output for output in desk.look() if isinstance(output, Ended)]


def test_the_ack_and_the_bye_of_a_challenged_call_follow_its_second_invite() -> None:
    desk = Desk()
    _, second = challenged_call(desk)
    desk.hear(reply(second, 200, to_tag="lena", contact="<sip:lena@192.0.2.2:5062>", body=OFFER))
    ack = desk.request()
    assert (ack.method, ack.cseq.number) == ("ACK", 2)
    assert said(ack) == said(second)

    desk.do(Hangup("us"))
    bye = desk.request()
    assert (bye.method, bye.cseq.number) == ("BYE", 3)
    desk.hear(reply(bye, 407, extra=(("Proxy-Authenticate", 'Digest realm="pbx", nonce="n2", qop="auth"'),)))
    again = desk.request()
    assert (again.method, again.cseq.number, said(again)["nonce"]) == ("BYE", 4, "n2")
    desk.hear(reply(again, 200))

    assert [output for output in desk.look() if isinstance(output, Gone)] == [Gone("us")]


def test_a_wrong_password_ends_the_call_with_what_was_answered() -> None:
    desk = Desk()
    _, second = challenged_call(desk)

    desk.hear(reply(second, 407, extra=(("Proxy-Authenticate", 'Digest realm="pbx", nonce="n2"'),)))

    ended = desk.the(Ended)
    assert ended.status == 407
    assert desk.agent.calls == 0


def test_without_credentials_a_challenge_is_a_refusal() -> None:
    desk = Desk()
    invite = placed(desk)

    desk.hear(reply(invite, 401, extra=(("WWW-Authenticate", 'Digest realm="pbx", nonce="n"'),)))

    assert desk.the(Ended).status == 401


def test_a_call_that_was_given_up_is_not_tried_again() -> None:
    desk = Desk()
    invite = placed(desk, credentials=LENA)
    desk.do(Hangup("us"))

    desk.hear(reply(invite, 407, extra=(CHALLENGE,)))

    assert [type(output) for output in desk.look()][-1:] == [Gone]
    assert desk.agent.calls == 0


def test_a_call_given_up_after_its_challenge_waits_for_an_answer_before_the_cancel() -> None:
    desk = Desk()
    invite = placed(desk, credentials=LENA)
    desk.hear(reply(invite, 100))
    desk.hear(reply(invite, 407, extra=(CHALLENGE,)))
    _, second = desk.sent()
    assert isinstance(second, Request)

    desk.do(Hangup("us"))
    assert desk.lines() == []
    desk.hear(reply(second, 180))

    cancel = desk.request()
    assert (cancel.method, cancel.cseq.number, cancel.via.branch) == ("CANCEL", 2, second.via.branch)


def test_a_second_answer_to_a_challenged_fork_is_declined_with_its_credentials() -> None:
    desk = Desk()
    _, second = challenged_call(desk)
    desk.hear(reply(second, 200, to_tag="one", contact="<sip:lena@192.0.2.2:5062>", body=OFFER))
    desk.look()

    desk.hear(reply(second, 200, to_tag="two", contact="<sip:lena@192.0.2.2:5064>", body=OFFER))

    ack = next(each for each in desk.sent() if isinstance(each, Request) and each.method == "ACK")
    assert said(ack) == said(second)


def test_a_trusted_peer_may_call_and_its_challenge_to_our_bye_is_answered() -> None:
    desk = Desk(AgentSettings(allow=("192.0.2.0/24",)))
    desk.do(Trust("pbx", ("198.51.100.1",), None))
    desk.do(Trust("pbx", ("198.51.100.2", STRANGER[0]), LENA))
    desk.hear(raw("INVITE", body=OFFER), STRANGER)
    call = desk.the(Arrived).call
    desk.do(Answer(call, BRIDGE_SDP))
    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call), STRANGER)
    desk.the(Established)
    desk.do(Hangup(call))
    bye = desk.request()

    desk.hear(reply(bye, 407, extra=(CHALLENGE,)), STRANGER)

    assert said(desk.request())["username"] == "lena"
    desk.hear(raw("OPTIONS", branch="z9hG4bK9"), ("198.51.100.1", 5060))
    assert desk.agent.counters["strangers"] == 1


def test_without_credentials_a_challenged_bye_still_ends_the_call() -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Hangup(call))
    bye = desk.request()

    desk.hear(reply(bye, 401, extra=(("WWW-Authenticate", 'Digest realm="x", nonce="n"'),)))

    assert desk.look()[-1] == Gone(call)


def test_a_request_outside_of_calls_is_carried_and_its_answers_come_back_even_while_draining() -> None:
    desk = Desk()
    desk.do(Drain())
    asked = request("REGISTER")
    desk.do(Ask("carrier", asked, PHONE))
    assert desk.request().method == "REGISTER"

    desk.hear(reply(asked, 200))

    replied = desk.the(Replied)
    assert (replied.owner, replied.request) == ("carrier", asked)
    assert isinstance(replied.response, Response)
    assert replied.response.status == 200


def test_a_request_outside_of_calls_that_nobody_answers_is_told() -> None:
    desk = Desk()
    desk.do(Ask("carrier", request("REGISTER"), PHONE))

    desk.wait(32_000)

    assert desk.the(Replied).response is None


def account_desk() -> Desk:
    return Desk(AgentSettings(allow=("192.0.2.0/24",), accounts=(LENA,), realm="here"))


def authorised(desk: Desk, credentials: Credentials = LENA) -> bytes:
    """A stranger calls, is asked and answers; returns its second INVITE."""
    invite = raw("INVITE", body=OFFER, via="SIP/2.0/UDP 198.51.100.7:5062")
    desk.hear(invite, STRANGER)
    refused = desk.response()
    assert refused.status == 401
    asked = parsed_request(invite)
    digest = DigestClient(credentials, ids=SeededIds(5))
    assert digest.challenged(refused, asked)
    return bytes(digest.again(asked, number=2, branch="z9hG4bKs2"))


def test_a_stranger_with_an_account_is_asked_without_state_and_then_served() -> None:
    desk = account_desk()
    second = authorised(desk)
    assert desk.agent.transactions == 0
    desk.hear(raw("ACK", via="SIP/2.0/UDP 198.51.100.7:5062", to_tag="x"), STRANGER)
    assert desk.look() == []

    desk.hear(second, STRANGER)

    call = desk.the(Arrived).call
    desk.do(Answer(call, BRIDGE_SDP))
    desk.hear(
        raw("ACK", branch="z9hG4bKack", to_tag=call, number=2, via="SIP/2.0/UDP 198.51.100.7:5062"), STRANGER
    )
    desk.the(Established)
    assert desk.agent.counters["digest_missing"] == desk.agent.counters["digest_admitted"] == 1


def test_a_stranger_that_was_served_may_give_up() -> None:
    desk = account_desk()
    second = authorised(desk)
    desk.hear(second, STRANGER)
    desk.the(Arrived)
    invite = parsed_request(second)

    desk.hear(
        raw("CANCEL", branch=invite.via.branch, number=2, via="SIP/2.0/UDP 198.51.100.7:5062"), STRANGER
    )

    assert desk.lines() == ["200 CANCEL", "487 INVITE"]


def test_a_stranger_with_a_wrong_password_is_asked_again_and_then_ignored() -> None:
    desk = account_desk()
    wrong = authorised(desk, Credentials("lena", "guess"))
    for _ in range(5):
        desk.hear(wrong, STRANGER)
        assert desk.response().status == 401

    desk.hear(wrong, STRANGER)

    assert desk.look() == []
    assert desk.agent.counters["digest_wrong"] == 5
    assert desk.agent.counters["digest_ignored"] == 1


def test_a_used_nonce_is_stale() -> None:
    desk = account_desk()
    second = authorised(desk)
    desk.hear(second, STRANGER)
    desk.look()

    desk.hear(second.replace(b"z9hG4bKs2", b"z9hG4bKs3"), STRANGER)

    assert "stale=true" in (desk.response().headers.get("WWW-Authenticate") or "")


def test_scanners_get_nothing_where_accounts_are_asked() -> None:
    desk = account_desk()

    for method in ("OPTIONS", "REGISTER", "BYE", "CANCEL", "SUBSCRIBE"):
        desk.hear(raw(method, branch=f"z9hG4bK{method}"), STRANGER)
    desk.hear(b"\x00garbage", STRANGER)
    desk.hear(raw("INVITE", to_tag="guess"), STRANGER)

    assert desk.look() == []


def test_whoever_is_allowed_anyway_is_not_asked() -> None:
    desk = account_desk()

    assert called(desk)
