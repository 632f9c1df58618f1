import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.sip.agent import Agent, AgentSettings
from bridge.sip.events import (
    Answer,
    Arrived,
    Datagram,
    Drain,
    Established,
    Gone,
    Hangup,
    Offered,
    Progress,
    Progressed,
    Reject,
    Ring,
)
from bridge.sip.layer import Send
from bridge.sip.message import Response
from bridge.sip.methods import ALLOW
from bridge.sip.reliable import MOST_DIALOGS
from tests.fakes import MS, SeededIds
from tests.sip.desk import BRIDGE_SDP, Desk, called, connected, placed, standing
from tests.sip.messages import BRIDGE_IP, OFFER, PHONE, raw, reply

STRANGER = ("198.51.100.1", 5060)


def desk_with(**parts: int) -> Desk:
    return Desk(AgentSettings(allow=("192.0.2.0/24",), **parts))  # type: ignore[arg-type]


def test_options_says_what_is_served() -> None:
    desk = Desk()

    desk.hear(raw("OPTIONS"))

    response = desk.response()
    assert response.status == 200
    assert response.headers.get("Allow") == ALLOW
    assert response.headers.get("Accept") == "application/sdp"
    assert response.to.tag


def test_while_draining_new_calls_and_options_are_told_to_go_elsewhere() -> None:
    desk = Desk()
    call = standing(desk)
    assert desk.agent.state == "serving"

    desk.do(Drain())
    desk.hear(raw("INVITE", branch="z9hG4bKnew", call_id="new", body=OFFER))
    refused = desk.response()
    desk.hear(raw("OPTIONS", branch="z9hG4bKo", call_id="o"))

    assert (refused.status, refused.headers.get("Retry-After")) == (503, "10")
    assert desk.lines() == ["503 OPTIONS"]
    desk.hear(raw("INVITE", branch="z9hG4bKre", to_tag=call, number=2, body=OFFER))
    assert desk.the(Offered).call == call
    assert desk.agent.state == "draining"


def test_a_stranger_is_dropped_and_counted() -> None:
    desk = Desk()

    desk.hear(raw("INVITE", body=OFFER), STRANGER)

    assert desk.look() == []
    assert desk.agent.counters == {"strangers": 1}


def test_whom_we_call_may_speak_within_the_call_only() -> None:
    desk = Desk(AgentSettings(allow=("10.0.0.0/8",)))
    invite = connected(desk)

    desk.hear(raw("INVITE", body=OFFER))
    desk.hear(raw("OPTIONS", extra=("no header",)))
    assert desk.look() == []
    assert desk.agent.counters["strays"] == 1
    desk.hear(raw("OPTIONS", call_id=invite.call_id, from_tag="lena", to_tag="us"))
    assert desk.lines() == ["200 OPTIONS"]
    desk.hear(raw("BYE", branch="z9hG4bKb", call_id=invite.call_id, from_tag="lena", to_tag="us", number=2))
    assert Gone("us") in desk.look()
    desk.hear(raw("OPTIONS"))

    assert desk.agent.counters["strangers"] == 1


def test_a_source_that_is_too_fast_is_dropped_and_counted() -> None:
    desk = desk_with(max_requests_per_s=2)

    for number in range(6):
        desk.hear(raw("OPTIONS", branch=f"z9hG4bK{number}", call_id=f"c{number}"))
    desk.hear(raw("OPTIONS"), ("192.0.2.3", 5060))

    assert desk.lines() == ["200 OPTIONS"] * 5
    assert desk.agent.counters["throttled"] == 2


def test_a_source_with_too_many_calls_is_told_so_and_others_go_on() -> None:
    desk = desk_with(max_calls_per_source=1)
    call = called(desk)

    desk.hear(raw("INVITE", branch="z9hG4bK2", call_id="2", body=OFFER))
    assert desk.lines() == ["503 INVITE"]
    desk.hear(raw("INVITE", branch="z9hG4bK3", call_id="3", body=OFFER), ("192.0.2.3", 5060))
    assert desk.the(Arrived).call_id == "3"
    desk.do(Reject(call, 486))
    desk.look()
    desk.hear(raw("INVITE", branch="z9hG4bK5", call_id="5", body=OFFER), ("192.0.2.3", 5061))
    assert desk.lines() == ["503 INVITE"]

    desk.hear(raw("INVITE", branch="z9hG4bK4", call_id="4", body=OFFER))

    assert desk.the(Arrived).call_id == "4"
    assert desk.agent.counters["calls_over_limit"] == 2


def test_two_calls_of_one_source_are_counted_apart() -> None:
    desk = desk_with(max_calls_per_source=2)
    first = called(desk)
    called(desk, branch="z9hG4bK2", call_id="2")
    desk.do(Reject(first, 486))
    desk.look()

    called(desk, branch="z9hG4bK3", call_id="3")
    desk.hear(raw("INVITE", branch="z9hG4bK4", call_id="4", body=OFFER))

    assert desk.lines() == ["503 INVITE"]


def test_too_many_calls_altogether_are_refused() -> None:
    desk = desk_with(max_calls=1)
    called(desk)

    desk.hear(raw("INVITE", branch="z9hG4bK3", call_id="3", body=OFFER), ("192.0.2.3", 5060))

    assert desk.lines() == ["503 INVITE"]


def test_requests_beyond_all_bounds_are_answered_without_remembering_them() -> None:
    desk = desk_with(max_calls=1, spare_transactions=0)
    for number in range(4):
        desk.hear(
            raw("OPTIONS", branch=f"z9hG4bK{number}", call_id=f"c{number}"), (f"192.0.2.{number}", 5060)
        )
    desk.look()

    for _ in range(2):
        desk.hear(raw("OPTIONS", branch="z9hG4bKo", call_id="o"))
    first, second = desk.sent()
    desk.hear(raw("INVITE", branch="z9hG4bKi", call_id="i", body=OFFER))
    refused = desk.response()
    desk.hear(raw("ACK", branch="z9hG4bKi", call_id="i", to_tag=refused.to.tag))

    assert isinstance(first, Response)
    assert (first.status, refused.status, refused.headers.get("Retry-After")) == (200, 503, "10")
    assert first.to.tag == second.to.tag != refused.to.tag
    assert (desk.agent.transactions, desk.agent.counters["stateless"]) == (4, 3)
    desk.wait(32_000)
    desk.look()
    assert called(desk, branch="z9hG4bKlater", call_id="later")
    assert desk.agent.counters["stateless"] == 3


def test_a_call_that_stands_is_served_however_many_requests_there_are() -> None:
    desk = desk_with(max_calls=1, spare_transactions=0)
    call = standing(desk)
    desk.hear(raw("INVITE", branch="z9hG4bKre", to_tag=call, number=2, body=OFFER))
    for number in range(4):
        desk.hear(
            raw("OPTIONS", branch=f"z9hG4bK{number}", call_id=f"c{number}"), (f"192.0.2.{number}", 5060)
        )
    desk.look()

    desk.hear(raw("CANCEL", branch="z9hG4bKre", to_tag=call, number=2))
    assert sorted(desk.lines()) == ["200 CANCEL", "487 INVITE"]
    desk.hear(raw("BYE", branch="z9hG4bKb", to_tag=call, number=3))

    assert desk.lines() == ["200 BYE"]
    assert desk.agent.calls == 0


def test_a_malformed_request_that_is_repeated_gets_the_same_answer() -> None:
    desk = Desk()

    for _ in range(2):
        desk.hear(raw("OPTIONS", extra=("no header",)))

    first, second = desk.sent()
    assert bytes(first) == bytes(second)


def test_malformed_datagrams_cost_one_counter_each() -> None:
    desk = Desk()

    desk.hear(b"hello\r\n\r\n")
    desk.hear(raw("OPTIONS", extra=("no header",)))
    desk.hear(raw("INVITE", body=OFFER, contact=None))

    assert desk.lines() == ["400 OPTIONS", "400 INVITE"]
    assert desk.agent.counters["malformed"] == 3
    assert desk.agent.calls == 0


def test_keep_alives_and_strays_are_counted_and_not_answered() -> None:
    desk = Desk()

    desk.hear(b"\r\n\r\n")
    desk.hear(raw("ACK"))
    desk.hear(reply(raw("OPTIONS"), 200))

    assert desk.look() == []
    assert desk.agent.counters == {"keepalives": 1, "strays": 2}


@pytest.mark.parametrize("method", ["INVITE", "BYE", "OPTIONS", "CANCEL"])
def test_a_request_within_an_unknown_call_is_refused(method: str) -> None:
    desk = Desk()

    desk.hear(raw(method, to_tag="" if method == "CANCEL" else "gone"))

    assert desk.lines() == [f"481 {method}"]


def test_a_bye_without_a_call_is_refused() -> None:
    desk = Desk()

    desk.hear(raw("BYE"))

    assert desk.lines() == ["481 BYE"]


def test_a_request_that_comes_a_second_way_is_a_loop() -> None:
    desk = Desk()
    called(desk)

    desk.hear(raw("INVITE", branch="z9hG4bKfork", body=OFFER))

    assert desk.lines() == ["482 INVITE"]
    assert desk.agent.counters["refused_482"] == 1


def test_a_cancel_of_a_refused_invite_is_accepted_and_does_nothing() -> None:
    desk = Desk()
    desk.do(Drain())
    desk.hear(raw("INVITE", body=OFFER))
    desk.look()

    desk.hear(raw("CANCEL"))

    assert desk.lines() == ["200 CANCEL"]


def test_a_cancel_of_a_reinvite_to_a_call_we_placed_is_accepted() -> None:
    desk = Desk()
    connected(desk)
    desk.hear(raw("INVITE", call_id="our-call", from_tag="lena", to_tag="us", body=OFFER))
    desk.look()

    desk.hear(raw("CANCEL", call_id="our-call", from_tag="lena"))

    assert sorted(desk.lines()) == ["200 CANCEL", "487 INVITE"]


def test_a_command_to_a_call_that_is_gone_is_counted() -> None:
    desk = Desk()

    desk.do(Hangup("gone"))

    assert desk.agent.counters == {"late_commands": 1}


def test_a_command_that_does_not_fit_its_call_changes_nothing() -> None:
    desk = Desk()
    placed(desk)

    desk.do(Ring("us"))

    assert desk.look() == []
    assert desk.agent.calls == 1


def test_an_unanswered_refusal_of_a_live_call_is_its_own_business() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(raw("INVITE", branch="z9hG4bKre", to_tag=call, number=2, body=OFFER, extra=("Require: x",)))
    assert desk.lines() == ["420 INVITE"]

    desk.wait(60_000)

    assert set(desk.lines()) == {"420 INVITE"}
    assert desk.agent.calls == 1


def test_a_wrong_network_is_named() -> None:
    with pytest.raises(ConfigError, match=r"sip\.allow"):
        Agent(AgentSettings(allow=("nonsense",)), ids=SeededIds())


def test_nothing_is_left_when_all_calls_are_over() -> None:
    desk = Desk()
    call = standing(desk)
    desk.do(Hangup(call))
    desk.hear(reply(desk.request(), 200, to_tag="phone"))
    desk.wait(60_000)

    assert desk.agent.calls == 0
    assert desk.agent.deadline_ns is None


PIECES = st.sampled_from(
    [
        raw("INVITE", body=OFFER),
        raw("INVITE", branch="z9hG4bK2", call_id="c2"),
        raw("INVITE", branch="old", call_id="c3", body=OFFER),
        raw("ACK", branch="old", call_id="c3"),
        raw("ACK"),
        raw("CANCEL"),
        raw("BYE", branch="z9hG4bKb", number=2),
        raw("OPTIONS", branch="z9hG4bKo"),
        raw("OPTIONS", extra=("no header",)),
        bytes(reply(raw("OPTIONS"), 200)),
        b"\r\n",
    ]
)
STEPS = st.lists(
    st.tuples(PIECES, st.integers(0, 300), st.binary(max_size=3), st.integers(0, 40_000), st.booleans()),
    max_size=12,
)


@settings(deadline=None)
@given(STEPS)
def test_no_datagram_ever_raises_and_everything_ends(
    steps: list[tuple[bytes, int, bytes, int, bool]],
) -> None:
    agent = Agent(AgentSettings(allow=("192.0.2.0/24",)), ids=SeededIds())
    now_ns = 0
    for piece, at, put, wait_ms, is_mutilated in steps:
        data = piece[:at] + put + piece[at:] if is_mutilated else piece
        agent.receive(Datagram(data, PHONE, BRIDGE_IP), now_ns=now_ns)
        for output in agent.drain():
            if isinstance(output, Arrived):
                agent.receive(Ring(output.call), now_ns=now_ns)
                agent.receive(Reject(output.call, 486), now_ns=now_ns)
        now_ns += wait_ms * MS
        while (due_ns := agent.deadline_ns) is not None and due_ns <= now_ns:
            agent.handle_timeout(now_ns=due_ns)
    while (due_ns := agent.deadline_ns) is not None:
        agent.handle_timeout(now_ns=due_ns)

    assert agent.calls == 0


def test_outputs_say_where_to_send() -> None:
    desk = Desk()
    desk.hear(raw("OPTIONS", via="SIP/2.0/UDP 10.0.0.1:5080;rport"), ("192.0.2.2", 7777))
    sent = desk.the(Send)

    assert sent.destination == ("192.0.2.2", 7777)
    desk.outputs = [sent]
    (response,) = desk.sent()
    assert isinstance(response, Response)
    assert response.via.parameter("received") == "192.0.2.2"


@pytest.mark.parametrize("method", ["BYE", "INFO", "NOTIFY", "PRACK", "UPDATE"])
def test_what_only_a_call_can_mean_is_refused_without_one(method: str) -> None:
    desk = Desk()

    desk.hear(raw(method))

    assert desk.lines() == [f"481 {method}"]


@pytest.mark.parametrize("tags", ['"100rel', "<100rel", '\\"'])
def test_extensions_that_cannot_be_read_cost_no_call(tags: str) -> None:
    desk = Desk()
    call = called(desk, extra=(f"Supported: {tags}",))
    desk.do(Progress(call, BRIDGE_SDP))
    desk.do(Answer(call, BRIDGE_SDP))
    assert desk.lines() == ["183 INVITE", "200 INVITE"]
    desk.hear(raw("ACK", branch="z9hG4bKa", to_tag=call))
    desk.look()

    desk.hear(raw("UPDATE", branch="z9hG4bKu", to_tag=call, number=2, extra=(f"Supported: {tags}",)))
    assert desk.lines() == ["200 UPDATE"]


def test_a_provisional_answer_whose_extensions_cannot_be_read_is_heard() -> None:
    desk = Desk()
    invite = placed(desk)

    desk.hear(reply(invite, 183, extra=(("Require", '"100rel'),), body=OFFER))

    assert desk.the(Progressed).sdp == OFFER


def test_a_fork_of_very_many_phones_is_not_remembered_phone_by_phone() -> None:
    desk = Desk()
    invite = placed(desk)
    for number in range(MOST_DIALOGS + 1):
        desk.hear(reply(invite, 183, to_tag=f"phone{number}", body=OFFER))
    desk.look()

    desk.hear(reply(invite, 200, to_tag=f"phone{MOST_DIALOGS}"))

    assert desk.the(Established).sdp == b""
