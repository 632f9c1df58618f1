import errno
import weakref
from collections import deque
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest

from bridge.engine.budget import Budget
from bridge.engine.commands import (
    CloseRow,
    Command,
    Datagram,
    EngineDied,
    FlushRow,
    GiveVerdict,
    HandKey,
    LegEvent,
    OpenRow,
    PressKeys,
    ReleaseKeys,
    RowOpened,
    SetBed,
    SetInterruptible,
    SetSensitivity,
    StopBed,
    UpdateRow,
)
from bridge.engine.leg import MediaLeg
from bridge.engine.ports import BoundPorts, PortRange, peer_key
from bridge.engine.seat import Seat
from bridge.engine.shared import SharedMemory
from bridge.engine.shelf import BedShelf
from bridge.errors import EngineError, LocalProtocolError
from bridge.plane.events import Digit, RowFailed
from bridge.rtp.srtp import CLEAR, SrtpKeys
from tests.fakes import SeededIds

PEER = ("192.0.2.9", 4000)


class QuietLife:
    """A seat whose process does nothing with what it is told."""

    def __init__(self) -> None:
        self.memory = SharedMemory(4)
        self.memory.close_fd()
        self.shelf = BedShelf(self.memory.shelf)
        self.free_rows: deque[int] = deque()
        self.is_alive = True
        self.budget = Budget()
        self.told: list[Command] = []
        self.shortage: OSError | None = None

    def send(self, command: Command, fds: list[int] | None = None) -> None:
        if self.shortage is not None:
            raise self.shortage
        self.told.append(command)

    send_only = send


class Bench:
    def __init__(self) -> None:
        self.life = QuietLife()
        self.closed: list[MediaLeg] = []
        self.events: list[LegEvent] = []
        self.ports: BoundPorts = PortRange(41_000, 41_999, bind_ip="127.0.0.1").bind()
        self.leg = MediaLeg(
            seat=cast("Seat", self.life),
            row=2,
            generation=77,
            ports=self.ports,
            dice=SeededIds(),
            on_close=self.closed.append,
        )

    def open(
        self,
        *,
        remote: tuple[str, int] | None = PEER,
        latch_ip: str | None = None,
        rtcp: tuple[str, int] | None = None,
        rtcp_mux: bool = False,
        srtp: SrtpKeys = CLEAR,
    ) -> None:
        self.leg.open(
            codec=1,
            payload_type=8,
            dtmf_payload_type=101,
            remote=remote,
            latch_ip=latch_ip,
            sending=True,
            receiving=True,
            interruptible=3,
            rtcp=rtcp,
            rtcp_mux=rtcp_mux,
            srtp=srtp,
            deliver=self.events.append,
        )

    def update(self) -> None:
        self.leg.update(
            codec=0,
            payload_type=0,
            dtmf_payload_type=-1,
            remote=None,
            latch_ip="192.0.2.1",
            sending=False,
            receiving=False,
            interruptible=0,
        )

    def carry(self) -> None:
        """What the media process does when it obeys."""
        self.life.memory.columns.generation[2] = 77
        self.leg.receive(RowOpened(2, 77))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.ports.close()


def test_what_came_beside_rtp_reaches_whoever_asked_for_it(bench: Bench) -> None:
    heard: list[tuple[bytes, tuple[str, int]]] = []
    datagram = Datagram(2, 77, 5, source_key=peer_key(PEER), data=b"hello")
    bench.open()
    bench.leg.receive(datagram)
    bench.leg.on_datagram = lambda data, source: heard.append((data, source))

    bench.leg.receive(datagram)
    bench.leg.close()
    bench.leg.receive(datagram)

    assert heard == [(b"hello", PEER)]
    assert bench.events == []


def test_what_signalling_agreed_reaches_the_plane(bench: Bench) -> None:
    bench.open(latch_ip="198.51.100.4")
    bench.update()

    opened, updated = bench.life.told
    assert isinstance(opened, OpenRow)
    assert isinstance(updated, UpdateRow)
    assert (opened.row, opened.fds) == (2, 2)
    assert opened.spec.generation == updated.spec.generation == 77
    assert opened.spec.remote_key == peer_key(PEER)
    assert opened.spec.latch_ip == peer_key(("198.51.100.4", 0)) >> 16
    assert (opened.spec.codec, opened.spec.payload_type) == (1, 8)
    assert opened.spec.sequence < 2**15
    assert updated.spec.ssrc == opened.spec.ssrc == bench.leg.ssrc
    assert (updated.spec.remote_key, updated.spec.sending) == (0, False)


def test_where_reports_go_and_under_which_name_reaches_the_plane(bench: Bench) -> None:
    bench.open(rtcp=("192.0.2.9", 4001), rtcp_mux=True)
    bench.update()

    opened, updated = bench.life.told
    assert isinstance(opened, OpenRow)
    assert isinstance(updated, UpdateRow)
    assert (opened.spec.rtcp_key, opened.spec.rtcp_mux) == (peer_key(("192.0.2.9", 4001)), True)
    assert (updated.spec.rtcp_key, updated.spec.rtcp_mux) == (0, False)
    # RFC 7022 §4.2: at least 96 random bits.
    assert len(opened.spec.cname) == 24
    assert updated.spec.cname == opened.spec.cname


def test_keys_reach_the_media_process_and_where_they_stand_comes_back(bench: Bench) -> None:
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_32", tx="5e" * 30, rx="c4" * 30)
    bench.open(srtp=keys)
    bench.carry()
    columns = bench.life.memory.columns
    columns.srtp_tx_end[2], columns.srtp_rx_end[2], columns.srtp_rx_ssrc[2] = 70_000, 9, 5
    columns.srtcp_sent[2] = 3

    (opened,) = bench.life.told
    status = bench.leg.status.snapshot()

    assert isinstance(opened, OpenRow)
    assert opened.srtp == bench.leg.srtp == keys
    assert "5e5e" not in repr(opened)
    assert [status[f"srtp_{name}"] for name in ("tx_end", "rx_end", "rx_ssrc")] == [70_000, 9, 5]
    assert status["srtcp_sent"] == 3
    bench.update()
    updated = bench.life.told[-1]
    assert isinstance(updated, UpdateRow)
    assert updated.srtp == bench.leg.srtp == CLEAR


def test_without_a_port_of_their_own_reports_can_only_share_one(bench: Bench) -> None:
    assert bench.ports.rtcp is not None
    bench.ports.rtcp.close()
    bench.ports.rtcp = None

    bench.open(rtcp=("192.0.2.9", 4001), rtcp_mux=True)

    (opened,) = bench.life.told
    assert isinstance(opened, OpenRow)
    assert (opened.fds, opened.spec.rtcp_key, opened.spec.rtcp_mux) == (1, 0, True)


def test_orders_carry_the_generation_so_that_late_ones_hit_nobody(bench: Bench) -> None:
    bench.open()

    bench.leg.set_interruptible(2)
    bench.leg.flush()
    bench.leg.verdict(epoch=4, is_speech=False)
    first = bench.leg.press("12#", duration_ms=100, pause_ms=80)
    second = bench.leg.press("3", duration_ms=100, pause_ms=80)
    bench.leg.release_keys()
    bench.leg.hand_key("5", duration_ms=160)
    bench.leg.close()

    assert bench.life.told[1:] == [
        SetInterruptible(2, 77, 2),
        FlushRow(2, 77),
        GiveVerdict(2, 77, 4, is_speech=False),
        PressKeys(2, 77, first, duration_ms=100, pause_ms=80, digits="12#"),
        PressKeys(2, 77, second, duration_ms=100, pause_ms=80, digits="3"),
        ReleaseKeys(2, 77),
        HandKey(2, 77, duration_ms=160, digit="5"),
        CloseRow(2, 77),
    ]
    assert first != second
    assert bench.closed == [bench.leg]


def test_after_the_end_orders_do_nothing(bench: Bench) -> None:
    bench.open()
    bench.leg.close()
    told = list(bench.life.told)

    bench.leg.flush()
    bench.leg.set_interruptible(0)
    bench.leg.verdict(epoch=0, is_speech=True)
    bench.leg.press("1", duration_ms=100, pause_ms=80)
    bench.leg.release_keys()
    bench.leg.hand_key("1", duration_ms=100)
    bench.update()
    bench.leg.close()
    bench.leg.receive(Digit(2, 77, 0, "5", 80))

    assert bench.life.told == told
    assert bench.events == []
    assert not bench.leg.is_open
    with pytest.raises(LocalProtocolError, match="opens once"):
        bench.open()


def test_orders_before_opening_are_our_own_bug(bench: Bench) -> None:
    for order in (bench.leg.flush, bench.update, lambda: bench.leg.set_interruptible(1)):
        with pytest.raises(LocalProtocolError, match="was not opened"):
            order()


def test_a_leg_of_a_dead_process_cannot_open(bench: Bench) -> None:
    bench.life.is_alive = False

    with pytest.raises(EngineError, match="died after this leg was reserved"):
        bench.open()

    bench.leg.close()
    assert bench.life.told == []
    assert not bench.life.free_rows


def test_nothing_follows_a_failure(bench: Bench) -> None:
    bench.open()
    failed = RowFailed(2, 77, 0, "broken")

    for event in (failed, Digit(2, 77, 1, digit="1", duration_ms=100), EngineDied(2, 77, 2)):
        bench.leg.receive(event)

    assert bench.events == [failed]


def test_a_leg_whose_ports_cannot_be_handed_over_gives_its_row_back(bench: Bench) -> None:
    bench.life.shortage = OSError(errno.EMFILE, "Too many open files")

    with pytest.raises(EngineError, match="cannot hand a media port over: Too many open files"):
        bench.open()
    bench.leg.close()

    assert list(bench.life.free_rows) == [2]
    assert bench.closed == [bench.leg]


def test_a_closed_leg_keeps_no_memory_of_its_process(bench: Bench) -> None:
    bench.open()
    bench.carry()
    memory = weakref.ref(bench.life.memory.columns)
    writer, status = bench.leg.writer, bench.leg.status

    bench.leg.close()
    del bench.life

    assert memory() is None
    assert not writer.is_open
    assert "rx_packets" in status.snapshot()
    assert bench.leg.capture().read(160).shape == (2, 0)


def test_a_reservation_that_was_never_used_gives_its_row_back_at_once(bench: Bench) -> None:
    bench.leg.close()

    assert list(bench.life.free_rows) == [2]
    assert bench.life.told == []


async def test_opened_returns_when_the_rings_accept_speech(bench: Bench) -> None:
    bench.open()
    bench.carry()

    await bench.leg.opened()

    assert bench.leg.is_open
    assert bench.leg.writer.is_open
    assert bench.leg.capture().read(160).shape == (2, 0)
    assert bench.events == []


@pytest.mark.parametrize("end", [RowFailed(2, 77, 0, "broken"), EngineDied(2, 77, 0)])
async def test_opened_raises_when_the_leg_cannot_be_carried(bench: Bench, end: LegEvent) -> None:
    bench.open()
    bench.leg.receive(end)

    with pytest.raises(EngineError, match="could not carry"):
        await bench.leg.opened()

    assert bench.events == [end]


def test_status_is_empty_before_live_during_and_kept_after_the_call(bench: Bench) -> None:
    columns = bench.life.memory.columns
    status = bench.leg.status
    assert (status.snapshot(), status.last_rx_ns, status.played, status.epoch) == ({}, 0, 0, 0)
    assert status.remote is None

    bench.open()
    bench.carry()
    columns.rx_packets[2], columns.played[2], columns.epoch[2], columns.last_rx_ns[2] = 5, 160, 3, 99
    columns.remote_key[2], columns.jitter_ticks[2] = peer_key(PEER), 1.5
    columns.mos_in[2], columns.lost_out[2] = 4.25, -3
    during = status.snapshot()
    bench.leg.close()
    kept = bench.leg.status
    columns.generation[2] = 78
    columns.rx_packets[2] = np.uint64(1000)

    assert (during["rx_packets"], during["jitter_ticks"]) == (5, 1.5)
    assert (during["mos_in"], during["lost_out"], during["round_trip_ms"]) == (4.25, -3, 0)
    assert status.snapshot() == during
    assert (status.last_rx_ns, status.played, status.epoch) == (99, 160, 3)
    assert kept.remote == PEER


def test_a_bed_is_brought_once_and_then_known_by_its_name(bench: Bench) -> None:
    bench.open()
    assert not bench.leg.has_bed("rain")

    bench.leg.set_bed("rain", np.full(400, 9, np.int16), gain_db=-18, under_speech_db=-30)
    bench.leg.set_bed("rain", gain_db=-10, under_speech_db=-20, yields=False)
    bench.leg.stop_bed()
    bench.leg.set_sensitivity(2)

    assert bench.leg.has_bed("rain")
    assert bench.life.memory.shelf[0, :401].tolist() == [9] * 400 + [0]
    assert bench.life.told[1:] == [
        SetBed(2, 77, 0, 400, -18, -30, yields=True),
        SetBed(2, 77, 0, 400, -10, -20, yields=False),
        StopBed(2, 77),
        SetSensitivity(2, 77, 2),
    ]


def test_a_leg_that_ends_makes_room_for_another_bed(bench: Bench) -> None:
    bench.life.shelf = BedShelf(np.zeros((1, 400), np.int16))
    bench.open()
    bench.leg.set_bed("rain", np.full(400, 9, np.int16), gain_db=0, under_speech_db=0)
    with pytest.raises(EngineError, match="beds are playing"):
        bench.leg.set_bed("wind", np.full(300, 8, np.int16), gain_db=0, under_speech_db=0)

    bench.leg.close()

    assert bench.leg.has_bed("anything")
    bench.leg.set_bed("wind", gain_db=0, under_speech_db=0)
    assert bench.life.shelf.take("wind", np.full(300, 8, np.int16)) == (0, 300)
