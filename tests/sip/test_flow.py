"""Addresses that know by what they are reached."""

from dataclasses import replace

import pytest

from bridge.sip.dialog import Dialog, LocalPlace
from bridge.sip.flow import Address, connection_of, is_reliable, port_of, transport_of
from bridge.sip.grammar import NameAddr, Uri, Via
from tests.sip.messages import parsed_request, raw


def test_an_address_is_the_pair_that_it_holds() -> None:
    address = Address("192.0.2.1", 5060, "TCP", 7)
    assert address == ("192.0.2.1", 5060)
    assert (transport_of(address), connection_of(address), is_reliable(address)) == ("TCP", 7, True)
    assert address.name == "192.0.2.1"
    assert repr(address) == "Address(192.0.2.1:5060 TCP 7)"


def test_a_plain_pair_is_one_of_udp() -> None:
    assert (transport_of(("a", 1)), connection_of(("a", 1)), is_reliable(("a", 1))) == ("UDP", 0, False)


@pytest.mark.parametrize(
    ("uri", "transport", "port"),
    [
        ("sip:a@h", "UDP", 5060),
        ("sip:a@h;transport=tcp", "TCP", 5060),
        ("sip:a@h:99;transport=TCP", "TCP", 99),
        ("sip:a@h;transport=tls", "TLS", 5061),
        ("sips:a@h", "TLS", 5061),
        ("sips:a@h;transport=tcp", "TLS", 5061),
        ("sip:a@h;transport=ws", "WS", 80),
        ("sips:a@h;transport=ws", "WSS", 443),
        ("sip:a@h;transport=sctp", "UDP", 5060),
    ],
)
def test_a_uri_says_by_what_it_is_reached(uri: str, transport: str, port: int) -> None:
    destination = Uri.parse(uri).destination
    assert (destination, destination.transport) == (("h", port), transport)


def test_a_connection_is_answered_on_itself_and_else_where_its_peer_listens() -> None:
    source = Address("192.0.2.9", 40000, "TCP", 3)
    reply = Via.parse("SIP/2.0/TCP phone.example:5070;rport;branch=z9hG4bK1").reply_address(source)
    assert (reply, transport_of(reply), connection_of(reply)) == (("192.0.2.9", 5070), "TCP", 3)
    reply = Via.parse("SIP/2.0/TLS phone.example").reply_address(Address("192.0.2.9", 40000, "TLS", 4))
    assert (reply, connection_of(reply)) == (("192.0.2.9", 5061), 4)


@pytest.mark.parametrize(
    ("transport", "contact", "via"),
    [
        ("UDP", "<sip:cosybridge@192.0.2.1:5060>", "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=b"),
        ("WS", "<sip:cosybridge@192.0.2.1:5060;transport=ws>", "SIP/2.0/WS 192.0.2.1:5060;rport;branch=b"),
    ],
)
def test_we_say_by_what_we_are_reached(transport: str, contact: str, via: str) -> None:
    place = LocalPlace("192.0.2.1", 5060, transport=transport)
    assert (place.contact, place.via("b")) == (contact, via)


def test_an_address_of_six_has_its_brackets() -> None:
    private = LocalPlace("192.0.2.1", 5061, transport="TLS", scheme="sips")
    assert private.contact == "<sips:cosybridge@192.0.2.1:5061>"
    assert replace(private, transport="WSS").contact == "<sips:cosybridge@192.0.2.1:5061;transport=wss>"
    assert LocalPlace("2001:db8::1", 5060).contact == "<sip:cosybridge@[2001:db8::1]:5060>"


@pytest.mark.parametrize("route", ["", "<sip:proxy.example;lr>"])
def test_requests_of_a_dialog_stay_on_its_connection(route: str) -> None:
    extra = (f"Record-Route: {route}",) if route else ()
    invite = parsed_request(raw("INVITE", contact="<sip:x@abc.invalid;transport=ws>", extra=extra))
    source = Address("192.0.2.9", 40000, "WS", 3)
    dialog = Dialog.of_callee(invite, local_tag="t", place=LocalPlace("192.0.2.1", 80), source=source)
    host = NameAddr.parse(route).uri.host if route else "abc.invalid"
    assert dialog.destination[0] == host
    assert (transport_of(dialog.destination), connection_of(dialog.destination)) == ("WS", 3)


def test_each_family_of_addresses_may_have_a_port_of_its_own() -> None:
    ports = {"UDP": 5060, "UDP6": 5062, "TCP": 5070}

    assert port_of(ports, "UDP", "10.0.0.1", otherwise=9) == 5060
    assert port_of(ports, "UDP", "::1", otherwise=9) == 5062
    assert port_of(ports, "TCP", "::1", otherwise=9) == 5070
    assert port_of(ports, "TLS", "::1", otherwise=9) == 9


def test_a_connection_that_is_made_again_is_made_to_the_same_domain() -> None:
    invite = parsed_request(raw("INVITE", contact="<sip:lena@192.0.2.2:5061;transport=tls>"))
    place = LocalPlace("192.0.2.9", 5061, transport="TLS")
    source = Address("192.0.2.2", 5061, "TLS", 7, "example.com")
    dialog = Dialog.of_callee(invite, local_tag="us", place=place, source=source)

    assert isinstance(dialog.destination, Address)
    assert (dialog.destination.name, dialog.destination.connection) == ("example.com", 7)

    moved = parsed_request(raw("INVITE", contact="<sip:lena@pbx.example;transport=tls>"))
    dialog.peer = dialog.whereabouts(moved, source=source)

    assert (dialog.destination.name, dialog.destination.has_port) == ("pbx.example", False)
