import socket

from bridge.aio.sip_route import LocalAddresses, Remembered, family_of
from bridge.clock import SystemClock
from tests.fakes import ManualClock


def addresses(
    bound_ip: str = "0.0.0.0",
    advertised_ip: str | None = None,
) -> LocalAddresses:
    return LocalAddresses(bound_ip=bound_ip, advertised_ip=advertised_ip, clock=SystemClock())


def test_a_bound_address_is_the_one_that_peers_see() -> None:
    assert addresses("192.0.2.9").toward("192.0.2.1") == "192.0.2.9"


def test_an_advertised_address_is_for_everybody_but_this_machine() -> None:
    ours = addresses(advertised_ip="198.51.100.7")

    assert ours.toward("192.0.2.1") == "198.51.100.7"
    assert ours.toward("127.0.0.1") == "127.0.0.1"


def test_a_peer_that_no_route_leads_to_gets_an_answer_all_the_same() -> None:
    assert family_of(addresses().toward("255.255.255.255")) == socket.AF_INET
    assert family_of(addresses("::").toward("2001:db8::9")) == socket.AF_INET6


def test_the_routing_table_is_asked_again_when_it_failed_and_when_its_answer_is_old() -> None:
    clock = ManualClock()
    answers = iter([None, "192.0.2.9", "198.51.100.9"])
    ours = LocalAddresses(
        bound_ip="0.0.0.0",
        advertised_ip=None,
        clock=clock,
        ask=lambda _: next(answers),
    )

    assert ours.toward("192.0.2.1") == "127.0.0.1"
    assert ours.toward("192.0.2.1") == "192.0.2.9"
    clock.advance(29_999)
    assert ours.toward("192.0.2.1") == "192.0.2.9"
    clock.advance(1)
    assert ours.toward("192.0.2.1") == "198.51.100.9"


def test_the_oldest_answer_is_forgotten_first() -> None:
    known: Remembered[str, str] = Remembered(ManualClock(), size=2)
    for asked, ip in (("a", "1.1.1.1"), ("b", "2.2.2.2"), ("a", "3.3.3.3"), ("c", "4.4.4.4")):
        known.put(asked, ip)

    assert [known.get(asked) for asked in "abc"] == ["3.3.3.3", None, "4.4.4.4"]

    known.drop(lambda answer: answer == "3.3.3.3")

    assert [known.get(asked) for asked in "abc"] == [None, None, "4.4.4.4"]
