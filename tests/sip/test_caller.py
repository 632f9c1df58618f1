import pytest

from bridge.errors import LocalProtocolError
from bridge.sip.agent import AgentSettings
from bridge.sip.events import Ended, Established, Gone, Hangup, Progressed
from bridge.sip.layer import Send
from bridge.sip.message import Request
from bridge.sip.methods import ALLOW, SUPPORTED
from tests.sip.desk import BRIDGE_SDP, Desk, connected, placed
from tests.sip.messages import OFFER, PHONE, raw, reply

CONTACT = "<sip:lena@192.0.2.2:5062>"


def test_a_placed_call_starts_with_a_whole_invite() -> None:
    desk = Desk()

    invite = placed(desk, from_user="desk", headers=(("X-Trace", "7"),))

    lines = bytes(invite).decode().split("\r\n\r\n")[0].split("\r\n")
    branch = invite.via.branch
    assert branch.startswith("z9hG4bK")
    assert lines == [
        "INVITE sip:lena@192.0.2.2 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch={branch}",
        "Max-Forwards: 70",
        "From: <sip:desk@192.0.2.9:5060>;tag=us",
        "To: <sip:lena@192.0.2.2>",
        "Call-ID: our-call",
        "CSeq: 1 INVITE",
        "Contact: <sip:cosybridge@192.0.2.9:5060>",
        f"Allow: {ALLOW}",
        f"Supported: {', '.join(SUPPORTED)}",
        "Session-Expires: 1800",
        "Min-SE: 90",
        "User-Agent: cosybridge",
        "X-Trace: 7",
        "Content-Type: application/sdp",
        f"Content-Length: {len(BRIDGE_SDP)}",
    ]
    assert invite.body == BRIDGE_SDP


@pytest.mark.parametrize(
    "parts", [{"from_user": "a\r\nX: y"}, {"headers": (("X", "a\nb"),)}, {"headers": (("X\0", ""),)}]
)
def test_a_line_break_in_a_field_of_ours_is_our_own_bug(parts: dict[str, object]) -> None:
    desk = Desk()

    with pytest.raises(LocalProtocolError, match="line break"):
        placed(desk, **parts)

    assert desk.agent.calls == 0


def test_progress_is_told_and_the_answer_acknowledged() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.hear(reply(invite, 100))
    assert desk.look() == []
    desk.hear(reply(invite, 183, body=OFFER))
    assert desk.the(Progressed) == Progressed("us", 183, OFFER, "bot")

    desk.hear(reply(invite, 200, to_tag="lena", contact=CONTACT, body=OFFER))

    outputs = desk.look()
    assert Established("us", OFFER, "sip:lena@192.0.2.2:5062") in outputs
    desk.outputs = outputs
    ack = desk.request()
    assert (str(ack.cseq), ack.uri, ack.to.tag) == ("1 ACK", "sip:lena@192.0.2.2:5062", "lena")
    assert ack.via.branch != invite.via.branch


def test_every_repeated_success_gets_an_ack() -> None:
    desk = Desk()
    invite = connected(desk)

    for _ in range(3):
        desk.hear(reply(invite, 200, to_tag="lena", contact=CONTACT, body=OFFER))

    assert desk.lines() == ["ACK"] * 3
    assert desk.agent.calls == 1


def test_a_second_phone_that_answers_is_thanked_and_hung_up_on() -> None:
    desk = Desk()
    invite = connected(desk)

    desk.hear(reply(invite, 200, to_tag="fork", contact="<sip:other@192.0.2.8>", body=OFFER))

    ack, bye = desk.sent()
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, ack.to.tag, ack.uri) == ("ACK", "fork", "sip:other@192.0.2.8")
    assert (bye.method, bye.to.tag, bye.cseq.number) == ("BYE", "fork", 2)
    desk.hear(reply(bye, 200, to_tag="fork"))
    assert desk.look() == []
    assert desk.agent.calls == 1


def test_a_second_phone_that_repeats_its_answer_gets_an_ack_each_time_and_one_bye() -> None:
    desk = Desk()
    invite = connected(desk)
    fork = reply(invite, 200, to_tag="fork", contact="<sip:other@192.0.2.8>", body=OFFER)

    for _ in range(3):
        desk.hear(fork)
    assert sorted(desk.lines()) == ["ACK", "ACK", "ACK", "BYE"]
    desk.do(Hangup("us"))
    desk.hear(reply(desk.request(), 200, to_tag="lena"))
    desk.look()

    desk.hear(fork)

    assert desk.lines() == ["ACK"]


def test_only_the_latest_unwanted_answers_are_remembered() -> None:
    desk = Desk(AgentSettings(allow=("192.0.2.0/24",), max_requests_per_s=10_000))
    invite = connected(desk)
    for number in range(1025):
        desk.hear(reply(invite, 200, to_tag=f"fork{number}", contact="<sip:other@192.0.2.8>"))
    desk.look()

    for number in (0, 1024):
        desk.hear(reply(invite, 200, to_tag=f"fork{number}", contact="<sip:other@192.0.2.8>"))

    assert sorted(desk.lines()) == ["ACK", "ACK", "BYE"]


def test_a_callee_behind_a_nat_gets_its_ack_and_bye_where_its_answer_came_from() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.hear(reply(invite, 200, to_tag="lena", contact="<sip:lena@192.168.7.7>", body=OFFER), PHONE)
    acked = [output for output in desk.look() if isinstance(output, Send)]

    desk.do(Hangup("us"))

    assert [send.destination for send in (*acked, desk.the(Send))] == [PHONE, PHONE]


def test_a_second_phone_without_a_contact_can_only_be_ignored() -> None:
    desk = Desk()
    invite = connected(desk)

    desk.hear(reply(invite, 200, to_tag="fork", contact=""))

    assert desk.look() == []


def test_a_refusal_ends_the_call_with_its_status() -> None:
    desk = Desk()
    invite = placed(desk)

    desk.hear(reply(invite, 486))

    outputs = desk.look()
    assert Ended("us", "486 Busy Here", 486) in outputs
    assert Gone("us") in outputs
    desk.outputs = outputs
    assert desk.lines() == ["ACK"]


def test_an_invite_that_nobody_answers_ends_the_call() -> None:
    desk = Desk()
    placed(desk)

    desk.wait(32_000)

    assert desk.look()[-2:] == [Ended("us", "no answer", 408), Gone("us")]


def test_a_success_without_a_contact_is_no_call() -> None:
    desk = Desk()
    invite = placed(desk)

    desk.hear(reply(invite, 200, contact=""))

    ended, gone = desk.look()
    assert isinstance(ended, Ended)
    assert "no SIP Contact" in ended.reason
    assert gone == Gone("us")


def test_giving_up_while_it_rings_takes_the_invite_back() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.hear(reply(invite, 180))
    desk.look()

    desk.do(Hangup("us", "changed my mind"))

    outputs = desk.look()
    assert Ended("us", "changed my mind") in outputs
    desk.outputs = outputs
    cancel = desk.request()
    assert (cancel.method, cancel.via.branch, cancel.cseq.number) == ("CANCEL", invite.via.branch, 1)
    assert (cancel.uri, cancel.to.tag) == (invite.uri, "")
    desk.hear(reply(cancel, 200))
    assert desk.look() == []
    desk.hear(reply(invite, 487))
    outputs = desk.look()
    assert Gone("us") in outputs
    desk.outputs = outputs
    assert desk.lines() == ["ACK"]


def test_giving_up_before_any_answer_waits_for_one() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.do(Hangup("us"))
    assert desk.look() == [Ended("us", "hung up")]

    desk.hear(reply(invite, 100))

    assert desk.lines() == ["CANCEL"]


@pytest.mark.parametrize("rings", [True, False])
def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_ended(rings: bool) -> None:
    desk = Desk()
    invite = placed(desk)
    if rings:
        desk.hear(reply(invite, 180))
    desk.do(Hangup("us"))
    desk.look()

    desk.hear(reply(invite, 200, to_tag="lena", contact=CONTACT, body=OFFER))

    ack, bye = desk.sent()
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    desk.hear(reply(bye, 200, to_tag="lena"))
    assert desk.look() == [Gone("us")]
    desk.wait(60_000)
    assert desk.agent.deadline_ns is None


def test_a_cancel_that_leads_nowhere_is_forgotten_with_its_invite() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.hear(reply(invite, 180))
    desk.do(Hangup("us"))
    desk.wait(31_999)
    desk.look()
    desk.wait(1)
    assert Gone("us") in desk.look()
    assert desk.agent.deadline_ns is None

    desk.hear(reply(invite, 200, to_tag="lena", contact=CONTACT))

    assert desk.look() == []
    assert desk.agent.counters["strays"] == 1


def test_a_phone_that_answers_when_the_call_is_long_over_is_hung_up_on() -> None:
    desk = Desk()
    invite = connected(desk)
    desk.do(Hangup("us"))
    desk.hear(reply(desk.request(), 200, to_tag="lena"))
    desk.look()

    desk.hear(reply(invite, 200, to_tag="fork", contact="<sip:other@192.0.2.8>"))

    assert desk.lines() == ["ACK", "BYE"]


def test_a_refusal_after_the_caller_gave_up_is_the_end_as_well() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.do(Hangup("us"))
    desk.look()

    desk.hear(reply(invite, 486))

    assert Gone("us") in desk.look()


def test_an_invite_given_up_without_any_answer_ends_by_itself() -> None:
    desk = Desk()
    placed(desk)
    desk.do(Hangup("us"))
    desk.wait(32_000)

    assert desk.look()[-1] == Gone("us")


def test_the_callee_may_hang_up() -> None:
    desk = Desk()
    connected(desk)

    desk.hear(raw("BYE", call_id="our-call", from_tag="lena", to_tag="us"))

    outputs = desk.look()
    assert Ended("us", "callee hung up") in outputs
    desk.outputs = outputs
    assert desk.lines() == ["200 BYE"]


def test_both_may_hang_up_at_once() -> None:
    desk = Desk()
    connected(desk)
    desk.do(Hangup("us"))
    bye = desk.request()

    desk.hear(raw("BYE", call_id="our-call", from_tag="lena", to_tag="us"))

    outputs = desk.look()
    assert Gone("us") in outputs
    desk.outputs = outputs
    assert desk.lines() == ["200 BYE"]
    desk.hear(reply(bye, 481, to_tag="lena"))
    assert desk.look() == []


def test_hanging_up_twice_says_bye_once() -> None:
    desk = Desk()
    connected(desk)

    desk.do(Hangup("us"))
    desk.do(Hangup("us"))

    assert desk.lines() == ["BYE"]


def test_a_request_within_a_call_that_does_not_stand_yet_is_unknown() -> None:
    desk = Desk()
    placed(desk)

    desk.hear(raw("OPTIONS", call_id="our-call", from_tag="lena", to_tag="us"))

    assert desk.lines() == ["481 OPTIONS"]
