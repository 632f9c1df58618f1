"""Requests that are too long for UDP (RFC 3261 §18.1.1)."""

import pytest

from bridge.sip.agent import AgentSettings
from bridge.sip.congestion import Congestion, carried_by
from bridge.sip.events import Cut, Ended, Established, Hangup, Place, Unsent
from bridge.sip.flow import Address, connection_of, transport_of
from bridge.sip.layer import Send
from bridge.sip.message import Request
from tests.fakes import MS
from tests.sip.desk import BRIDGE_SDP, Desk, sent_request
from tests.sip.messages import OFFER, PHONE, reply, request

LONG = (("X-Long", "x" * 900),)
CONTACT = "<sip:lena@192.0.2.2:5062>"
S = 1_000_000_000


def desk(max_udp_bytes: int | None = 1300) -> Desk:
    return Desk(AgentSettings(allow=("192.0.2.0/24",), max_udp_bytes=max_udp_bytes))


def placed(here: Desk, headers: tuple[tuple[str, str], ...] = LONG) -> Send:
    here.do(Place("us", "our-call", "sip:lena@192.0.2.2", PHONE, "192.0.2.9", BRIDGE_SDP, headers=headers))
    return only(here)


def only(here: Desk) -> Send:
    (sent,) = [output for output in here.look() if isinstance(output, Send)]
    return sent


def way(sent: Send) -> tuple[str, str]:
    """By what a request goes, and by what it says it does."""
    return transport_of(sent.destination), sent_request(sent).via.transport


def test_a_long_invite_goes_over_tcp_and_says_so() -> None:
    sent = placed(desk())

    assert len(sent.data) > 1300
    assert (way(sent), sent.destination) == (("TCP", "TCP"), PHONE)
    assert sent_request(sent).headers.get("Contact") == "<sip:cosybridge@192.0.2.9:5060>"


@pytest.mark.parametrize(("headers", "bound"), [((), 1300), (LONG, None), (LONG, 65_535)])
def test_what_is_not_too_long_stays_on_udp(headers: tuple[tuple[str, str], ...], bound: int | None) -> None:
    assert way(placed(desk(bound), headers)) == ("UDP", "UDP")


def test_where_nobody_listens_on_tcp_it_goes_over_udp_after_all() -> None:
    here = desk()
    first = placed(here)

    here.do(Unsent(first.key, "refused"))

    second = only(here)
    assert (way(second), second.key, second.destination) == (("UDP", "UDP"), first.key, PHONE)
    assert (first.has_fallback, second.has_fallback) == (True, False)
    before, after = sent_request(first), sent_request(second)
    assert before.headers.without("Via") == after.headers.without("Via")
    assert before.via.branch == after.via.branch
    here.wait(500)
    assert only(here).data == second.data  # UDP repeats
    here.hear(reply(after, 200, to_tag="lena", contact=CONTACT, body=OFFER))
    assert here.the(Established).sdp == OFFER


def test_that_nobody_listens_on_tcp_is_remembered_for_a_while() -> None:
    here = desk()
    here.do(Unsent(placed(here).key))
    here.hear(reply(sent_request(only(here)), 486))
    here.look()

    assert way(placed(here)) == ("UDP", "UDP")

    here.wait(600_000)
    here.look()
    assert way(placed(here)) == ("TCP", "TCP")


def test_a_connection_that_is_cut_before_an_answer_is_no_way_either() -> None:
    here = desk()
    placed(here)

    here.do(Cut(Address(*PHONE, "TCP", 4)))

    assert way(only(here)) == ("UDP", "UDP")


def test_one_that_nothing_can_be_sent_to_at_all_is_told() -> None:
    here = desk()
    here.do(Unsent(placed(here).key, "refused"))
    here.do(Unsent(only(here).key, "no route"))

    assert here.the(Ended).reason == "no route"


def test_a_cancel_goes_where_its_invite_went() -> None:
    here = desk()
    invite = sent_request(placed(here))
    here.hear(reply(invite, 180), Address(*PHONE, "TCP", 4))
    here.look()

    here.do(Hangup("us"))

    cancel = only(here)
    assert way(cancel) == ("TCP", "TCP")
    assert str(sent_request(cancel).via) == str(invite.via)


def test_what_follows_a_long_invite_goes_as_the_contact_says() -> None:
    here = desk()
    invite = sent_request(placed(here))
    source = Address(*PHONE, "TCP", 4)
    here.hear(reply(invite, 200, to_tag="lena", contact=CONTACT, body=OFFER), source)
    ack = only(here)
    here.do(Hangup("us"))
    bye = only(here)

    assert [way(each) for each in (ack, bye)] == [("UDP", "UDP")] * 2
    assert ack.destination == bye.destination == ("192.0.2.2", 5062)


def test_a_contact_on_tcp_is_reached_over_tcp() -> None:
    here = desk(None)
    invite = sent_request(placed(here))
    contact = "<sip:lena@192.0.2.2:5062;transport=tcp>"
    here.hear(reply(invite, 200, to_tag="lena", contact=contact, body=OFFER))

    assert way(only(here)) == ("TCP", "TCP")


def test_names_and_ports_stay_with_the_address() -> None:
    long = request("MESSAGE", body=b"x" * 2000)
    congestion = Congestion(1300)

    asked = Address("proxy.example", 5060, name="example.com", has_port=False)
    found = congestion.way(long, asked, now_ns=0)

    assert isinstance(found, Address)
    assert (found.transport, found.name, found.has_port) == ("TCP", "example.com", False)
    assert connection_of(found) == 0
    for there in (Address("h", 5061, "TLS"), Address("h", 5060, "TCP")):
        assert congestion.way(long, there, now_ns=0) is there


def test_the_oldest_refusal_is_forgotten_first() -> None:
    long: Request = request("MESSAGE", body=b"x" * 2000)
    congestion = Congestion(1300)
    for port in range(257):
        congestion.refused(("192.0.2.1", port), now_ns=0)

    assert transport_of(congestion.way(long, ("192.0.2.1", 0), now_ns=1)) == "TCP"
    assert transport_of(congestion.way(long, ("192.0.2.1", 256), now_ns=599 * S)) == "UDP"
    assert transport_of(congestion.way(long, ("192.0.2.1", 256), now_ns=600 * S + MS)) == "TCP"


def test_a_request_that_says_what_it_is_carried_by_is_left_alone() -> None:
    asked = request("OPTIONS")
    assert carried_by(asked, asked.via.transport) is asked
    assert carried_by(asked, "TLS").via.transport == "TLS"
