import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.hosts6 import FIRST_KEY6, told
from bridge.engine.ports import PortRange, host_number, peer_address, peer_key, raise_file_limit
from bridge.errors import EngineError

LOCAL = "127.0.0.1"


@pytest.fixture
def block() -> Iterator[int]:
    """First port of six that are free at this moment."""
    for first in range(31000, 39000, 6):
        probes = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(6)]
        try:
            for at, probe in enumerate(probes):
                probe.bind((LOCAL, first + at))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        yield first
        return
    pytest.fail("no six free ports in a row")


def test_a_peer_survives_the_way_through_the_plane() -> None:
    assert peer_address(peer_key(("203.0.113.7", 40000))) == ("203.0.113.7", 40000)
    assert peer_key(("0.0.0.1", 2)) == 1 << 16 | 2


@given(st.ip_addresses(), st.integers(0, 65535))
def test_any_address_and_port_fit_into_a_column(address: IPv4Address | IPv6Address, port: int) -> None:
    host = str(address)

    key = peer_key((host, port))

    assert 0 <= key < 1 << 63
    assert (key >= FIRST_KEY6) is (address.version == 6)
    assert (key >> 16, key & 0xFFFF) == (host_number(host), port)
    known = peer_address(key, told(host))
    assert known is not None
    assert (ip_address(known[0]), known[1]) == (address, port)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6))
def test_two_hosts_of_ipv6_have_two_numbers(one: IPv6Address, other: IPv6Address) -> None:
    assert (host_number(str(one)) == host_number(str(other))) is (one == other)
    assert host_number(one.exploded) == host_number(one.compressed)


def test_a_host_of_ipv6_that_was_not_told_is_not_guessed() -> None:
    assert peer_address(peer_key(("2001:db8::7", 4000))) is None
    assert peer_address(peer_key(("2001:db8::7", 4000)), told("2001:db8::8", "10.0.0.1", None)) is None


def test_a_port_of_ipv6_is_one_of_ipv6_alone(block: int) -> None:
    ports = PortRange(block, block + 5, bind_ip=LOCAL, bind_ip6="::1")
    six = ports.bind(in_ipv6=True)
    four = ports.bind()

    assert (six.is_ipv6, four.is_ipv6) == (True, False)
    assert six.rtp.getsockname()[:2] == ("::1", six.port)
    assert six.rtp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert six.rtp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0xB8
    ports.release(six)
    ports.release(four)


@pytest.mark.parametrize(
    "peer", [("::1::", 5000), ("phone.example", 5000), ("127.0.0.1", 65536), ("::1", -1)]
)
def test_what_is_no_peer_is_named(peer: tuple[str, int]) -> None:
    with pytest.raises(EngineError, match="not"):
        peer_key(peer)


def test_rtp_gets_an_even_port_and_rtcp_the_odd_one_above(block: int) -> None:
    ports = PortRange(block, block + 5, bind_ip=LOCAL).bind()

    assert ports.port == block
    assert ports.rtcp is not None
    assert ports.rtcp.getsockname() == (LOCAL, block + 1)
    ports.close()


def test_a_freed_port_rests_while_others_are_left(block: int) -> None:
    ports = PortRange(block, block + 5, bind_ip=LOCAL)
    first = ports.bind()
    ports.release(first)

    later = [ports.bind() for _ in range(3)]

    assert [pair.port for pair in later] == [block + 2, block + 4, block]
    for pair in later:
        ports.release(pair)


def test_a_port_of_another_program_is_passed_over(block: int) -> None:
    ports = PortRange(block, block + 5, bind_ip=LOCAL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCAL, block))

        pair = ports.bind()

        assert pair.port == block + 2
        ports.release(pair)


def test_a_call_lives_without_rtcp_when_the_odd_port_is_taken(block: int) -> None:
    ports = PortRange(block, block + 5, bind_ip=LOCAL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCAL, block + 1))

        pair = ports.bind()

        assert (pair.port, pair.rtcp) == (block, None)
        assert pair.sockets() == [pair.rtp]
        ports.release(pair)


def test_an_exhausted_range_says_who_holds_the_ports_and_recovers(block: int) -> None:
    ports = PortRange(block, block + 3, bind_ip=LOCAL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCAL, block + 2))
        pair = ports.bind()

        with pytest.raises(EngineError, match=f"{block}-{block + 3}: 1 in calls, 1 held by other programs"):
            ports.bind()

    second = ports.bind()
    assert second.port == block + 2
    ports.release(pair)
    ports.release(second)


def test_an_address_of_another_machine_is_refused_once_and_clearly(block: int) -> None:
    ports = PortRange(block, block + 5, bind_ip="203.0.113.7")

    for _ in range(5):  # More often than there are pairs: none is used up.
        with pytest.raises(EngineError, match=r"cannot bind a media port on 203\.0\.113\.7"):
            ports.bind()


def test_a_range_without_a_pair_is_refused() -> None:
    with pytest.raises(EngineError, match="holds no even port"):
        PortRange(5001, 5002, bind_ip=LOCAL)
    with pytest.raises(EngineError, match="holds no even port"):
        PortRange(65530, 70000, bind_ip=LOCAL)


def test_a_restarted_bridge_begins_elsewhere_in_the_range(block: int) -> None:
    ports = PortRange(block, block + 5, bind_ip=LOCAL, skip=4)

    pair = ports.bind()

    assert pair.port == block + 2
    ports.release(pair)


def test_the_file_limit_is_lifted_as_far_as_the_system_allows() -> None:
    assert raise_file_limit() >= 256
