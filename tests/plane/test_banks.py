"""Planes of several rates as one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.plane.banks import Banks
from bridge.plane.bed import silent_shelf
from bridge.plane.codec import G722, L16_48K, OPUS
from bridge.plane.columns import Columns
from bridge.plane.events import Digit, Flushed, KeysSent, SpeechStarted
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.ring import CaptureReader, PlayoutWriter
from bridge.plane.rows import FOREVER_NS
from bridge.plane.shape import Shape
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build
from bridge.rtp.rtcp import parse
from tests.fakes import MS
from tests.plane.rig import PEER, spec
from tests.plane.wide import FakeDecoder, glide, make_fake, wide_spec

CAPACITY = 2
RATES = (8000, 16000, 24000, 48000)
NARROW, WIDE, HIGH = 1, 3, 7
"""Rows of 8, 16 and 48 kHz."""


class Hall:
    def __init__(self) -> None:
        self.columns = []
        for rate_hz in RATES:
            shape = Shape(rate_hz)
            memory = bytearray(Columns.size_bytes(CAPACITY, shape))
            self.columns.append(Columns(memory, CAPACITY, shape))
        settings = PlaneSettings(rtcp_interval_ms=100)
        self.shelf = silent_shelf()
        self.banks = Banks(self.columns, settings, make_codec=make_fake, shelf=self.shelf)

    def open(self, row: int, leg: RowSpec) -> None:
        self.banks.open(row, leg, now_ns=0)

    def writer(self, row: int, generation: int = 7) -> PlayoutWriter:
        return PlayoutWriter(self.columns[row // CAPACITY], row % CAPACITY, generation)

    def arrive(self, *rows: int, number: int) -> None:
        """A packet for each of these rows."""
        arrivals = Arrivals(8)
        for row in rows:
            FakeDecoder.sounds.append(glide(160 * (RATES[row // CAPACITY] // 8000), 8000))
            place = len(FakeDecoder.sounds) - 1
            payload = bytes(160) if row < CAPACITY else b"\0" + place.to_bytes(4)
            clock = 320 if row == HIGH else 160
            packet = RtpPacket(96 if row >= CAPACITY else 0, number, number * clock, 9, payload)
            arrivals.add(build(packet), row=row, source=PEER)
        self.banks.receive(arrivals, now_ns=number * 20 * MS)

    def say(self, row: int, samples: int) -> None:
        writer = self.writer(row)
        writer.open_utterance(0)
        writer.write(glide(samples, 8000), epoch=0)
        writer.close_utterance(0)


@pytest.fixture
def hall() -> Hall:
    made = Hall()
    made.open(NARROW, spec())
    return made


def test_rows_are_numbered_through_and_share_one_array_of_dues(hall: Hall) -> None:
    assert len(hall.banks.due_ns) == len(hall.banks.report_due_ns) == 8
    assert np.flatnonzero(hall.banks.due_ns < FOREVER_NS).tolist() == [NARROW]

    hall.open(HIGH, wide_spec(OPUS, 48000))
    hall.banks.due_ns[HIGH] = 5 * MS

    departures = hall.banks.build(np.array([NARROW, HIGH]), now_ns=5 * MS)
    assert departures.rows.tolist() == [NARROW, HIGH]
    assert departures.lengths.tolist() == [172, 12 + 1920]
    assert hall.banks.due_ns[HIGH] == 25 * MS


def test_without_wide_rows_everything_is_the_narrow_planes(hall: Hall) -> None:
    hall.arrive(NARROW, number=1)
    hall.arrive(NARROW, number=2)

    departures = hall.banks.build(np.array([NARROW]), now_ns=0)
    reports = hall.banks.report(np.array([NARROW]), now_ns=200 * MS)

    assert departures.rows.tolist() == [NARROW]
    assert len(reports) == 0
    assert hall.columns[0].rx_packets[NARROW] == 2


def test_packets_reach_the_bank_of_their_row_and_no_other(hall: Hall) -> None:
    hall.open(WIDE, wide_spec(G722))
    hall.open(HIGH, wide_spec(OPUS, 48000))

    for number in range(1, 4):
        hall.arrive(HIGH, NARROW, number=number)
    hall.arrive(WIDE, number=1)

    counts = [bank.rx_packets.tolist() for bank in hall.columns]
    assert counts == [[0, 3], [0, 0], [0, 0], [0, 3]]
    assert hall.columns[1].rx_packets.tolist() == [0, 0]


def test_a_row_never_touches_the_memory_of_another_bank(hall: Hall) -> None:
    hall.open(WIDE, wide_spec(G722))
    for bank in (0, 2, 3):
        hall.columns[bank].capture[...] = 77
    hall.say(WIDE, 3200)

    for number in range(1, 20):
        hall.arrive(WIDE, number=number)
        hall.banks.build(np.array([WIDE]), now_ns=number * 20 * MS)
    hall.banks.close(WIDE)

    assert all((hall.columns[bank].capture == 77).all() for bank in (0, 2, 3))
    assert not hall.columns[1].capture.any()


def test_events_name_the_row_by_its_number_in_the_process(hall: Hall) -> None:
    hall.open(WIDE, wide_spec(G722))
    hall.say(WIDE, 640)
    hall.say(NARROW, 160)

    hall.banks.build(np.array([NARROW, WIDE]), now_ns=0)
    hall.banks.flush(WIDE, now_ns=0)
    hall.banks.key(HIGH - 4, "4", duration_ms=90, now_ns=0)

    events = hall.banks.drain()
    assert [event.row for event in events if isinstance(event, SpeechStarted)] == [NARROW, WIDE]
    assert [event.row for event in events if isinstance(event, Flushed)] == [WIDE]
    assert [event.row for event in events if isinstance(event, Digit)] == [WIDE]


def test_commands_reach_the_row_they_name(hall: Hall) -> None:
    hall.open(HIGH, wide_spec(L16_48K))
    hall.banks.set_interruptible(HIGH, 0)
    hall.banks.verdict(HIGH, epoch=0, is_speech=True, now_ns=0)
    hall.banks.press(HIGH, "12", ticket=4, duration_ms=40, pause_ms=40, now_ns=0)
    hall.banks.release(HIGH)
    hall.banks.update(HIGH, wide_spec(L16_48K, gain_db=3), now_ns=0)

    for at in range(4):
        hall.banks.build(np.array([HIGH]), now_ns=at * 20 * MS)

    told = [event for event in hall.banks.drain() if isinstance(event, KeysSent)]
    assert [(event.row, event.ticket, event.count) for event in told] == [(HIGH, 4, 0)]
    assert hall.banks.peer_ssrc(HIGH) == -1
    assert hall.banks.destination(HIGH) == PEER


def test_reports_leave_from_the_sockets_of_the_row(hall: Hall) -> None:
    hall.open(HIGH, wide_spec(OPUS, 48000, rtcp_key=PEER + 1))
    hall.banks.build(np.array([NARROW, HIGH]), now_ns=0)

    reports = hall.banks.report(np.array([NARROW, HIGH]), now_ns=500 * MS)
    goodbye = hall.banks.farewell(HIGH, now_ns=500 * MS)

    assert reports.rows.tolist() == [~HIGH]
    assert goodbye.rows.tolist() == [~HIGH]
    assert parse(goodbye.packets[0, : goodbye.lengths[0]].tobytes())
    assert hall.banks.farewell(NARROW, now_ns=500 * MS).rows.tolist() == []


def test_nothing_due_is_nothing_sent(hall: Hall) -> None:
    hall.open(HIGH, wide_spec(OPUS, 48000))

    assert len(hall.banks.build(np.zeros(0, np.intp), now_ns=0)) == 0


def test_a_closed_wide_row_leaves_nothing_to_pay_for(hall: Hall) -> None:
    hall.open(HIGH, wide_spec(OPUS, 48000))
    hall.banks.close(HIGH)
    hall.banks.close(NARROW)

    assert (hall.banks.due_ns == FOREVER_NS).all()
    assert hall.banks._is_narrow


def test_a_capture_of_a_wide_row_has_its_rate(hall: Hall) -> None:
    hall.open(HIGH, wide_spec(OPUS, 48000))
    reader = CaptureReader(hall.columns[3], HIGH % CAPACITY, 7)

    hall.banks.build(np.array([HIGH]), now_ns=0)

    assert reader.read(5000).shape == (2, 960)


def test_parts_of_one_tick_are_joined_in_order() -> None:
    short = Departures.of([(1, 10, b"abc")])
    long = Departures.of([(2, 20, b"defgh"), (2, 21, b"ij")])

    joined = Departures.join([short, Departures.of([]), long])

    assert [bytes(p[:n]) for p, n in zip(joined.packets, joined.lengths, strict=True)] == [
        b"abc",
        b"defgh",
        b"ij",
    ]
    assert joined.rows.tolist() == [1, 2, 2]
    assert joined.destinations.tolist() == [10, 20, 21]
    assert Departures.join([Departures.of([]), short]) is short


@pytest.mark.parametrize("row", [NARROW, WIDE, 5, HIGH])
def test_a_bed_lies_under_a_row_of_any_rate_until_it_is_lifted(hall: Hall, row: int) -> None:
    rate_hz = RATES[row // CAPACITY]
    if row != NARROW:
        hall.open(row, wide_spec(OPUS, rate_hz) if row > WIDE else wide_spec(G722))
    hall.shelf[2, : rate_hz // 2] = glide(rate_hz // 2, rate_hz) // 2
    hall.banks.lay(row, 2, samples=rate_hz // 2, gain_db=0, under_speech_db=-12, yields=True)

    def sent(slots: int) -> NDArray[np.int16]:
        reader = CaptureReader(hall.columns[row // CAPACITY], row % CAPACITY, 7)
        for _ in range(slots):
            hall.banks.build(np.array([row]), now_ns=int(hall.banks.due_ns[row]))
        lane: NDArray[np.int16] = reader.read(10**6)[1][-slots * rate_hz // 50 :]
        return lane

    heard = sent(20)
    hall.banks.lift(row)
    after = sent(20)

    assert np.abs(heard[-rate_hz // 10 :].astype(int)).max() > 1000
    assert not after[-rate_hz // 10 :].any()
    assert hall.columns[row // CAPACITY].bed_packets[row % CAPACITY] >= 20


def test_sensitivity_and_the_next_number_are_those_of_the_row(hall: Hall) -> None:
    hall.open(HIGH, wide_spec(OPUS, 48000))
    before = hall.banks.next_sequence(HIGH)

    hall.banks.set_sensitivity(HIGH, 2)
    hall.banks.build(np.array([HIGH]), now_ns=int(hall.banks.due_ns[HIGH]))

    assert hall.banks.next_sequence(HIGH) == before + 1
    assert [int(bank.sensitivity[1]) for bank in hall.columns] == [1, 0, 0, 2]
