import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.hosts import address_of, bracketed, is_loopback, is_v6, same_host, source_of, spot


@given(st.ip_addresses(v=6))
def test_an_address_has_one_spelling_however_it_is_written(address: ipaddress.IPv6Address) -> None:
    plain = address_of(str(address))
    mapped = address.ipv4_mapped

    assert plain == str(mapped or address)
    assert address_of(f"[{address.exploded.upper()}]") == plain
    assert is_v6(plain) is (mapped is None)
    assert same_host(address.exploded, f"[{address.compressed}]")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_one_is_held_to_the_same_rules(address: ipaddress.IPv4Address) -> None:
    assert address_of(f"::ffff:{address}") == address_of(str(address)) == str(address)


@pytest.mark.parametrize(
    "host", ["", "phone.example", "1.2.3", "[::1", "::1]", "[::1]:5060", "010.0.0.1", "::g"]
)
def test_what_is_no_address_is_a_name(host: str) -> None:
    assert address_of(host) is None
    assert not is_loopback(host)


def test_names_are_one_without_regard_to_case() -> None:
    assert same_host("Phone.Example", "phone.example")
    assert not same_host("phone.example", "::1")


@pytest.mark.parametrize(
    ("host", "text"),
    [("::1", "[::1]:5060"), ("[::1]", "[::1]:5060"), ("10.0.0.1", "10.0.0.1:5060"), ("a.b", "a.b:5060")],
)
def test_only_an_ipv6_address_has_brackets_before_its_port(host: str, text: str) -> None:
    assert spot(host, 5060) == text
    assert bracketed(bracketed(host)) == bracketed(host)


def test_the_loopback_is_known_in_both_families() -> None:
    assert [is_loopback(ip) for ip in ("127.3.2.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "fd00::1")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_who_has_a_network_of_64_bits_is_one_sender() -> None:
    assert source_of("2001:db8:0:7::1") == source_of("2001:db8:0:7:ffff::9") == "2001:db8:0:7::/64"
    assert source_of("2001:db8:0:8::1") != source_of("2001:db8:0:7::1")
    assert source_of("fe80::1%eth0") == "fe80::/64"
    assert (source_of("10.0.0.1"), source_of("")) == ("10.0.0.1", "")
