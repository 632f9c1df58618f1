import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.sip.grammar import CSeq, NameAddr, Uri, Via, split_list

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.text('<>";,=:@?/ sip1\\', max_size=40)


def test_commas_in_quotes_and_brackets_do_not_cut_a_list() -> None:
    value = '"Lena, \\"L\\"" <sip:l@a;x="1,2">;q=1 , <sip:m@b,c>,'

    assert split_list(value) == ['"Lena, \\"L\\"" <sip:l@a;x="1,2">;q=1', "<sip:m@b,c>", ""]


@pytest.mark.parametrize("value", ['"open', "<sip:open", '"a" <b', '"ends with \\'])
def test_an_open_quote_or_bracket_is_the_senders_fault(value: str) -> None:
    with pytest.raises(RemoteProtocolError, match="unbalanced"):
        split_list(value)


def test_a_sip_uri_is_taken_apart() -> None:
    uri = Uri.parse("sips:%6Cena;day=1:pw@[2001:db8::1]:5061;transport=udp;lr?subject=x")

    assert (uri.scheme, uri.user, uri.host, uri.port) == ("sips", "lena;day=1", "2001:db8::1", 5061)
    assert uri.parameter("transport") == "udp"
    assert uri.parameter("lr") == ""
    assert uri.parameter("ob") is None
    assert uri.destination == ("2001:db8::1", 5061)


def test_a_uri_keeps_its_text_without_the_headers() -> None:
    uri = Uri.parse("sip:what?@192.0.2.1?Route=%3Csip:evil%3E")

    assert uri.text == "sip:what?@192.0.2.1"
    assert uri.user == "what?"
    assert uri.destination == ("192.0.2.1", 5060)


def test_a_telephone_number_is_a_user_without_a_host() -> None:
    uri = Uri.parse("tel:+4930123;phone-context=example.com")

    assert (uri.user, uri.host, uri.parameter("phone-context")) == ("+4930123", "", "example.com")


def test_an_unknown_scheme_stays_opaque() -> None:
    uri = Uri.parse("nobodyKnows:what:ever")

    assert (uri.scheme, uri.host, uri.text) == ("nobodyknows", "", "nobodyKnows:what:ever")


def test_escaped_control_characters_stay_escaped() -> None:
    assert Uri.parse("sip:a%0d%0aEvil@h").user == "a%0d%0aEvil"


@pytest.mark.parametrize(
    "text",
    ["", "sip", "sip:", ":x", "1sip:x", "sip:a b@h", "<sip:h>", "sip:@h", "sip:a@", "sip:a@h:0",
     "sip:a@h:65536", "sip:a@h:99999", "sip:a@/x", "sip:ä@h", "sip:a@h;=1", "sip:a@hé"],
)  # fmt: skip
def test_what_is_no_uri_is_the_senders_fault(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Uri.parse(text)


def test_an_address_in_brackets_keeps_uri_and_header_parameters_apart() -> None:
    address = NameAddr.parse('"<Lena \\" > " <sip:l@h;lr>;tag=7;+sip.ice')

    assert address.uri.parameter("lr") == ""
    assert address.uri.parameter("tag") is None
    assert (address.tag, address.parameter("+sip.ice")) == ("7", "")


def test_without_brackets_every_parameter_belongs_to_the_header() -> None:
    address = NameAddr.parse("sip:l@h;tag=7")

    assert address.uri.text == "sip:l@h"
    assert address.tag == "7"
    assert NameAddr.parse("Bob B. <sip:b@h>").tag == ""


@pytest.mark.parametrize(
    "text",
    [
        "sip:l@h?x=y",
        "sip:l@h,sip:m@h",
        "Bell, A <sip:l@h>",
        "<sip:l@h",
        "<sip:l@h>tag=1",
        '"open <sip:l@h>',
        "",
    ],
)
def test_what_is_no_address_is_the_senders_fault(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        NameAddr.parse(text)


def test_a_via_survives_parsing_and_writing() -> None:
    text = "SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bKx;rport"

    via = Via.parse(text)

    assert str(via) == text
    assert (via.branch, via.parameter("rport"), via.parameter("ttl")) == ("z9hG4bKx", "", None)
    assert Via.parse("SIP / 2.0 / udp host").branch == ""


def test_the_top_via_tells_where_a_request_really_came_from() -> None:
    via = Via.parse("SIP/2.0/UDP 10.0.0.1:5070;rport;received=6.6.6.6;branch=z9hG4bKx")

    assert str(via.seen_from(("192.0.2.1", 1024))) == (
        "SIP/2.0/UDP 10.0.0.1:5070;rport=1024;branch=z9hG4bKx;received=192.0.2.1"
    )
    assert via.reply_address(("192.0.2.1", 1024)) == ("192.0.2.1", 1024)


def test_without_rport_the_answer_goes_to_the_port_that_the_via_names() -> None:
    source = ("192.0.2.1", 1024)

    assert Via.parse("SIP/2.0/UDP 192.0.2.1:5070").reply_address(source) == ("192.0.2.1", 5070)
    assert Via.parse("SIP/2.0/UDP 192.0.2.1").reply_address(source) == ("192.0.2.1", 5060)
    assert str(Via.parse("SIP/2.0/UDP 192.0.2.1").seen_from(source)) == "SIP/2.0/UDP 192.0.2.1"


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/2.0/UDP ;x", "SIP/2/UDP h", "HTTP/2.0/UDP h", "SIP/2.0/UDP h x"]
)
def test_what_is_no_via_is_the_senders_fault(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Via.parse(text)


def test_a_cseq_is_a_number_below_two_to_the_31_and_a_method() -> None:
    assert str(CSeq.parse("0009 INVITE")) == "9 INVITE"
    for text in ("", "1", "INVITE", f"{2**31} INVITE", "-1 INVITE", "1 IN VITE"):
        with pytest.raises(RemoteProtocolError):
            CSeq.parse(text)


@given(ANY_TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (Uri.parse, NameAddr.parse, Via.parse, CSeq.parse, split_list):
        try:
            parse(text)
        except RemoteProtocolError:
            continue


def test_another_spelling_of_an_ipv6_address_is_the_same_place() -> None:
    via = Via.parse("SIP/2.0/UDP [2001:DB8:0::1]:5070;branch=z9hG4bKx")

    assert str(via.seen_from(("2001:db8::1", 5070))) == "SIP/2.0/UDP [2001:DB8:0::1]:5070;branch=z9hG4bKx"
    assert str(via.seen_from(("2001:db8::2", 5070))).endswith(";received=2001:db8::2")
    assert Uri.parse("sip:x@[2001:DB8:0::1]:5070").destination == ("2001:db8::1", 5070)


@pytest.mark.parametrize("host", ["[]", "[::1::]", "[1.2.3]", "[:]"])
def test_what_stands_in_brackets_must_be_an_address(host: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Uri.parse(f"sip:x@{host}")
