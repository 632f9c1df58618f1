"""The cases of RFC 5118 §4: messages on IPv6 that are right, and those that only look so."""

import pytest

from bridge.errors import NegotiationError
from bridge.sip import wire
from bridge.sip.agent import AgentSettings
from bridge.sip.glance import media_address
from bridge.sip.grammar import Uri, Via
from bridge.sip.layer import Send
from bridge.sip.message import Request, respond
from bridge.sip.offer import LocalMedia, answer
from bridge.sip.wire import BadRequestError
from tests.sip.desk import Desk
from tests.sip.messages import parsed_request, parsed_response, raw

CALLER = ("2001:db8::9:1", 6060)
HERE = LocalMedia("2001:db8::10", 16384, session_id=7)


def desk() -> Desk:
    return Desk(AgentSettings(allow=("2001:db8::/32",)))


def sdp(*lines: str) -> bytes:
    head = ("v=0", "o=assistant 971731711378798081 0 IN IP6 2001:db8::20", "s=Live video feed")
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("sip:[2001:db8::10]", ("2001:db8::10", 5060)),  # §4.1
        ("sip:[2001:db8::10:5070]", ("2001:db8::10:5070", 5060)),  # §4.3: no port, whatever was meant
        ("sip:[2001:db8::10]:5070", ("2001:db8::10", 5070)),  # §4.4
    ],
)
def test_a_port_stands_behind_the_bracket(uri: str, place: tuple[str, int]) -> None:
    via = f"SIP/2.0/UDP [{CALLER[0]}]:{CALLER[1]}"
    asked = parsed_request(raw("OPTIONS", uri=uri, via=via))

    assert Uri.parse(asked.uri).destination == place

    office = desk()
    office.hear(bytes(asked), CALLER)
    sent = office.the(Send)
    assert sent.destination == CALLER
    assert parsed_response(sent.data).headers.get("Via") == f"{via};branch=z9hG4bK1"


@pytest.mark.parametrize(
    "uri",
    [
        "sip:2001:db8::10",  # §4.2: no brackets
        "sip:user@[2001:db8:::192.0.2.1]",  # §4.10: three colons, by a grammar of RFC 2373
    ],
)
def test_what_is_no_address_of_ipv6_is_a_bad_request(uri: str) -> None:
    with pytest.raises(BadRequestError):
        wire.parse(raw("OPTIONS", uri=uri))

    office = desk()
    office.hear(raw("OPTIONS", uri=uri, via="SIP/2.0/UDP [2001:db8::9:1]"), CALLER)
    assert parsed_response(office.the(Send).data).status == 400


@pytest.mark.parametrize("received", ["[2001:db8::9:255]", "2001:db8::9:255"])
def test_received_may_have_brackets_or_none(received: str) -> None:
    via = f"SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3-111"

    assert str(Via.parse(via)) == via  # §4.5


def test_hops_of_both_families_are_kept_as_they_came() -> None:
    first = "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111"
    second = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144"
    data = raw("BYE", via="SIP/2.0/UDP 192.0.2.200", to_tag="x", extra=(f"Via: {first}", f"Via: {second}"))

    asked = wire.parse(data)

    assert isinstance(asked, Request)
    vias = respond(asked, 200, source=("192.0.2.200", 5060), to_tag="x").headers.all("Via")
    assert vias[1:] == [first, second]  # §4.7


def test_a_description_on_ipv6_is_understood() -> None:
    offer = sdp("c=IN IP6 2001:db8::20", "t=0 0", "m=audio 6000 RTP/AVP 0")

    assert answer(offer, HERE)[1].remote == ("2001:db8::20", 6000)  # §4.6


def test_each_stream_may_be_of_another_family() -> None:
    offer = sdp(
        *("t=0 0", "m=audio 22334 RTP/AVP 0", "c=IN IP4 192.0.2.1"),
        *("m=audio 6024 RTP/AVP 0", "c=IN IP6 2001:db8::1"),
    )

    assert answer(offer, HERE)[1].remote == ("2001:db8::1", 6024)  # §4.8


def test_an_ipv4_address_written_as_ipv6_is_held_to_be_the_ipv4_address() -> None:
    invite = raw("INVITE", contact='"T. desk phone" <sip:ted@[::ffff:192.0.2.2]>')
    offer = sdp("c=IN IP6 ::ffff:192.0.2.2", "t=0 0", "m=audio 6000 RTP/AVP 0")

    contact = parsed_request(invite).contact

    assert contact is not None
    assert contact.uri.destination == ("192.0.2.2", 5060)  # §4.9
    assert media_address(offer) == ("192.0.2.2", 6000)
    assert answer(offer, LocalMedia("192.0.2.9", 4, session_id=1))[1].remote == ("192.0.2.2", 6000)
    with pytest.raises(NegotiationError):
        answer(offer, HERE)
