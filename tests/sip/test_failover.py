"""A request goes to the next server when one does not serve it (RFC 3263 §4.3)."""

import pytest

from bridge.sip.agent import AgentSettings
from bridge.sip.dialog import LocalPlace
from bridge.sip.digest import Credentials
from bridge.sip.events import (
    Ask,
    Cut,
    Ended,
    Established,
    Gone,
    Hangup,
    Place,
    Progressed,
    Replied,
    Target,
    Unsent,
    Unserved,
)
from bridge.sip.failover import is_busy, retry_after_s
from bridge.sip.flow import Address, transport_of
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from bridge.sip.registration import Account, Failed, Locate, Located, Registered, Registration, Start, Stop
from tests.fakes import SeededIds
from tests.sip.desk import BRIDGE_SDP, Desk, sent_request
from tests.sip.messages import OFFER, reply, request

A, B, C = ("192.0.2.21", 5060), Address("198.51.100.2", 5070, name="pbx.example"), ("192.0.2.23", 5060)
US = "192.0.2.9"
CONTACT = "<sip:lena@192.0.2.2:5062>"
LENA = Credentials("lena", "open sesame")
CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="{nonce}", qop="auth"')
B_ALONE = 32_000


def call(desk: Desk, *others: tuple[str, int], **parts: object) -> Send:
    targets = tuple(Target(each, US) for each in others)
    desk.do(Place("us", "our-call", "sip:lena@pbx.example", A, US, BRIDGE_SDP, others=targets, **parts))  # type: ignore[arg-type]
    return sent(desk)


def sent(desk: Desk) -> Send:
    (only,) = [output for output in desk.outputs if isinstance(output, Send)]
    desk.outputs.remove(only)
    return only


def acked(desk: Desk) -> Send:
    """The INVITE that follows the ACK of a failure."""
    ack, invite = (output for output in desk.outputs if isinstance(output, Send))
    assert sent_request(ack).method == "ACK"
    desk.outputs = [output for output in desk.outputs if not isinstance(output, Send)]
    return invite


def test_silence_leads_to_the_next_server_as_the_same_call() -> None:
    desk = Desk()
    first = sent_request(call(desk, B))
    desk.look()

    desk.wait(B_ALONE)

    assert Unserved("us", A, 0, B) in desk.outputs
    again = next(each for each in desk.outputs if isinstance(each, Send) and each.destination == B)
    second = sent_request(again)
    assert second.via.branch != first.via.branch
    assert second.headers.without("Via", "Contact") == first.headers.without("Via", "Contact")
    assert (second.uri, second.body, second.call_id) == (first.uri, first.body, first.call_id)


def test_the_next_server_may_answer_from_where_nobody_else_is_heard() -> None:
    desk = Desk(AgentSettings(allow=("192.0.2.0/24",)))
    call(desk, B)
    desk.wait(B_ALONE)
    invite = sent_request(
        next(each for each in desk.look() if isinstance(each, Send) and each.destination == B)
    )

    desk.hear(reply(invite, 180), B)
    desk.hear(reply(invite, 200, to_tag="b", contact=CONTACT, body=OFFER), B)

    outputs = desk.look()
    assert Established("us", OFFER, "sip:lena@192.0.2.2:5062") in outputs
    desk.do(Hangup("us"))
    bye = desk.request()
    desk.hear(reply(bye, 200), B)
    assert desk.the(Gone) == Gone("us")
    desk.hear(reply(bye, 200), B)
    assert desk.agent.counters["strangers"] == 1


def test_a_server_without_time_is_left_for_as_long_as_it_says() -> None:
    desk = Desk()
    invite = sent_request(call(desk, B, C))

    desk.hear(reply(invite, 100), A)
    desk.hear(reply(invite, 503, extra=(("Retry-After", "120 (maintenance)"),)), A)
    second = acked(desk)
    desk.hear(reply(sent_request(second), 503), B)
    third = acked(desk)
    desk.hear(reply(sent_request(third), 503, extra=(("Retry-After", "soon"),)), C)

    assert (second.destination, third.destination) == (B, C)
    blamed = [each for each in desk.outputs if isinstance(each, Unserved)]
    assert blamed == [Unserved("us", A, 120, B), Unserved("us", B, 0, C), Unserved("us", C, 0)]
    assert desk.the(Ended).status == 503
    assert desk.agent.calls == 0


@pytest.mark.parametrize("status", [404, 486, 500, 603])
def test_who_was_reached_and_declines_has_the_last_word(status: int) -> None:
    desk = Desk()
    invite = sent_request(call(desk, B))

    desk.hear(reply(invite, status), A)

    assert not [each for each in desk.outputs if isinstance(each, Unserved)]
    assert desk.the(Ended).status == status


def test_a_server_that_nothing_can_be_sent_to_is_passed_at_once() -> None:
    desk = Desk()
    first = call(desk, Address(*B, "TCP"))

    desk.do(Unsent(first.key, "no route"))
    second = sent(desk)
    desk.do(Unsent(second.key, "refused"))

    invite = sent_request(second)
    assert (transport_of(second.destination), invite.via.transport) == ("TCP", "TCP")
    assert invite.headers.get("Contact") == f"<sip:cosybridge@{US}:5060;transport=tcp>"
    assert (desk.the(Ended).reason, desk.agent.calls) == ("refused", 0)


def test_a_connection_that_breaks_before_any_answer_leads_on_and_not_after_it() -> None:
    tcp = Address(*A, "TCP", 0)
    for rings in (False, True):
        desk = Desk()
        place = Place("us", "our-call", "sip:x@pbx", tcp, US, OFFER, others=(Target(C, US),))
        desk.do(place)
        invite = sent_request(sent(desk))
        if rings:
            desk.hear(reply(invite, 180), Address(*A, "TCP", 7))
            assert desk.the(Progressed).status == 180

        desk.do(Cut(Address(*C, "TCP", 8)))
        desk.do(Cut(Address(*A, "TCP", 7)))

        if rings:
            assert (desk.the(Ended).reason, desk.agent.calls) == ("the connection was cut", 0)
        else:
            assert sent(desk).destination == C


def test_another_server_is_proven_to_with_its_own_challenge() -> None:
    desk = Desk()
    invite = sent_request(call(desk, C, credentials=LENA))
    name, challenge = CHALLENGE
    desk.hear(reply(invite, 401, extra=((name, challenge.format(nonce="a")),)), A)
    proven = sent_request(acked(desk))
    assert 'nonce="a"' in (proven.headers.get("Authorization") or "")

    desk.hear(reply(proven, 503), A)
    bare = sent_request(acked(desk))
    desk.hear(reply(bare, 401, extra=((name, challenge.format(nonce="c")),)), C)
    last = sent_request(acked(desk))

    assert bare.headers.get("Authorization") is None
    assert [str(each.cseq) for each in (proven, bare, last)] == ["2 INVITE", "2 INVITE", "3 INVITE"]
    assert 'nonce="c"' in (last.headers.get("Authorization") or "")


def test_a_call_that_was_given_up_goes_nowhere_else() -> None:
    desk = Desk()
    invite = sent_request(call(desk, B))
    desk.do(Hangup("us", "gave up"))

    desk.hear(reply(invite, 503), A)

    assert [each.following for each in desk.outputs if isinstance(each, Unserved)] == [None]
    assert desk.lines() == ["ACK"]
    assert desk.agent.calls == 0


def late(desk: Desk, *others: tuple[str, int]) -> tuple[Request, Request]:
    """A call whose first server says nothing for four seconds; the INVITEs of both."""
    first = sent_request(call(desk, B, *others))
    desk.wait(3_999)
    assert {each.destination for each in desk.look() if isinstance(each, Send)} == {A}
    desk.wait(1)
    second = sent_request(next(each for each in desk.look() if isinstance(each, Send)))
    return first, second


def test_a_server_that_says_nothing_for_a_while_is_left_for_the_next() -> None:
    desk = Desk()
    first, second = late(desk, C)
    assert first.via.branch != second.via.branch

    desk.wait(4_000)

    assert Unserved("us", B, 0, C) in desk.outputs
    assert C in {each.destination for each in desk.outputs if isinstance(each, Send)}
    desk.look()
    desk.wait(40_000)
    # The last one has the time of timer B.
    assert desk.the(Ended).status == 408
    assert desk.agent.calls == 0
    assert desk.agent.transactions == 0


def test_a_server_that_has_said_something_is_not_left() -> None:
    desk = Desk()
    invite = sent_request(call(desk, B))
    desk.hear(reply(invite, 100), A)
    desk.look()

    desk.wait(30_000)

    assert desk.look() == []


def test_a_server_that_wakes_up_late_is_told_that_nobody_wants_it() -> None:
    desk = Desk()
    first, second = late(desk)
    desk.hear(reply(second, 180), B)
    desk.look()

    desk.hear(reply(first, 180), A)
    cancel = sent(desk)
    desk.hear(reply(first, 183), A)
    assert not [each for each in desk.look() if isinstance(each, Send)]

    assert (cancel.destination, sent_request(cancel).method) == (A, "CANCEL")
    assert str(sent_request(cancel).via) == str(first.via)
    desk.hear(reply(sent_request(cancel), 200), A)
    desk.hear(reply(first, 487), A)
    assert desk.lines() == ["ACK"]
    desk.hear(reply(second, 200, to_tag="b", contact=CONTACT, body=OFFER), B)
    assert desk.the(Established).sdp == OFFER


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_late_answer_is_acknowledged_and_hung_up(is_answered: bool) -> None:
    desk = Desk()
    first, second = late(desk)
    answer = reply(second, 200, to_tag="b", contact=CONTACT, body=OFFER)
    if is_answered:
        desk.hear(answer, B)
        desk.the(Established)

    for _ in range(2):
        desk.hear(reply(first, 200, to_tag="a", contact="<sip:lena@192.0.2.21>", body=OFFER), A)

    sent_now = [sent_request(each) for each in desk.look() if isinstance(each, Send)]
    assert [each.method for each in sent_now] == ["ACK", "BYE", "ACK"]
    assert {each.uri for each in sent_now} == {"sip:lena@192.0.2.21"}
    if not is_answered:
        desk.hear(answer, B)
        assert desk.the(Established).sdp == OFFER


def test_a_call_given_up_while_nobody_speaks_is_not_tried_elsewhere_later() -> None:
    desk = Desk()
    call(desk, B)
    desk.do(Hangup("us", "gave up"))
    desk.look()

    desk.wait(5_000)

    assert {each.destination for each in desk.look() if isinstance(each, Send)} == {A}


class Registering:
    """A registration with several registrars."""

    def __init__(self) -> None:
        account = Account("carrier", "lena", "pbx.example", ("pbx.example", None), LENA)
        self.machine = Registration(account, ids=SeededIds())
        self.machine.receive(Start(), now_ns=0)
        assert self.machine.drain() == [Locate("pbx.example", None)]
        first, second = LocalPlace(US, 5060), LocalPlace("198.51.100.9", 5060)
        self.machine.receive(Located(A, first, ((B, second), (C, first))), now_ns=0)

    def asked(self) -> Ask:
        (ask,) = [each for each in self.machine.drain() if isinstance(each, Ask)]
        return ask

    def told(self, ask: Ask, response: Response | None, why: str = "") -> list[object]:
        self.machine.receive(Replied("carrier", ask.request, response, why), now_ns=0)
        outputs: list[object] = list(self.machine.drain())
        return outputs


def test_a_registration_turns_to_the_next_registrar() -> None:
    here = Registering()
    first = here.asked()
    blamed, second = here.told(first, reply(first.request, 503, extra=(("Retry-After", "9"),)))
    assert isinstance(second, Ask)
    other, third = here.told(second, None)
    assert isinstance(third, Ask)

    granted = reply(third.request, 200, extra=(("Expires", "60"),))
    assert here.told(third, granted) == [Registered(60, C)]

    assert [blamed, other] == [Unserved("carrier", A, 9, B), Unserved("carrier", B, 0, C)]
    assert [each.destination for each in (first, second, third)] == [A, B, C]
    assert [each.request.cseq.number for each in (first, second, third)] == [1, 2, 3]
    assert second.request.via.host == "198.51.100.9"
    assert "198.51.100.9" in (second.request.headers.get("Contact") or "")


def test_a_registration_fails_when_no_registrar_is_left() -> None:
    here = Registering()
    ask = here.asked()
    for _ in range(2):
        _, following = here.told(ask, None)
        assert isinstance(following, Ask)
        ask = following

    blamed, failed = here.told(ask, None, "no route")

    assert blamed == Unserved("carrier", C, 0)
    assert isinstance(failed, Failed)
    assert failed.reason == "no route"


def test_a_registration_that_is_taken_back_bothers_no_other_registrar() -> None:
    here = Registering()
    ask = here.asked()
    here.machine.receive(Stop(), now_ns=0)

    outputs = here.told(ask, None)

    assert not [each for each in outputs if isinstance(each, Ask)]


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, 0), ("7", 7), ("120 (busy);duration=3600", 120), ("99999", 3600), ("x", 0)]
)
def test_a_server_may_say_how_long_it_is_left_alone(value: str | None, seconds: int) -> None:
    extra = () if value is None else (("Retry-After", value),)
    assert retry_after_s(reply(request("OPTIONS"), 503, extra=extra)) == seconds


def test_only_a_503_says_that_another_server_may_serve() -> None:
    asked: Request = request("OPTIONS")
    assert [is_busy(each) for each in (None, asked, reply(asked, 503), reply(asked, 500))] == [
        False,
        False,
        True,
        False,
    ]
