import socket
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.hosts6 import FIRST_KEY6, Hosts6, host_of, number6, told
from bridge.errors import EngineError

HOSTS = st.lists(st.ip_addresses(v=6).map(str), max_size=4)


def packed(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, host)


def test_a_row_is_told_each_of_its_hosts_once_and_none_of_ipv4() -> None:
    assert told() == told(None, "10.0.0.1") == b""
    assert told("::1", None, "10.0.0.1", "::1") == told("::1")
    assert host_of(told("::1", "fd00::2"), number6("fd00::2")) == "fd00::2"
    assert host_of(told("::1"), number6("fd00::2")) is None


def test_what_is_no_address_has_no_number() -> None:
    with pytest.raises(EngineError, match=r"not 'phone\.example'"):
        number6("phone.example")


@given(st.lists(st.tuples(st.integers(0, 3), HOSTS), max_size=12), st.ip_addresses(v=6))
def test_the_hosts_of_all_rows_are_known_both_ways_and_no_others(
    changes: list[tuple[int, list[str]]], stranger: IPv6Address
) -> None:
    hosts = Hosts6()
    rows: dict[int, list[str]] = {}
    for row, named in changes:
        hosts.follow(row, told(*named))
        rows[row] = named
    known = {packed(host): number6(host) for named in rows.values() for host in named}

    assert len(hosts) == sum(bool(named) for named in rows.values())
    for address, number in known.items():
        assert hosts.number(address) == number
        assert hosts.address(number) == address
    number = hosts.number(stranger.packed)
    assert (number in known.values()) is (stranger.packed in known)
    assert number << 16 >= FIRST_KEY6
    assert hosts.address(number) == stranger.packed
    for row in rows:
        hosts.leave(row)
        hosts.leave(row)
    assert len(hosts) == 0
    assert all(hosts.address(number) is None for number in known.values() if number != hosts.number(b""))


def test_a_host_that_becomes_a_peer_is_no_stranger_any_more() -> None:
    hosts = Hosts6()
    before = hosts.number(packed("::1"))
    assert hosts.number(packed("::1")) == before

    hosts.follow(3, told("::1"))
    during = hosts.number(packed("::1"))
    hosts.leave(3)

    assert during == number6("::1") != before
    assert hosts.number(packed("::1")) == before


def test_strangers_are_as_many_as_they_like_and_the_oldest_is_forgotten() -> None:
    hosts = Hosts6()
    hosts.follow(0, told("::1"))
    first = hosts.number(packed("2001:db8::"))
    for number in range(1, 5_000):
        hosts.number((int(IPv6Address("2001:db8::")) + number).to_bytes(16))

    assert hosts.address(first) is None
    assert hosts.number(packed("2001:db8::")) != first
    assert len(hosts._strangers) == len(hosts._strange_addresses) == 4096
    assert hosts.address(number6("::1")) == packed("::1")
