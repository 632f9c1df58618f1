"""Both kinds of sockets keep the same contract."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from bridge.engine.demux import Demux
from bridge.engine.hosts6 import told
from bridge.engine.mmsg import BatchSockets, is_supported
from bridge.engine.ports import peer_key
from bridge.engine.sockets import FOREVER_NS, LegSockets, PlainSockets, forget_backlog
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.spec import RowSpec
from tests.engine.fake_plane import spec

MS = 1_000_000
ROOM = 32


class Bench:
    """A kind of sockets with its buffer, its command pipe and a peer."""

    def __init__(self, kind: type[LegSockets], host: str) -> None:
        self.host = host
        self.arrivals = Arrivals(ROOM)
        demux = Demux(lambda row: -1)
        self.sockets: LegSockets = (
            BatchSockets(self.arrivals, capacity=8, demux=demux)
            if kind is BatchSockets
            else PlainSockets(self.arrivals, demux=demux)
        )
        self.link, self.control = socket.socketpair()
        self.sockets.watch(self.link)
        self.peer = self.bound()
        self.kept: list[socket.socket] = []

    def add(self, row: int, *, rtcp: bool = False) -> tuple[str, int]:
        """Hand over sockets as the supervisor does: it keeps its own duplicates."""
        mine = [self.bound() for _ in range(2 if rtcp else 1)]
        self.kept += mine
        self.sockets.add(row, [os.dup(sock.fileno()) for sock in mine])
        self.sockets.hosts.follow(row, told(self.host))
        return place_of(mine[0])

    def add_after(self, *early: bytes) -> tuple[str, int]:
        """Hand over a row's sockets when packets wait in both of them."""
        mine = [self.bound(), self.bound()]
        self.kept += mine
        for sock in mine:
            for packet in early:
                self.peer.sendto(packet, place_of(sock))
        self.sockets.add(0, [os.dup(sock.fileno()) for sock in mine])
        self.sockets.hosts.follow(0, told(self.host))
        return place_of(mine[0])

    def share(self, port: int) -> tuple[tuple[str, int], tuple[str, int]]:
        """Hand a shared pair over; return where RTP and RTCP go."""
        mine = [self.bound(), self.bound()]
        self.kept += mine
        self.sockets.share(port, [os.dup(sock.fileno()) for sock in mine])
        return place_of(mine[0]), place_of(mine[1])

    def seat(self, row: int, port: int, spec: RowSpec) -> None:
        """Let a row share a port, as the loop does."""
        self.sockets.seat(row, port, spec)
        self.sockets.hosts.follow(row, told(self.host))

    def packets(self) -> list[tuple[int, bytes, int]]:
        count = self.sockets.receive()
        assert count == self.arrivals.count
        return [
            (
                int(self.arrivals.rows[at]),
                self.arrivals.packets[at, : self.arrivals.lengths[at]].tobytes(),
                int(self.arrivals.sources[at]),
            )
            for at in range(count)
        ]

    def bound(self) -> socket.socket:
        return bound(self.host)

    def close(self) -> None:
        self.sockets.close()
        for sock in (self.link, self.control, self.peer, *self.kept):
            sock.close()


def bound(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(5)
    return sock


def place_of(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return str(host), int(port)


def heard(sock: socket.socket) -> tuple[bytes, tuple[str, int]]:
    data, source = sock.recvfrom(2000)
    return data, source[:2]


def departures(*packets: tuple[int, bytes, tuple[str, int]]) -> Departures:
    data = np.zeros((len(packets), 172), np.uint8)
    for at, (_, packet, _) in enumerate(packets):
        data[at, : len(packet)] = np.frombuffer(packet, np.uint8)
    return Departures(
        data,
        np.array([len(packet) for _, packet, _ in packets], np.int32),
        np.array([row for row, _, _ in packets], np.intp),
        np.array([peer_key(peer) for _, _, peer in packets], np.int64),
    )


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    """Whatever holds for sockets holds for those of both families of addresses."""
    return str(request.param)


@pytest.fixture(params=[BatchSockets, PlainSockets])
def bench(request: pytest.FixtureRequest, host: str) -> Iterator[Bench]:
    if request.param is BatchSockets and not is_supported():
        pytest.skip("no recvmmsg here")
    made = Bench(request.param, host)
    yield made
    made.close()


def test_packets_arrive_with_their_row_and_source(bench: Bench) -> None:
    first, second = bench.add(3), bench.add(5)

    bench.peer.sendto(b"to three", first)
    bench.peer.sendto(b"to five", second)
    bench.peer.sendto(b"to three again", first)

    source = peer_key(place_of(bench.peer))
    packets = bench.packets() + bench.packets()
    assert sorted(packets) == [
        (3, b"to three", source),
        (3, b"to three again", source),
        (5, b"to five", source),
    ]
    assert bench.packets() == []


def test_a_burst_larger_than_the_buffer_comes_in_pieces_and_in_order(bench: Bench) -> None:
    address = bench.add(0)
    for number in range(100):
        bench.peer.sendto(bytes([number]), address)

    numbers: list[int] = []
    while packets := bench.packets():
        assert len(packets) <= ROOM
        numbers += [data[0] for _, data, _ in packets]

    assert numbers == list(range(100))


def test_a_flood_on_one_row_does_not_starve_another(bench: Bench) -> None:
    flooded, quiet = bench.add(0), bench.add(1)
    for _ in range(60):
        bench.peer.sendto(b"flood", flooded)
    bench.peer.sendto(b"voice", quiet)

    assert b"voice" in [data for _ in range(2) for _, data, _ in bench.packets()]


def test_empty_and_oversized_datagrams_are_only_datagrams(bench: Bench) -> None:
    address = bench.add(0)
    bench.peer.sendto(b"", address)
    bench.peer.sendto(b"x" * 4000, address)

    lengths = [len(data) for _ in range(2) for _, data, _ in bench.packets()]

    assert lengths == [0, 1500]
    assert bench.arrivals.lengths.max() == 4000


def test_packets_leave_from_their_rows_port(bench: Bench) -> None:
    first, second = bench.add(1), bench.add(2)
    peer = place_of(bench.peer)

    bench.sockets.send(departures((1, b"a" * 172, peer), (2, b"b" * 20, peer)))

    received = {heard(bench.peer) for _ in range(2)}
    assert received == {(b"a" * 172, first), (b"b" * 20, second)}


def test_reports_leave_from_the_rows_rtcp_port(bench: Bench) -> None:
    rtp = bench.add(7, rtcp=True)
    rtcp = place_of(bench.kept[-1])
    bench.add(0)
    peer = place_of(bench.peer)

    bench.sockets.send(departures((~7, b"report", peer), (7, b"voice", peer)))

    assert {heard(bench.peer) for _ in range(2)} == {(b"report", rtcp), (b"voice", rtp)}
    bench.sockets.remove(7)
    bench.sockets.send(departures((~7, b"late", peer), (~0, b"nowhere", peer), (0, b"end", peer)))
    assert bench.peer.recv(2000) == b"end"


def test_sending_nothing_is_fine(bench: Bench) -> None:
    bench.sockets.send(departures())

    assert bench.sockets.errors == 0


def test_rtcp_comes_with_its_row_and_is_never_taken_for_media(bench: Bench) -> None:
    rtp = bench.add(4, rtcp=True)
    rtcp = place_of(bench.kept[-1])
    for _ in range(3):
        bench.peer.sendto(b"report", rtcp)
    bench.peer.sendto(b"voice", rtp)

    source = peer_key(place_of(bench.peer))
    packets: list[tuple[int, bytes, int, bool]] = []
    for row, data, sender in bench.packets():
        packets.append((row, data, sender, bool(bench.arrivals.is_rtcp[len(packets)])))
    assert sorted(packets) == [(4, b"report", source, True)] * 3 + [(4, b"voice", source, False)]
    assert bench.sockets.rtcp_packets == 3
    bench.peer.sendto(b"more voice", rtp)
    assert len(bench.packets()) == 1
    assert not bench.arrivals.is_rtcp[0]


def test_a_flood_of_rtcp_comes_in_portions_and_starves_nobody(bench: Bench) -> None:
    rtp = bench.add(0, rtcp=True)
    for _ in range(60):
        bench.peer.sendto(b"report", bench.kept[-1].getsockname())
    bench.peer.sendto(b"voice", rtp)

    first = [data for _, data, _ in bench.packets()]

    assert b"voice" in first + [data for _, data, _ in bench.packets()]
    assert first.count(b"report") <= 16


def test_a_peer_that_is_gone_harms_nobody(bench: Bench) -> None:
    address = bench.add(0)
    gone = bench.bound()
    nowhere = place_of(gone)
    gone.close()

    for _ in range(3):
        bench.sockets.send(departures((0, b"x" * 172, nowhere)))
        bench.packets()
    bench.peer.sendto(b"alive", address)

    assert [data for _, data, _ in bench.packets() + bench.packets()] == [b"alive"]


def test_an_address_that_cannot_be_sent_to_is_counted(bench: Bench) -> None:
    bench.add(0)

    bench.sockets.send(departures((0, b"x" * 172, ("127.0.0.1", 0))))

    assert bench.sockets.errors == 1


def test_a_removed_row_is_silent_although_its_port_is_still_bound(bench: Bench) -> None:
    address = bench.add(0)
    bench.peer.sendto(b"late", address)

    bench.sockets.remove(0)
    bench.sockets.remove(0)

    assert bench.packets() == []
    started_ns = time.monotonic_ns()
    assert bench.sockets.wait(started_ns + 30 * MS, for_packets=True) is False
    assert time.monotonic_ns() - started_ns >= 30 * MS


def test_what_came_before_the_row_was_opened_is_never_heard(bench: Bench) -> None:
    address = bench.add_after(*[b"ringing"] * 50, b"", b"ringing")

    assert bench.packets() == []
    assert bench.sockets.rtcp_packets == 0
    bench.peer.sendto(b"answered", address)
    assert [data for _, data, _ in bench.packets()] == [b"answered"]


def test_forgetting_ends_even_in_a_flood_and_survives_a_broken_descriptor() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x" * 2000)

    forget_backlog(reading)

    assert len(os.read(reading, 4000)) == 2000 - 1024
    for fd in (reading, writing):
        os.close(fd)
    forget_backlog(reading)


def test_a_row_that_is_given_again_hears_its_new_port(bench: Bench) -> None:
    bench.add(0)
    address = bench.add(0)

    bench.peer.sendto(b"new", address)

    assert [data for _, data, _ in bench.packets()] == [b"new"]


WAKERS: dict[str, tuple[Callable[[Bench, tuple[str, int]], object], bool, bool]] = {
    "a packet": (lambda bench, address: bench.peer.sendto(b"x", address), True, False),
    "a command": (lambda bench, _: bench.control.send(b"x"), False, True),
}


@pytest.mark.parametrize("waker", WAKERS)
def test_waiting_ends_early_for(bench: Bench, waker: str) -> None:
    wake, for_packets, is_command = WAKERS[waker]
    address = bench.add(0)
    wake(bench, address)

    assert bench.sockets.wait(FOREVER_NS, for_packets=for_packets) is is_command


def test_packets_do_not_wake_who_waits_for_the_tick(bench: Bench) -> None:
    address = bench.add(0)
    bench.sockets.wait(time.monotonic_ns(), for_packets=True)
    bench.peer.sendto(b"x", address)
    started_ns = time.monotonic_ns()

    assert bench.sockets.wait(started_ns + 20 * MS, for_packets=False) is False

    assert time.monotonic_ns() - started_ns >= 20 * MS
    assert len(bench.packets()) == 1


def test_a_moment_in_the_past_does_not_wait(bench: Bench) -> None:
    assert bench.sockets.wait(1, for_packets=False) is False
    assert bench.sockets.wait(1, for_packets=False) is False
    assert bench.sockets.wait(0, for_packets=False) is False


def seated(address: tuple[str, int], *, rtcp: tuple[str, int] | None = None) -> RowSpec:
    key = 0 if rtcp is None else peer_key(rtcp)
    return replace(spec(), remote_key=peer_key(address), rtcp_key=key)


def test_rows_on_a_shared_port_get_what_their_own_peers_send(bench: Bench) -> None:
    rtp, rtcp = bench.share(0)
    other, stranger = bench.bound(), bench.bound()
    bench.kept += [other, stranger]
    mine, theirs = place_of(bench.peer), place_of(other)
    bench.seat(2, 0, seated(mine, rtcp=mine))
    bench.seat(4, 0, seated(theirs, rtcp=theirs))

    for number in range(3):
        bench.peer.sendto(b"mine%d" % number, rtp)
        stranger.sendto(bytes(12), rtp)
        other.sendto(b"theirs%d" % number, rtp)
    other.sendto(b"report", rtcp)

    heard = bench.packets()
    assert {(2, b"mine%d" % n, peer_key(mine)) for n in range(3)} | {
        (4, b"theirs%d" % n, peer_key(theirs)) for n in range(3)
    } | {(4, b"report", peer_key(theirs))} == set(heard)
    # The strangers share the peers' address: told apart by their streams, and they have none of ours.
    assert bench.sockets.strangers == 3
    assert bench.sockets.rtcp_packets == 1


def test_what_one_of_many_shared_ports_has_left_is_told_and_comes_next(bench: Bench) -> None:
    rtp, _ = bench.share(0)
    bench.share(1)
    bench.seat(3, 0, seated(place_of(bench.peer)))
    for number in range(ROOM // 2 + 1):
        bench.peer.sendto(b"%d" % number, rtp)

    first = bench.packets()
    told = bench.sockets.has_more, bench.sockets.is_crowded
    second = bench.packets()

    assert [data for _, data, _ in first + second] == [b"%d" % number for number in range(ROOM // 2 + 1)]
    assert told == (bool(second), bool(second))
    assert not bench.sockets.has_more
    assert not bench.sockets.is_crowded


def test_shared_and_own_ports_live_side_by_side(bench: Bench) -> None:
    rtp, _ = bench.share(0)
    address = bench.add(1)
    peer = place_of(bench.peer)
    bench.seat(3, 0, seated(peer))

    bench.peer.sendto(b"shared", rtp)
    bench.peer.sendto(b"own", address)
    assert {(row, data) for row, data, _ in bench.packets()} == {(3, b"shared"), (1, b"own")}

    bench.sockets.send(
        departures((1, b"a", peer), (3, b"b", peer), (~3, b"c", peer), (1, b"d", peer), (3, b"e", peer))
    )
    answers = [heard(bench.peer) for _ in range(5)]
    assert {data for data, source in answers if source == rtp} == {b"b", b"e"}
    assert {data for data, source in answers if source == address} == {b"a", b"d"}
    assert len({source for _, source in answers}) == 3


def test_a_row_that_left_a_shared_port_neither_hears_nor_speaks(bench: Bench) -> None:
    rtp, _ = bench.share(0)
    peer = place_of(bench.peer)
    bench.seat(3, 0, seated(peer))
    bench.sockets.remove(3)

    bench.peer.sendto(b"late", rtp)
    bench.sockets.send(departures((3, b"nobody", peer)))

    assert bench.packets() == []
    assert bench.sockets.strangers == 1
    bench.seat(3, 0, seated(peer))
    bench.peer.sendto(b"again", rtp)
    assert [data for _, data, _ in bench.packets()] == [b"again"]


def test_a_packet_that_cannot_be_sent_holds_up_no_other(bench: Bench) -> None:
    bench.share(0)
    peer = place_of(bench.peer)
    for row in range(3):
        bench.seat(row, 0, seated((peer[0], peer[1] + row)))

    bench.sockets.send(departures((0, b"a", peer), (1, b"b", (peer[0], 0)), (2, b"c", peer)))

    assert [bench.peer.recv(2000) for _ in range(2)] == [b"a", b"c"]
    assert bench.sockets.errors == 1


def test_a_moved_peer_is_followed_when_the_plane_has_proven_it(bench: Bench) -> None:
    rtp, _ = bench.share(0)
    moved = bench.bound()
    bench.kept.append(moved)
    bench.seat(1, 0, seated(place_of(bench.peer)))
    bench.sockets.learn(1, peer_key(place_of(moved)))

    moved.sendto(b"here now", rtp)
    assert [(row, data) for row, data, _ in bench.packets()] == [(1, b"here now")]
    bench.sockets.expect(1, seated(("127.0.0.2", 9)))
    moved.sendto(b"no longer", rtp)
    assert bench.packets() == []


@pytest.mark.parametrize("host", ["::1"], indirect=True)
@pytest.mark.parametrize("is_shared", [False, True])
def test_what_goes_to_a_host_that_was_never_named_is_counted_and_the_rest_leaves(
    bench: Bench, is_shared: bool
) -> None:
    peer = place_of(bench.peer)
    if is_shared:
        bench.share(0)
        bench.seat(1, 0, seated(peer))
    else:
        bench.add(1)

    bench.sockets.send(departures((1, b"a", ("2001:db8::1", 9)), (1, b"b", peer)))

    assert bench.peer.recv(2000) == b"b"
    assert bench.sockets.errors == 1


def test_rows_of_both_families_are_read_and_written_together() -> None:
    for kind in (BatchSockets, PlainSockets):
        bench = Bench(kind, "::1")
        four = bound()
        six_at = bench.add(1)
        mine = bound()
        bench.kept += [four, mine]
        bench.sockets.add(2, [os.dup(mine.fileno())])
        for _ in range(3):
            # The kernel leaves behind how long an address of the other family was.
            bench.peer.sendto(b"six", six_at)
            four.sendto(b"four", place_of(mine))
            assert set(bench.packets()) == {
                (1, b"six", peer_key(place_of(bench.peer))),
                (2, b"four", peer_key(place_of(four))),
            }
            bench.sockets.send(departures((2, b"4", place_of(four)), (1, b"6", place_of(bench.peer))))
            assert (four.recv(9), bench.peer.recv(9)) == (b"4", b"6")
        bench.sockets.remove(1)
        four.sendto(b"four", place_of(mine))
        assert [data for _, data, _ in bench.packets()] == [b"four"]
        bench.close()
