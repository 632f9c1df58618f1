"""The loop's beat in virtual time: sockets that take no time, commands that take exactly what we say."""

import select
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from bridge.engine.budget import SLOT_WORK
from bridge.engine.commands import CloseRow, OpenRow, SetInterruptible, UpdateRow
from bridge.engine.hosts6 import Hosts6
from bridge.engine.link import Link
from bridge.engine.loop import EVENT_DRIVEN_ROWS, MediaLoop
from bridge.engine.shared import SharedMemory
from bridge.engine.sockets import FOREVER_NS
from bridge.engine.srtp import SrtpRows
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.spec import RowSpec
from bridge.rtp.srtp import SrtpKeys
from tests.engine.fake_plane import SLOT_NS, FakePlane, spec
from tests.fakes import MS, ManualClock

CROWD = EVENT_DRIVEN_ROWS + 16
"""Rows of one slot, too many to be woken by every packet."""
LAST = 255
KEYS = SrtpKeys("AEAD_AES_128_GCM", tx="01" * 28, rx="02" * 28)


class VirtualSockets:
    """No packet ever comes; waiting moves the clock and nothing else."""

    def __init__(self, clock: ManualClock) -> None:
        self.rtcp_packets = 0
        self.errors = 0
        self.strangers = 0
        self.strangers_each_time = 0
        self.has_more = self.is_crowded = False
        self.learnt: list[tuple[int, int]] = []
        self.hosts = Hosts6()
        self.waits: list[tuple[int, bool]] = []
        self._clock = clock

    def watch(self, link: socket.socket) -> None:
        self._link = link

    def add(self, row: int, fds: Sequence[int]) -> None: ...

    def share(self, port: int, fds: Sequence[int]) -> None: ...

    def seat(self, row: int, port: int, spec: RowSpec) -> None: ...

    def expect(self, row: int, spec: RowSpec) -> None: ...

    def learn(self, row: int, key: int) -> None:
        self.learnt.append((row, key))

    def remove(self, row: int) -> None: ...

    def wait(self, until_ns: int, *, for_packets: bool) -> bool:
        self.waits.append((until_ns, for_packets))
        if select.select([self._link], [], [], 0)[0]:
            return True
        assert until_ns != FOREVER_NS, "the loop would sleep for ever"
        self._clock.advance(max(0, until_ns - self._clock.now_ns()) / MS)
        return False

    def receive(self) -> int:
        self.strangers += self.strangers_each_time
        return 0

    def send(self, departures: Departures) -> None: ...

    def close(self) -> None: ...


class SlowPlane(FakePlane):
    """A plane whose commands take a millisecond each."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(256)
        self.clock = clock
        self.late_ns: list[int] = []
        self.slow_ns = 0

    def open(self, row: int, spec: RowSpec, *, now_ns: int) -> bool:
        self.clock.advance(1)
        return super().open(row, spec, now_ns=now_ns)

    def set_interruptible(self, row: int, bits: int) -> None:
        self.clock.advance(1)

    def build(self, rows, *, now_ns):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        self.late_ns += (now_ns - self.due_ns[rows]).tolist()
        self.clock.advance(self.slow_ns / MS)
        self.slow_ns = 0
        return super().build(rows, now_ns=now_ns)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(start_ns=1_000 * MS + 333)
        self.plane = SlowPlane(self.clock)
        self.sockets = VirtualSockets(self.clock)
        ours, theirs = socket.socketpair()
        self.control, self.link = Link(ours), Link(theirs)
        self.memory = SharedMemory(LAST + 1)
        self.loop = MediaLoop(
            self.plane,
            Arrivals(16),
            sockets=self.sockets,
            srtp=SrtpRows(self.memory.banks),
            link=self.link,
            gauges=self.memory.gauge_columns(),
            clock=self.clock,
        )

    def open(self, rows: range) -> None:
        for row in rows:
            self.control.send(OpenRow(row, 0, spec(row + 1)))

    def ticks_in(self, duration_ms: int) -> int:
        before = self.memory.gauges().ticks
        self.run_for(duration_ms)
        return self.memory.gauges().ticks - before

    def run_for(self, duration_ms: int) -> None:
        until_ns = self.clock.now_ns() + duration_ms * MS
        while self.clock.now_ns() < until_ns:
            self.control.flush()
            self.loop.turn()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.control.close()
    made.link.close()
    made.memory.close_fd()


@pytest.mark.parametrize("rows", [1, EVENT_DRIVEN_ROWS, EVENT_DRIVEN_ROWS + 1, SLOT_WORK, LAST])
def test_every_row_sends_every_20_ms_and_exactly_on_time(bench: Bench, rows: int) -> None:
    bench.open(range(rows))
    bench.run_for(rows + 40)
    bench.plane.late_ns.clear()
    bench.plane.built_ns.clear()

    bench.run_for(1000)

    assert set(bench.plane.late_ns) == {0}
    assert all(len(built_ns) == 50 for built_ns in bench.plane.built_ns.values())
    assert len(bench.plane.built_ns) == rows
    assert bench.memory.gauges().lateness_ns(0.5) <= 1000


@pytest.mark.parametrize("rows", [4, EVENT_DRIVEN_ROWS + 4, LAST])
def test_a_crowd_of_commands_delays_no_packet_by_more_than_their_share(bench: Bench, rows: int) -> None:
    bench.open(range(rows))
    bench.run_for(rows + 40)
    bench.plane.late_ns.clear()

    for _ in range(200):
        bench.control.send(SetInterruptible(0, 1, 3))
    bench.run_for(300)

    assert max(bench.plane.late_ns) <= 3 * MS


def test_a_tick_that_takes_too_long_shows_as_lateness_of_the_next(bench: Bench) -> None:
    bench.open(range(LAST))
    bench.run_for(LAST + 40)
    bench.plane.slow_ns = 40 * MS
    bench.run_for(80)

    assert bench.memory.gauges().lateness_max_ns >= 26 * MS
    assert bench.memory.gauges().stalls >= 1


def test_few_rows_share_their_wake_ups(bench: Bench) -> None:
    bench.open(range(8))
    bench.run_for(60)

    assert bench.ticks_in(1000) == 50


def test_a_small_crowd_is_heard_when_it_is_answered_and_not_before(bench: Bench) -> None:
    bench.open(range(CROWD))
    bench.run_for(CROWD + 40)
    waits = len(bench.sockets.waits)

    assert bench.ticks_in(1000) == 50
    assert not any(for_packets for _, for_packets in bench.sockets.waits[waits:])


def test_a_handshake_in_a_crowd_waits_for_no_slot(bench: Bench) -> None:
    bench.open(range(CROWD))
    bench.run_for(CROWD + 40)
    in_band = replace(spec(99), in_band=True)

    bench.control.send(OpenRow(CROWD, 0, in_band))
    bench.run_for(40)
    while_it_shakes = bench.sockets.waits[-1]
    bench.control.send(UpdateRow(CROWD, in_band, KEYS))
    bench.run_for(40)

    assert while_it_shakes[1]
    assert not bench.sockets.waits[-1][1]


@pytest.mark.parametrize("end", [CloseRow(CROWD, 99), UpdateRow(CROWD, spec(99))])
def test_a_handshake_that_comes_to_nothing_wakes_nobody_any_more(
    bench: Bench, end: CloseRow | UpdateRow
) -> None:
    bench.open(range(CROWD))
    bench.control.send(OpenRow(CROWD, 0, replace(spec(99), in_band=True)))
    bench.run_for(CROWD + 40)

    bench.control.send(end)
    bench.run_for(40)

    assert not bench.sockets.waits[-1][1]


def test_rows_without_a_slot_need_no_timer(bench: Bench) -> None:
    bench.open(range(1))
    bench.loop.turn()
    bench.plane.due_ns[:] = FOREVER_NS

    with pytest.raises(AssertionError, match="sleep for ever"):
        bench.loop.turn()

    assert bench.sockets.waits[-1] == (FOREVER_NS, True)


def test_no_rows_no_tick(bench: Bench) -> None:
    with pytest.raises(AssertionError, match="sleep for ever"):
        bench.loop.turn()

    assert bench.sockets.waits == [(FOREVER_NS, False)]


def test_after_a_stall_the_slots_stand_where_they_stood(bench: Bench) -> None:
    bench.open(range(2))
    bench.run_for(60)
    slot_ns = int(bench.plane.due_ns[0])

    bench.clock.advance(95)
    bench.run_for(60)

    assert (int(bench.plane.due_ns[0]) - slot_ns) % SLOT_NS == 0
    assert bench.plane.due_ns[0] > bench.clock.now_ns() - SLOT_NS
    assert bench.memory.gauges().stalls >= 1


@pytest.mark.parametrize(("strangers", "is_flood"), [(1, False), (30, True)])
def test_the_last_packets_of_calls_that_have_ended_are_no_flood(
    bench: Bench, strangers: int, is_flood: bool
) -> None:
    bench.open(range(CROWD))
    bench.run_for(CROWD + 40)

    bench.sockets.strangers_each_time = strangers

    assert (bench.ticks_in(100) > 20) is is_flood


def test_a_shared_port_that_is_not_emptied_is_looked_at_more_often(bench: Bench) -> None:
    bench.open(range(CROWD))
    bench.run_for(CROWD + 40)

    bench.sockets.has_more = bench.sockets.is_crowded = True

    assert bench.ticks_in(100) > 20


@pytest.mark.parametrize(("strangers", "is_flood"), [(0, False), (1, True)])
def test_a_port_of_its_own_that_strangers_keep_full_is_looked_at_more_often(
    bench: Bench, strangers: int, is_flood: bool
) -> None:
    bench.open(range(CROWD))
    bench.run_for(CROWD + 40)

    bench.sockets.has_more, bench.sockets.strangers_each_time = True, strangers

    assert (bench.ticks_in(100) > 20) is is_flood


def test_where_a_peer_was_learnt_to_be_holds_beyond_a_re_invite(bench: Bench) -> None:
    told = replace(spec(1), remote_key=77)
    bench.control.send(OpenRow(0, 0, told))
    bench.control.send(UpdateRow(0, told))
    bench.run_for(40)

    assert bench.sockets.learnt == [(0, 77)]


def test_a_row_that_becomes_dearer_counts_for_more(bench: Bench) -> None:
    bench.open(range(CROWD))
    bench.run_for(CROWD + 40)
    for row in range(CROWD):
        bench.control.send(UpdateRow(row, replace(spec(row + 1), ptime_ms=30)))
    bench.run_for(40)

    for row in range(CROWD, CROWD + 70):
        bench.control.send(OpenRow(row, 0, spec(row + 1)))
    bench.run_for(100)

    slots = [int(bench.plane.due_ns[row]) % SLOT_NS for row in range(CROWD + 70)]
    assert len(set(slots[:CROWD])) == 1
    assert len(set(slots)) == 2
