import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bridge.clock import SystemClock
from bridge.engine.commands import (
    CloseRow,
    Datagram,
    FlushRow,
    GiveVerdict,
    HandKey,
    Message,
    OpenRow,
    PressKeys,
    ReleaseKeys,
    RowClosed,
    RowOpened,
    SetBed,
    SetInterruptible,
    SetSensitivity,
    Stop,
    StopBed,
    UpdateRow,
)
from bridge.engine.demux import Demux
from bridge.engine.link import Link
from bridge.engine.loop import MediaLoop
from bridge.engine.mmsg import BatchSockets, is_supported
from bridge.engine.ports import peer_key
from bridge.engine.reports import MOST_OWED
from bridge.engine.shared import SharedMemory
from bridge.engine.sockets import FOREVER_NS, LegSockets, PlainSockets
from bridge.engine.srtp import SrtpRows
from bridge.errors import RemoteProtocolError
from bridge.plane.codec import OPUS, PCMU
from bridge.plane.events import Digit, Flushed, RowFailed, VoiceStarted
from bridge.plane.packets import Arrivals
from bridge.rtp.srtp import SrtpKeys
from tests.engine.fake_plane import FakePlane, spec

MS = 1_000_000
CAPACITY = 128


class Bench:
    """A loop over real sockets and a fake plane, turned by hand."""

    def __init__(self, *, plain: bool) -> None:
        arrivals = Arrivals(256)
        demux = Demux(lambda row: -1)
        sockets: LegSockets = (
            PlainSockets(arrivals, demux=demux)
            if plain
            else BatchSockets(arrivals, capacity=CAPACITY, demux=demux)
        )
        ours, theirs = socket.socketpair()
        self.control = Link(ours)
        self._link = Link(theirs, limit=100)
        self._sockets = sockets
        self.memory = SharedMemory(1)
        self.plane = FakePlane(CAPACITY)
        self.loop = MediaLoop(
            self.plane,
            arrivals,
            sockets=sockets,
            srtp=SrtpRows(self.memory.banks),
            link=self._link,
            gauges=self.memory.gauge_columns(),
            clock=SystemClock(),
        )
        self.peer = _bound()
        self._kept: list[socket.socket] = []

    def open(
        self, row: int, *, generation: int = 1, sending: bool = True, codec: int = PCMU
    ) -> tuple[str, int]:
        sock = _bound()
        self._kept.append(sock)
        key = peer_key(self.peer.getsockname())
        told = replace(spec(generation, remote_key=key, sending=sending), codec=codec)
        self.control.send(OpenRow(row, 1, told), [sock.fileno()])
        return sock.getsockname()  # type: ignore[no-any-return]

    def obey(self, *commands: Message) -> list[Message]:
        """Send commands, let them be carried out, return what comes back."""
        for command in commands:
            self.control.send(command)
        assert self.loop.turn()
        while self.loop.backlog:
            assert self.loop.turn()
        return self.control.receive()

    def read(self) -> list[Message]:
        """Everything that was reported, while the loop goes on."""
        read: list[Message] = self.control.receive()
        while self._link.waiting:
            assert self.loop.turn()
            read += self.control.receive()
        return read

    def everything(self) -> list[bytes]:
        """What the peer was sent so far."""
        self.peer.setblocking(False)
        heard: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(self.peer.recv(2000))
        return heard

    def run_for(self, duration_ns: int) -> None:
        until_ns = time.monotonic_ns() + duration_ns
        while time.monotonic_ns() < until_ns:
            assert self.loop.turn()

    def close(self) -> None:
        self._sockets.close()
        self._link.close()
        self.control.close()
        self.memory.close_fd()
        for sock in (self.peer, *self._kept):
            sock.close()


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5)
    return sock


@pytest.fixture(params=["batched", "plain"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "batched" and not is_supported():
        pytest.skip("no recvmmsg here")
    made = Bench(plain=request.param == "plain")
    yield made
    made.close()


def test_a_leg_is_opened_fed_served_and_closed(bench: Bench) -> None:
    address = bench.open(3, generation=9)
    assert bench.obey() == [RowOpened(3, 9)]
    bench.peer.sendto(b"hello", address)
    while not (bench.plane.heard and bench.plane.built_ns):
        assert bench.loop.turn()

    assert bench.plane.heard == [(3, b"hello", peer_key(bench.peer.getsockname()))]
    data, source = bench.peer.recvfrom(2000)
    assert (len(data), data[0], source) == (172, 1, address)
    assert bench.obey(CloseRow(3, 9)) == [RowClosed(3, 9)]
    assert bench.plane.specs == {}
    assert bench.loop.rows == 0
    assert bench.memory.gauges().rows == 0


def test_what_is_no_rtp_goes_to_the_control_plane_where_a_row_has_such(bench: Bench) -> None:
    address = bench.open(3, generation=9)
    bench.obey()
    in_band = replace(spec(9, remote_key=peer_key(bench.peer.getsockname())), in_band=True)
    bench.obey(UpdateRow(3, in_band))

    bench.peer.sendto(b"\x80voice", address)
    bench.peer.sendto(b"\x16\xfe\xfdhello", address)
    told: list[Message] = []
    while not told:
        bench.run_for(5 * MS)
        told = bench.control.receive()

    (datagram,) = told
    assert isinstance(datagram, Datagram)
    assert (datagram.row, datagram.generation, datagram.data) == (3, 9, b"\x16\xfe\xfdhello")
    assert datagram.source_key == peer_key(bench.peer.getsockname())
    assert [data for _, data, _ in bench.plane.heard] == [b"\x80voice"]
    bench.obey(UpdateRow(3, replace(in_band, in_band=False)))
    bench.peer.sendto(b"\x16\xfe\xfdagain", address)
    bench.run_for(30 * MS)
    assert bench.control.receive() == []
    assert bench.plane.heard[-1][1] == b"\x16\xfe\xfdagain"


def test_packets_leave_every_20_ms_by_absolute_time(bench: Bench) -> None:
    bench.open(0)
    while len(bench.plane.built_ns.get(0, ())) < 10:
        assert bench.loop.turn()

    built_ns = bench.plane.built_ns[0]
    first_slot_ns = int(bench.plane.due_ns[0]) - len(built_ns) * 20 * MS
    # One packet per slot, none early; what the machine takes on one is given back by the next.
    assert all(at_ns >= first_slot_ns + slot * 20 * MS for slot, at_ns in enumerate(built_ns))
    assert first_slot_ns % (4 * MS) == 0


def test_a_packet_is_heard_at_once_while_rows_are_few(bench: Bench) -> None:
    address = bench.open(0)
    bench.obey()
    bench.plane.due_ns[0] = FOREVER_NS  # No slot comes to its help.

    bench.peer.sendto(b"now", address)
    bench.loop.turn()

    assert [data for _, data, _ in bench.plane.heard] == [b"now"]


@pytest.mark.parametrize(
    ("rows", "codec", "crowds"), [(60, PCMU, [60, 0, 0, 0, 0]), (60, OPUS, [24, 0, 24, 0, 12])]
)
def test_rows_are_spread_over_the_20_ms_by_what_they_cost_and_all_served(
    bench: Bench, rows: int, codec: int, crowds: list[int]
) -> None:
    for row in range(rows):
        bench.open(row, generation=row + 1, codec=codec)
    while bench.loop.rows < rows:
        bench.loop.turn()
    while len(bench.plane.built_ns) < rows or min(map(len, bench.plane.built_ns.values())) < 3:
        assert bench.loop.turn()

    slots = [int(bench.plane.due_ns[row]) % (20 * MS) // (4 * MS) for row in range(rows)]
    assert [slots.count(slot) for slot in range(5)] == crowds
    assert bench.memory.gauges().ticks >= 1


def test_commands_reach_the_plane(bench: Bench) -> None:
    bench.open(1, generation=4)
    bench.obey()

    reports = bench.obey(
        SetInterruptible(1, 4, 2),
        GiveVerdict(1, 4, 6, is_speech=False),
        FlushRow(1, 4),
    )

    assert bench.plane.interruptible == {1: 2}
    assert bench.plane.verdicts == [(1, 6, False)]
    assert [type(report) for report in reports] == [Flushed]


def test_what_a_verdict_flushes_is_told_at_once(bench: Bench) -> None:
    bench.open(1, generation=4)
    bench.obey()

    reports = bench.obey(GiveVerdict(1, 4, 6, is_speech=True))

    assert [report.cause for report in reports if isinstance(report, Flushed)] == ["speech"]


def test_keys_reach_the_plane_and_what_comes_of_them_is_told_at_once(bench: Bench) -> None:
    bench.open(1, generation=4)
    bench.obey()

    reports = bench.obey(
        PressKeys(1, 4, ticket=9, duration_ms=100, pause_ms=80, digits="12#"),
        ReleaseKeys(1, 4),
        HandKey(1, 4, duration_ms=160, digit="5"),
        HandKey(1, 3, duration_ms=160, digit="6"),
    )

    assert bench.plane.keys == [("press", 1, "12#", 9, 100, 80), ("release", 1), ("key", 1, "5", 160)]
    assert [(report.digit, report.generation) for report in reports if isinstance(report, Digit)] == [
        ("5", 4)
    ]


def test_beds_and_sensitivities_reach_the_plane_of_their_own_leg_only(bench: Bench) -> None:
    bench.open(1, generation=4)
    bench.obey()

    bench.obey(
        SetBed(1, 4, bed=3, samples=900, gain_db=-18, under_speech_db=-30, yields=True),
        StopBed(1, 4),
        SetSensitivity(1, 4, 2),
        StopBed(1, 3),
    )

    assert bench.plane.furniture == [
        ("lay", 1, 3, 900, -18, -30, True),
        ("lift", 1),
        ("sensitivity", 1, 2),
    ]


def test_a_new_offer_keeps_the_row_in_its_slot(bench: Bench) -> None:
    bench.open(1, generation=4)
    bench.obey()
    due_ns = int(bench.plane.due_ns[1])

    bench.obey(UpdateRow(1, spec(4, sending=False)))

    assert bench.plane.specs[1].sending is False
    assert (int(bench.plane.due_ns[1]) - due_ns) % (20 * MS) == 0


def test_commands_for_a_leg_that_is_over_change_nothing(bench: Bench) -> None:
    bench.open(1, generation=4)
    bench.obey()

    stale = (CloseRow(1, 3), SetInterruptible(1, 3, 0), FlushRow(1, 3), FlushRow(7, 1), UpdateRow(1, spec(3)))
    reports = bench.obey(*stale)

    assert reports == []
    assert bench.plane.interruptible == {}
    assert bench.plane.specs[1].generation == 4


def test_a_leg_that_cannot_be_opened_fails_alone(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.open(0, generation=1)
    bench.obey()
    bench.plane.broken = True
    bench.open(1, generation=2)

    reports = bench.obey()

    assert [(report.row, report.generation) for report in reports if isinstance(report, RowFailed)] == [
        (1, 2)
    ]
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["media: row 1: OpenRow failed: ValueError: this plane is broken"]
    assert set(bench.plane.specs) == {0}


def test_a_row_that_breaks_the_arithmetic_is_taken_out_and_the_others_go_on(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    addresses = [bench.open(row, generation=row + 1) for row in range(3)]
    bench.obey()
    bench.plane.poisoned = {1}
    for address in addresses:
        bench.peer.sendto(b"x", address)
    while len(bench.plane.built_ns) < 2 or min(map(len, bench.plane.built_ns.values())) < 3:
        assert bench.loop.turn()

    failed = [report for report in bench.control.receive() if isinstance(report, RowFailed)]
    assert [(report.row, report.generation) for report in failed] == [(1, 2)]
    assert "poisoned" in failed[0].message
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert {row for row, _, _ in bench.plane.heard} == {0, 2}
    assert bench.obey(CloseRow(1, 2)) == [RowClosed(1, 2)]


def test_reports_go_out_when_they_are_due_and_a_goodbye_at_the_end(bench: Bench) -> None:
    bench.open(0, generation=1)
    bench.obey()
    bench.plane.report_due_ns[0] = 1
    while bench.plane.report_due_ns[0] != FOREVER_NS:
        assert bench.loop.turn()

    assert bench.obey(CloseRow(0, 1)) == [RowClosed(0, 1)]

    heard = bench.everything()
    assert [data for data in heard if len(data) < 172] == [b"report", b"goodbye"]
    assert heard[-1] == b"goodbye"


def test_a_row_that_cannot_report_is_taken_out_and_one_that_cannot_say_goodbye_is_closed(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    for row in range(3):
        bench.open(row, generation=row + 1)
    bench.obey()
    bench.plane.speechless = {1, 2}
    bench.plane.report_due_ns[:2] = 1
    while bench.plane.report_due_ns[0] != FOREVER_NS:
        assert bench.loop.turn()

    failed = [report for report in bench.control.receive() if isinstance(report, RowFailed)]
    assert [(report.row, report.generation) for report in failed] == [(1, 2)]
    assert bench.obey(CloseRow(2, 3)) == [RowClosed(2, 3)]
    assert "media: row 2: closed without goodbye: IndexError" in capfd.readouterr().err
    assert set(bench.plane.specs) == {0}
    assert b"report" in bench.everything()


def test_a_leg_whose_sockets_did_not_arrive_fails_alone(bench: Bench) -> None:
    bench.control.send(OpenRow(2, 2, spec(8)), [bench.peer.fileno()])

    reports = bench.obey()

    assert [type(report) for report in reports] == [RowFailed]


def test_gauges_nobody_reads_are_dropped_and_counted_while_media_goes_on(bench: Bench) -> None:
    bench.open(0, generation=1)
    bench.obey()
    bench.plane.events += [VoiceStarted(0, 1, 0, onset_ns=0)] * 1500
    while len(bench.plane.built_ns.get(0, ())) < 3:
        assert bench.loop.turn()

    assert bench.memory.gauges().events_dropped > 0
    assert len(bench.read()) + bench.memory.gauges().events_dropped == 1500


def test_the_end_of_a_row_is_told_although_nobody_reads(bench: Bench) -> None:
    bench.open(0, generation=1)
    bench.obey()
    bench.plane.events += [VoiceStarted(0, 1, 0, onset_ns=0)] * 1500
    while not bench.memory.gauges().events_dropped:
        assert bench.loop.turn()

    bench.control.send(CloseRow(0, 1))
    while bench.loop.rows:
        assert bench.loop.turn()

    assert bench.read()[-1] == RowClosed(0, 1)


def test_a_row_whose_reports_nobody_reads_ends_and_can_still_be_closed(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.open(0, generation=1)
    bench.open(1, generation=2)
    bench.obey()
    bench.plane.events += [VoiceStarted(0, 1, 0, onset_ns=0)] * 1500
    bench.plane.events += [Digit(0, 1, 0, digit="1", duration_ms=100)] * 100
    while len(bench.plane.built_ns.get(1, ())) < 3:
        assert bench.loop.turn()

    assert set(bench.plane.specs) == {1}
    assert "nobody reads" in capfd.readouterr().err
    assert [type(report) for report in bench.read()].count(Digit) == MOST_OWED
    assert bench.obey(CloseRow(0, 1)) == [RowClosed(0, 1)]


def test_the_loop_ends_with_the_control_plane(bench: Bench) -> None:
    bench.control.close()

    bench.loop.run()

    assert bench.loop.turn() is False


def test_the_loop_ends_when_told_to(bench: Bench) -> None:
    bench.control.send(Stop())

    assert bench.loop.turn() is False


def test_garbage_on_the_pipe_ends_the_loop(bench: Bench) -> None:
    bench.control.sock.send(b"\xfe" * 40)

    with pytest.raises(RemoteProtocolError):
        bench.loop.run()


def test_nothing_is_left_open_after_many_legs(bench: Bench) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for generation in range(1, 30):
        bench.open(generation % 3, generation=generation)
        bench.obey()
        bench.obey(CloseRow(generation % 3, generation))

    assert len(os.listdir("/proc/self/fd")) == before + 29  # The supervisor's own sockets.


def test_nothing_of_an_encrypted_leg_passes_in_the_clear(bench: Bench) -> None:
    address = bench.open(0)
    bench.obey()
    keys = SrtpKeys("AEAD_AES_128_GCM", tx="5e" * 28, rx="c4" * 28)
    assert bench.obey(UpdateRow(0, bench.plane.specs[0], keys)) == []
    bench.everything()
    built = len(bench.plane.built_ns.get(0, ()))

    # This plane's packets are no RTP, so there is no way to encrypt them.
    bench.peer.sendto(b"hello", address)
    while len(bench.plane.built_ns.get(0, ())) < built + 2:
        assert bench.loop.turn()
    bench.obey(CloseRow(0, 1))

    assert bench.everything() == []
    assert bench.plane.heard == []
    counters = bench.memory.columns.counters(0)
    assert counters["rx_srtp_auth"] == 1
    assert counters["tx_srtp_failed"] >= 2
    # Its next leg is another one's.
    address = bench.open(0, generation=2)
    bench.obey()
    bench.peer.sendto(b"clear", address)
    sent: list[bytes] = []
    while not (bench.plane.heard and sent):
        assert bench.loop.turn()
        sent += bench.everything()
    assert {len(data) for data in sent} == {172}
