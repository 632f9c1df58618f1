import pytest

from bridge.aio.sip_route import LocalAddresses, is_ipv4, resolve
from bridge.errors import SetupError


def test_a_bound_address_is_the_one_that_peers_see() -> None:
    assert LocalAddresses(bound_ip="192.0.2.9", advertised_ip=None).toward("192.0.2.1") == "192.0.2.9"


def test_an_advertised_address_is_for_everybody_but_this_machine() -> None:
    addresses = LocalAddresses(bound_ip="0.0.0.0", advertised_ip="198.51.100.7")

    assert addresses.toward("192.0.2.1") == "198.51.100.7"
    assert addresses.toward("127.0.0.1") == "127.0.0.1"


def test_the_routing_table_is_asked_once_per_peer_and_remembers_the_latest() -> None:
    addresses = LocalAddresses(bound_ip="0.0.0.0", advertised_ip=None)

    for number in range(1100):
        peer = f"127.0.{number // 250}.{number % 250 + 1}"
        assert addresses.toward(peer).startswith("127.")
        assert addresses.toward(peer).startswith("127.")


def test_a_peer_that_no_route_leads_to_gets_an_answer_all_the_same() -> None:
    addresses = LocalAddresses(bound_ip="0.0.0.0", advertised_ip=None)

    assert is_ipv4(addresses.toward("255.255.255.255"))


async def test_an_address_needs_no_look_up_and_a_name_gets_one() -> None:
    assert await resolve("192.0.2.1", 5062) == ("192.0.2.1", 5062)
    assert await resolve("localhost", 5062) == ("127.0.0.1", 5062)


@pytest.mark.parametrize("host", ["a" * 300, "::1"])
async def test_a_name_without_an_address_says_so(host: str) -> None:
    with pytest.raises(SetupError, match="has no IPv4 address"):
        await resolve(host, 5060)
