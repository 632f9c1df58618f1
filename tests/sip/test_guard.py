import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.sip.guard import CROWD, MAX_SOURCES, Crowd, Guard, Networks, RateLimit
from tests.fakes import MS


def test_an_address_is_in_a_network_or_not() -> None:
    allowed = Networks(("10.0.0.0/8", "192.0.2.7"), key="sip.allow")

    assert "10.200.1.1" in allowed
    assert "192.0.2.7" in allowed
    assert "192.0.2.8" not in allowed
    assert "::1" not in allowed
    assert "phone.example.com" not in allowed


def test_a_network_with_a_typing_error_names_its_setting() -> None:
    with pytest.raises(ConfigError, match=r"sip.allow: '10.0.0/8'"):
        Networks(("10.0.0/8",), key="sip.allow")


def test_a_burst_of_two_seconds_passes_and_then_the_rate_counts() -> None:
    limit = RateLimit(10)

    assert sum(limit.admits("a", now_ns=0) for _ in range(100)) == 20
    assert sum(limit.admits("a", now_ns=1_000 * MS) for _ in range(100)) == 10
    assert limit.admits("b", now_ns=1_000 * MS)
    assert not limit.admits("a", now_ns=1_099 * MS)
    assert limit.admits("a", now_ns=1_100 * MS)


def test_the_source_heard_longest_ago_is_forgotten_first() -> None:
    limit = RateLimit(1)
    for _ in range(3):
        limit.admits("first", now_ns=0)
    for number in range(MAX_SOURCES):
        limit.admits(str(number), now_ns=0)

    assert limit.admits("first", now_ns=0)


def test_a_guard_asks_for_the_network_and_for_the_rate() -> None:
    guard = Guard(("192.0.2.0/24",), max_requests_per_s=1)

    assert guard.allows("192.0.2.1")
    assert not guard.allows("198.51.100.1")
    assert [guard.admits("192.0.2.1", has_call=False, now_ns=0) for _ in range(3)] == [True, True, False]


@given(st.lists(st.integers(0, 2000), max_size=200), st.integers(1, 50))
def test_nobody_gets_more_than_the_rate_and_one_burst(waits_ms: list[int], per_s: int) -> None:
    limit = RateLimit(per_s)
    now_ns = admitted = 0
    for wait_ms in waits_ms:
        now_ns += wait_ms * MS
        admitted += limit.admits("a", now_ns=now_ns)

    assert admitted <= 2 * per_s + now_ns * per_s / 1_000_000_000


def test_what_is_remembered_of_addresses_has_an_end() -> None:
    allowed = Networks(("10.0.0.0/8",), key="sip.allow")

    verdicts = [f"10.{number >> 8}.{number & 255}.1" in allowed for number in range(MAX_SOURCES + 2)]

    assert all(verdicts)
    assert "10.0.0.1" in allowed


def test_a_flood_from_many_sources_leaves_room_for_one_who_calls_now_and_then() -> None:
    crowd = Crowd(1000)

    served = {"flood": 0, "phone": 0}
    for at_ms in range(0, 10_000, 5):
        for number in range(50):  # 50 sources of 200 a second each
            served["flood"] += crowd.admits(f"flood {number}", now_ns=at_ms * MS)
        if at_ms % 1000 == 0:
            served["phone"] += crowd.admits("phone", now_ns=at_ms * MS)

    assert served["phone"] == 10
    assert 7_000 < served["flood"] < 9_000


def test_forged_sources_get_together_what_there_is_for_all() -> None:
    crowd = Crowd(1000)

    served = sum(crowd.admits(str(number), now_ns=number * MS // 10) for number in range(20_000))

    assert served == pytest.approx(1000 + 2 * 1000, rel=0.01)


def test_who_has_a_call_or_a_contract_is_no_part_of_the_crowd() -> None:
    guard = Guard(("10.0.0.0/8",), max_requests_per_s=10)
    guard.trust("carrier", ("192.0.2.1",))
    for number in range(CROWD * 10 + 9):
        guard.admits(f"10.0.0.{number}", has_call=False, now_ns=0)

    assert not guard.admits("10.0.1.1", has_call=False, now_ns=0)
    assert guard.admits("10.0.1.2", has_call=True, now_ns=0)
    assert guard.admits("192.0.2.1", has_call=False, now_ns=0)


def test_who_has_a_network_of_64_bits_has_one_rate() -> None:
    guard = Guard(("2001:db8::/32",), max_requests_per_s=1)
    admitted = [
        guard.admits(f"2001:db8:0:{site}::{host}", has_call=True, now_ns=0)
        for site in (1, 2)
        for host in range(1, 10)
    ]

    assert sum(admitted) == 4
    assert guard.allows("2001:db8:0:1::5")
