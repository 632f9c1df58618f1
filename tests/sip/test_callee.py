import pytest

from bridge.errors import LocalProtocolError
from bridge.sip.events import Answer, Arrived, Ended, Established, Gone, Hangup, Reject, Ring
from tests.sip.desk import BRIDGE_SDP, Desk, called, standing
from tests.sip.messages import OFFER, raw, reply


def test_a_call_gets_100_at_once_then_rings_and_is_answered() -> None:
    desk = Desk()
    desk.hear(raw("INVITE", body=OFFER))
    outputs = desk.look()
    arrived = next(output for output in outputs if isinstance(output, Arrived))
    desk.outputs = outputs
    assert desk.lines() == ["100 INVITE"]

    desk.do(Ring(arrived.call))
    ringing = desk.response()
    desk.do(Answer(arrived.call, BRIDGE_SDP))
    success = desk.response()

    assert (ringing.status, ringing.to.tag) == (180, arrived.call)
    assert (success.status, success.to.tag, success.body) == (200, arrived.call, BRIDGE_SDP)
    assert success.headers.get("Contact") == "<sip:cosybridge@192.0.2.9:5060>"
    assert success.headers.get("Content-Type") == "application/sdp"


def test_an_arrival_tells_who_calls_whom_and_from_where() -> None:
    desk = Desk()
    desk.hear(
        raw("INVITE", body=OFFER, uri="sip:%73ales@192.0.2.9", via="SIP/2.0/UDP 10.0.0.1"), ("192.0.2.2", 9)
    )

    arrived = desk.the(Arrived)

    assert (arrived.call_id, arrived.from_uri) == ("call-1", "sip:lena@192.0.2.2")
    assert (arrived.to_user, arrived.to_uri) == ("sales", "sip:%73ales@192.0.2.9")
    assert (arrived.source, arrived.local_ip, arrived.sdp) == (("192.0.2.2", 9), "192.0.2.9", OFFER)
    assert arrived.is_behind_nat


def test_a_request_uri_without_a_user_leaves_the_user_of_the_to() -> None:
    desk = Desk()
    desk.hear(raw("INVITE", body=OFFER, uri="sip:192.0.2.9"))

    arrived = desk.the(Arrived)

    assert arrived.to_user == "bot"
    assert not arrived.is_behind_nat


def test_a_success_is_repeated_until_the_ack_and_then_never_again() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()
    desk.wait(4_000)
    assert desk.lines() == ["200 INVITE"] * 3

    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call))

    established = desk.the(Established)
    assert (established.call, established.sdp) == (call, b"")
    assert established.remote_uri == "sip:lena@192.0.2.2:5060"
    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call))
    desk.wait(60_000)
    assert desk.look() == []


def test_a_call_whose_ack_never_comes_is_ended_with_bye() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.wait(31_999)
    desk.look()

    desk.wait(1)
    bye_and_end = desk.look()

    assert Ended(call, "no ack") in bye_and_end
    desk.outputs = bye_and_end
    assert desk.lines() == ["BYE"]
    desk.wait(32_000)
    assert desk.the(Gone).call == call


def test_an_ack_with_the_branch_of_its_invite_counts_too() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.hear(raw("ACK", to_tag=call))

    assert desk.the(Established).call == call


def test_a_caller_without_an_offer_gets_ours_and_answers_in_the_ack() -> None:
    desk = Desk()
    call = called(desk, body=b"")
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call, body=OFFER))

    assert desk.the(Established).sdp == OFFER


def test_an_ack_that_does_not_answer_our_offer_ends_the_call() -> None:
    desk = Desk()
    call = called(desk, body=b"")
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call))

    outputs = desk.look()
    assert Ended(call, "no answer to our offer") in outputs
    desk.outputs = outputs
    assert desk.lines() == ["BYE"]


def test_a_repeated_invite_never_becomes_a_second_call() -> None:
    desk = Desk()
    call = called(desk)
    for _ in range(3):
        desk.hear(raw("INVITE", body=OFFER))
    assert desk.lines() == ["100 INVITE"] * 3
    desk.do(Ring(call))
    desk.look()

    desk.hear(raw("INVITE", body=OFFER))

    assert desk.lines() == ["180 INVITE"]
    assert desk.agent.calls == 1


def test_a_cancel_before_the_answer_ends_the_call_with_487() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Ring(call))
    desk.look()

    desk.hear(raw("CANCEL", contact=None))

    outputs = desk.look()
    assert [output for output in outputs if isinstance(output, Ended | Gone)] == [
        Ended(call, "cancelled"),
        Gone(call),
    ]
    desk.outputs = outputs
    assert sorted(desk.lines()) == ["200 CANCEL", "487 INVITE"]
    desk.hear(raw("ACK", to_tag=call))
    desk.do(Answer(call, BRIDGE_SDP))
    desk.wait(60_000)
    assert desk.look() == []
    assert desk.agent.counters["late_commands"] == 1


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.hear(raw("CANCEL", contact=None))

    assert desk.lines() == ["200 CANCEL"]
    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call))
    assert desk.the(Established).call == call


def test_a_rejected_call_is_over_at_once_and_absorbs_its_ack() -> None:
    desk = Desk()
    call = called(desk)

    desk.do(Reject(call, 486, "Not now", (("Retry-After", "60"),)))

    outputs = desk.look()
    assert Ended(call, "rejected") in outputs
    assert Gone(call) in outputs
    desk.outputs = outputs
    response = desk.response()
    assert (response.status, response.reason) == (486, "Not now")
    assert response.headers.get("Retry-After") == "60"
    desk.hear(raw("ACK", to_tag=call))
    desk.wait(60_000)
    assert desk.look() == []


def test_rejecting_with_a_success_or_after_the_answer_is_our_own_bug() -> None:
    desk = Desk()
    call = called(desk)
    with pytest.raises(LocalProtocolError, match="200 while INVITED"):
        desk.do(Reject(call, 200))
    desk.do(Answer(call, BRIDGE_SDP))

    with pytest.raises(LocalProtocolError, match="486 while ANSWERED"):
        desk.do(Reject(call, 486))
    with pytest.raises(LocalProtocolError, match="answered while ANSWERED"):
        desk.do(Answer(call, BRIDGE_SDP))


def test_ringing_after_the_answer_says_nothing() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.do(Ring(call))

    assert desk.look() == []


def test_hanging_up_before_the_answer_is_a_refusal() -> None:
    desk = Desk()
    call = called(desk)

    desk.do(Hangup(call, "no agent"))

    outputs = desk.look()
    assert Ended(call, "no agent") in outputs
    desk.outputs = outputs
    assert desk.lines() == ["480 INVITE"]


@pytest.mark.parametrize("ack_comes", [True, False])
def test_hanging_up_before_the_ack_waits_for_it(ack_comes: bool) -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.look()

    desk.do(Hangup(call))
    assert desk.look() == [Ended(call, "hung up")]
    if ack_comes:
        desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call))
    else:
        desk.wait(31_999)
        desk.look()
        desk.wait(1)

    bye = desk.request()
    assert bye.method == "BYE"
    desk.hear(reply(bye, 200, to_tag="phone"))
    assert desk.the(Gone).call == call


def test_a_bye_of_ours_is_repeated_until_it_is_answered() -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Hangup(call))
    outputs = desk.look()
    assert Ended(call, "hung up") in outputs
    desk.wait(4_000)
    assert desk.lines() == ["BYE"] * 3
    desk.wait(60_000)

    assert desk.the(Gone).call == call
    assert desk.agent.calls == 0


def test_a_provisional_answer_to_a_bye_is_not_the_end() -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Hangup(call))
    bye = desk.request()

    desk.hear(reply(bye, 100, to_tag="phone"))
    assert desk.look() == []
    desk.hear(reply(bye, 481, to_tag="phone"))

    assert desk.look() == [Gone(call)]


def test_a_bye_in_the_middle_of_ringing_ends_the_invite_too() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Ring(call))
    desk.look()

    desk.hear(raw("BYE", branch="z9hG4bKbye", to_tag=call, number=2))

    outputs = desk.look()
    assert Ended(call, "caller hung up") in outputs
    desk.outputs = outputs
    assert sorted(desk.lines()) == ["200 BYE", "487 INVITE"]


def test_a_refusal_that_is_never_acknowledged_is_forgotten() -> None:
    desk = Desk()
    call = called(desk)
    desk.do(Reject(call, 486))
    desk.wait(60_000)

    assert desk.agent.calls == 0
    assert desk.agent.deadline_ns is None
