from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.flow import Address
from bridge.sip.grammar import Uri
from bridge.sip.locating import (
    Failures,
    Srv,
    Wanted,
    places_of,
    targets_of,
)
from tests.fakes import SeededIds

S = 1_000_000_000
HOSTS = {"a.example": ("192.0.2.1", "2001:db8::1"), "b.example": ("192.0.2.2",), "c.example": ()}


def asked(uri: str) -> list[str]:
    return [service.name for service in Wanted.of(Uri.parse(uri)).services]


def places(uri: str, *answers: list[Srv], seed: int = 1) -> list[tuple[str, int, str]]:
    wanted = Wanted.of(Uri.parse(uri))
    found = places_of(wanted, zip(wanted.services, answers, strict=True), dice=SeededIds(seed))
    assert all(place.name == wanted.host for place in found)
    return [(*place, place.transport) for place in found]


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("sip:x@example.com", ["_sip._udp.example.com", "_sip._tcp.example.com"]),
        ("sip:x@example.com.;transport=udp", ["_sip._udp.example.com"]),
        ("sip:x@example.com;transport=tcp", ["_sip._tcp.example.com"]),
        ("sip:x@example.com;transport=tls", ["_sips._tcp.example.com"]),
        ("sips:x@example.com", ["_sips._tcp.example.com"]),
        ("sips:x@example.com;transport=tcp", ["_sips._tcp.example.com"]),
        ("sip:x@example.com;transport=ws", []),
        ("sip:x@example.com:5070", []),
        ("sip:x@192.0.2.7", []),
        ("sips:x@[2001:db8::7]", []),
    ],
)
def test_srv_is_asked_for_where_neither_port_nor_address_is_known(uri: str, names: list[str]) -> None:
    assert asked(uri) == names


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("sip:x@192.0.2.7", ("192.0.2.7", 5060, "UDP")),
        ("sip:x@192.0.2.7;transport=tcp", ("192.0.2.7", 5060, "TCP")),
        ("sips:x@[2001:db8::7]", ("2001:db8::7", 5061, "TLS")),
        ("sip:x@example.com:5070;transport=tls", ("example.com", 5070, "TLS")),
        ("sip:x@example.com:5070", ("example.com", 5070, "UDP")),
    ],
)
def test_what_needs_no_srv_is_where_it_says(uri: str, place: tuple[str, int, str]) -> None:
    assert places(uri) == [place]


def test_a_domain_without_srv_is_a_host_on_the_usual_port() -> None:
    assert places("sip:x@example.com", [], []) == [("example.com", 5060, "UDP")]
    assert places("sips:x@example.com", []) == [("example.com", 5061, "TLS")]


def test_the_first_transport_that_is_offered_is_taken() -> None:
    only = [Srv(1, 1, 5080, "a.example")]

    assert places("sip:x@example.com", only, [Srv(0, 0, 5090, "b.example")]) == [("a.example", 5080, "UDP")]
    assert places("sip:x@example.com", [], only) == [("a.example", 5080, "TCP")]
    assert places("sips:x@example.com", only) == [("a.example", 5080, "TLS")]


def test_a_service_that_is_decidedly_not_offered_is_not_tried() -> None:
    never = [Srv(0, 0, 0, "")]

    assert places("sip:x@example.com", never, never) == []
    assert places("sip:x@example.com", never, [Srv(0, 0, 5062, "b.example")]) == [
        ("b.example", 5062, "TCP"),
    ]
    assert places("sips:x@example.com", [Srv(0, 0, 0, "a.example")]) == []


def test_lower_priorities_come_first_whatever_their_weight() -> None:
    records = [Srv(20, 65535, 5062, "c.example"), Srv(10, 0, 5061, "b.example"), Srv(5, 0, 5060, "a.example")]

    assert [host for host, *_ in places("sips:x@example.com", records)] == [
        "a.example",
        "b.example",
        "c.example",
    ]


def test_weights_share_the_load_and_nobody_is_left_out() -> None:
    records = [Srv(1, 0, 1, "zero"), Srv(1, 10, 1, "ten"), Srv(1, 30, 1, "thirty")]

    first = Counter(places("sips:x@example.com", records, seed=seed)[0][0] for seed in range(4000))

    assert first["zero"] > 0
    assert 2.5 < first["thirty"] / first["ten"] < 3.5


@given(
    st.lists(
        st.builds(
            Srv, st.integers(0, 3), st.integers(0, 65535), st.integers(1, 65535), st.sampled_from("abcdef")
        ),
        max_size=8,
    ),
    st.integers(0, 1 << 16),
)
def test_every_server_is_tried_once_in_order_of_priority(records: list[Srv], seed: int) -> None:
    found = places("sips:x@example.com", records, seed=seed)

    if records:
        assert Counter(found) == Counter((each.host, each.port, "TLS") for each in records)
        by_place = {(each.host, each.port): 0 for each in records}
        assert set(by_place) == {(host, port) for host, port, _ in found}
    priorities = iter(sorted(each.priority for each in records))
    for host, port, _ in found if records else []:
        now = next(priorities)
        assert any((each.host, each.port, each.priority) == (host, port, now) for each in records)


def test_an_answer_of_many_records_is_not_tried_to_its_end() -> None:
    records = [Srv(1, 1, 5060 + number, "a.example") for number in range(200)]

    assert len(places("sips:x@example.com", records)) == 32


def test_hosts_become_addresses_in_order_each_once() -> None:
    wanted = [Address(host, 5060, name="example.com") for host in ("b.example", "c.example", "a.example")]

    found = targets_of([*wanted, *wanted, Address("192.0.2.9", 5070), Address("d.example", 1)], HOSTS)

    assert found == [
        ("192.0.2.2", 5060),
        ("192.0.2.1", 5060),
        ("2001:db8::1", 5060),
        ("192.0.2.9", 5070),
    ]
    assert [target.name for target in found] == ["example.com"] * 3 + ["192.0.2.9"]


def test_an_address_within_another_is_what_it_leads_to() -> None:
    found = targets_of(
        [Address("a.example", 5060), Address("::FFFF:10.0.0.2", 5060)], {"a.example": ("::ffff:10.0.0.1",)}
    )

    assert found == [("10.0.0.1", 5060), ("10.0.0.2", 5060)]


def test_one_host_is_tried_by_each_transport() -> None:
    both = [Address("192.0.2.9", 5060, transport) for transport in ("UDP", "TCP")]

    assert [each.transport for each in targets_of(both, {})] == ["UDP", "TCP"]


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        (("proxy.example", 5060), Wanted("proxy.example", 5060, "UDP")),
        (Address("proxy.example", 5070, "TCP"), Wanted("proxy.example", 5070, "TCP")),
        (Uri.parse("sip:proxy.example;transport=tcp").destination, Wanted("proxy.example", None, "TCP")),
        (Uri.parse("sip:proxy.example:5060").destination, Wanted("proxy.example", 5060, "UDP")),
    ],
)
def test_an_address_remembers_whether_its_port_was_named(address: tuple[str, int], wanted: Wanted) -> None:
    assert Wanted.at(address) == wanted


def test_targets_that_failed_are_tried_last_for_a_while() -> None:
    one, two, three = (Address(f"192.0.2.{number}", 5060) for number in (1, 2, 3))
    failures = Failures()

    failures.add(two, for_ns=20 * S, now_ns=0)
    failures.add(one, for_ns=30 * S, now_ns=0)

    assert failures.sort([one, two, three], now_ns=1) == [three, two, one]
    assert failures.sort([one, two, three], now_ns=20 * S) == [two, three, one]
    assert failures.sort([one, two, three], now_ns=30 * S) == [one, two, three]
    assert failures.sort([Address(*one, "TCP"), one], now_ns=1)[0].transport == "TCP"


def test_a_later_failure_counts_and_the_oldest_are_forgotten() -> None:
    failures = Failures()
    first, other = Address("192.0.2.1", 1), Address("192.0.2.2", 1)
    failures.add(first, for_ns=S, now_ns=0)
    failures.add(first, for_ns=S, now_ns=S)
    assert failures.sort([first, other], now_ns=S) == [other, first]

    for port in range(1100):
        failures.add(Address("192.0.2.9", port), for_ns=S, now_ns=S)

    assert len(failures) == 1024
    assert failures.sort([first, other], now_ns=S) == [first, other]
