from collections.abc import Iterator

import pytest

from bridge.engine.ports import BoundPorts, PortRange, peer_key
from bridge.engine.shared_ports import SharedPorts

MS = 1_000_000
S = 1000 * MS


class Bench:
    """A pool on loopback, and what it announced."""

    def __init__(self, *, size: int, pairs: int = 20) -> None:
        self.opened: list[tuple[int, int]] = []
        self.range = PortRange(42_000, 42_000 + 2 * pairs, bind_ip="127.0.0.1")
        self.pool = SharedPorts(self.range, size=size)
        self.pool.on_open = self._note

    def _note(self, number: int, ports: BoundPorts) -> None:
        self.opened.append((number, ports.port))

    def seat(self, host: str, port: int = 4000, *, nat: str | None = None, now_ns: int = 0) -> int | None:
        nat_ip = 0 if nat is None else peer_key((nat, 0)) >> 16
        taken = self.pool.take(peer_key((host, port)), nat_ip, now_ns=now_ns)
        return None if taken is None else taken[0].number


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(size=2)
    yield made
    made.pool.close()


def test_peers_of_different_addresses_share_the_first_port(bench: Bench) -> None:
    assert [bench.seat("10.0.0.1", 4000), bench.seat("10.0.0.1", 5000), bench.seat("10.0.0.2")] == [0, 0, 0]
    assert len(bench.opened) == 1
    assert bench.pool.opened[0].port == bench.opened[0][1]


def test_the_same_address_twice_needs_another_port_and_then_one_of_its_own(bench: Bench) -> None:
    assert [bench.seat("10.0.0.1") for _ in range(3)] == [0, 1, None]
    assert len(bench.opened) == 2


def test_two_peers_behind_one_address_never_share(bench: Bench) -> None:
    assert bench.seat("192.168.0.2", nat="80.1.1.1") == 0
    assert bench.seat("192.168.0.3", nat="80.1.1.1") == 1
    assert bench.seat("192.168.0.4", nat="80.1.1.1") is None
    assert bench.seat("192.168.0.4", nat="80.1.1.2") in (0, 1)


def test_an_address_rests_before_it_may_sit_there_again(bench: Bench) -> None:
    taken = bench.pool.take(peer_key(("10.0.0.1", 4000)), 0, now_ns=0)
    assert taken is not None
    bench.pool.leave(taken[0], now_ns=5 * S)

    assert bench.seat("10.0.0.1", now_ns=14 * S) == 1
    assert bench.seat("10.0.0.1", now_ns=15 * S) == 0


def test_a_crowded_port_makes_room_for_a_second_one(bench: Bench) -> None:
    seats = [bench.seat("10.0.0.1", port) for port in range(1000, 1600)]

    assert seats[:256] == [0] * 256
    assert seats[256:512] == [1] * 256
    assert set(seats[512:]) == {0, 1}  # Both are crowded: still nobody is turned away.


def test_where_no_port_is_left_to_open_the_call_gets_its_own(bench: Bench) -> None:
    full = Bench(size=2, pairs=1)
    own = full.range.bind()

    assert full.seat("10.0.0.1") is None
    full.range.release(own)
    assert full.seat("10.0.0.1") == 0
    full.pool.close()
