from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plane.columns import Columns
from bridge.plane.packets import Departures
from bridge.plane.plane import FOREVER_NS, Plane
from bridge.plane.spec import PlaneSettings
from bridge.rtp.rtcp import (
    CNAME,
    Goodbye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    middle_of,
    ntp_of,
    parse,
)
from tests.fakes import MS
from tests.plane.rig import PEER, hiss
from tests.plane.rtcp_peer import OURS, PEER_RTCP, THEIRS, RtcpRig, reporting_spec

S = 1000 * MS


def test_a_report_says_who_we_are_what_we_sent_and_what_came() -> None:
    call = RtcpRig()
    while not call.sent:
        call.tick()

    at_ns, socket, key, packets = call.sent[0]
    heard = call.rig.heard
    assert (socket, key) == (~1, PEER_RTCP)
    assert packets[1] == SourceDescription(OURS, ((CNAME, b"0123456789abcdef01234567"),))
    report = call.report()
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.ntp) == (OURS, ntp_of(at_ns))
    assert (report.packets, report.octets) == (len(heard), 160 * len(heard))
    # The rig builds every packet at the end of its slot: now is when the next one is due.
    assert report.rtp_timestamp == (heard[-1].timestamp + 160) % 2**32
    block = call.block()
    assert (block.ssrc, block.fraction_lost, block.cumulative_lost) == (THEIRS, 0, 0)
    assert block.highest_sequence == 65530 + len(heard) - 1
    assert (block.last_sr, block.delay_since_last_sr) == (0, 0)
    assert call.counter("rtcp_sent") == 1


def test_reports_come_at_random_intervals_around_five_seconds_the_first_one_sooner() -> None:
    call = RtcpRig()
    while len(call.sent) < 200:
        call.rig.now_ns = int(call.rig.plane.report_due_ns[1])
        call.keep(call.rig.plane.report(np.array([1]), now_ns=call.rig.now_ns))

    times = np.array([at_ns for at_ns, *_ in call.sent]) / S
    intervals = np.diff(times)
    assert 1.0 < times[0] < 3.2
    # §6.3.1: 0.5 to 1.5 times five seconds over 1.21828, and reconsideration brings the mean back to five.
    assert intervals.min() > 2.05
    assert intervals.max() < 6.2
    assert 4.2 < intervals.mean() < 5.6
    assert len(set(intervals.round(3))) > len(intervals) // 2


def test_rows_that_are_opened_together_do_not_report_together() -> None:
    call = RtcpRig()
    for row in (2, 3):
        other = replace(reporting_spec(generation=row), ssrc=row * 0x0123_4567)
        call.rig.plane.open(row, other, now_ns=0)

    assert len(set(call.rig.plane.report_due_ns[1:].tolist())) == 3
    assert call.rig.plane.report_due_ns[0] == FOREVER_NS


def test_lost_packets_are_told_as_the_peer_can_count_them_itself() -> None:
    call = RtcpRig()
    while len(call.sent) < 2:
        call.tick()
    lost, expected = 0, 0
    while len(call.sent) < 3:
        is_lost = expected % 5 == 2
        # The packet on whose arrival the report leaves is in it, so the last one must not be a lost one.
        call.tick(lose=is_lost)
        lost, expected = lost + is_lost, expected + 1

    block = call.block()
    unseen = 1 if (expected - 1) % 5 == 2 else 0
    assert block.cumulative_lost == lost - unseen
    assert block.fraction_lost == (lost - unseen << 8) // (expected - unseen)
    assert call.counter("rx_lost") == lost - unseen


def test_duplicates_make_the_loss_negative_and_the_fraction_nothing() -> None:
    call = RtcpRig()
    call.wait(100)
    packet = call.rig.packet()
    call.rig.deliver(packet, packet, packet)

    while not call.sent:
        call.tick()

    assert call.block().cumulative_lost == -2
    assert call.block().fraction_lost == 0


def test_a_whole_turn_of_the_sequence_numbers_is_one_cycle() -> None:
    call = RtcpRig()
    call.wait(200)
    while not call.sent:
        call.tick()

    assert call.rig.heard
    assert call.block().highest_sequence >> 16 == 1


def test_a_new_source_begins_anew_and_what_was_lost_before_is_not_its_fault() -> None:
    call = RtcpRig()
    call.wait(100)
    for _ in range(10):
        call.tick(lose=True)
    call.wait(100)
    while len(call.sent) < 1:
        call.tick()
    assert call.block().cumulative_lost == 10

    call.rig.sequence = 40_000
    while len(call.sent) < 2:
        call.tick()

    assert call.block().cumulative_lost == 0
    assert call.block().fraction_lost == 0
    assert call.block().highest_sequence >= 40_000


def test_whoever_sends_nothing_makes_receiver_reports_and_who_hears_nothing_no_blocks() -> None:
    call = RtcpRig(replace(reporting_spec(), sending=False))
    while not call.sent:
        call.tick()
    assert isinstance(call.report(), ReceiverReport)
    assert call.block().ssrc == THEIRS

    while len(call.sent) < 2:
        call.tick(lose=True)
    while len(call.sent) < 3:
        call.tick(lose=True)

    assert call.report() == ReceiverReport(OURS)


def test_a_hold_makes_a_sender_a_receiver_after_two_reports() -> None:
    call = RtcpRig()
    while len(call.sent) < 1:
        call.tick()
    call.rig.plane.update(1, replace(reporting_spec(), sending=False), now_ns=call.rig.now_ns)
    while len(call.sent) < 4:
        call.tick()

    kinds = [type(packets[0]) for *_, packets in call.sent]
    assert kinds == [SenderReport, SenderReport, ReceiverReport, ReceiverReport]


def test_the_clock_of_a_report_is_the_wall_clock_that_the_edge_names() -> None:
    call = RtcpRig()
    plane = Plane(call.rig.columns, PlaneSettings(), wall_offset_ns=1_700_000_000 * S)
    plane.open(2, reporting_spec(), now_ns=0)
    plane.build(np.array([2]), now_ns=0)

    (report, *_) = parsed(plane.farewell(2, now_ns=3 * S))

    assert isinstance(report, SenderReport)
    assert report.ntp == ntp_of(1_700_000_003 * S)
    # One packet has gone, the next is due at 20 ms: three seconds are 24,000 ticks of its clock.
    assert report.rtp_timestamp == (2**32 - 160 + 24_000) % 2**32


def test_the_delay_since_the_peers_last_report_is_told_with_its_time() -> None:
    call = RtcpRig()
    call.wait(100)
    theirs = SenderReport(THEIRS, ntp_of(77 * S), 0, 0, 0)
    call.tell(theirs)
    told_ns = call.rig.now_ns

    while not call.sent:
        call.tick()

    assert call.block().last_sr == middle_of(theirs.ntp)
    assert call.block().delay_since_last_sr == (call.sent[0][0] - told_ns) * 65536 // S


def test_the_time_of_an_older_source_is_not_sent_back() -> None:
    call = RtcpRig()
    call.wait(100)
    call.tell(SenderReport(THEIRS, ntp_of(77 * S), 0, 0, 0))
    source = call.rig.packet

    def changed() -> bytes:
        return (packet := source())[:8] + b"\0\0\0\x42" + packet[12:]

    while not call.sent:
        call.rig.now_ns += 20 * MS
        call.rig.deliver(changed())
        call.rig.send()
        if call.rig.plane.report_due_ns[1] <= call.rig.now_ns:
            call.keep(call.rig.plane.report(np.array([1]), now_ns=call.rig.now_ns))

    assert (call.block().ssrc, call.block().last_sr) == (0x42, 0)


@pytest.mark.parametrize("mux", [False, True])
def test_a_leg_says_goodbye_once_from_the_port_of_its_reports(mux: bool) -> None:
    call = RtcpRig(reporting_spec(rtcp_mux=mux))
    call.wait(100)

    departures = call.rig.plane.farewell(1, now_ns=call.rig.now_ns)

    call.keep(departures)
    _, socket, key, packets = call.sent[0]
    assert (socket, key) == ((1, PEER) if mux else (~1, PEER_RTCP))
    assert isinstance(packets[0], SenderReport)
    assert packets[2] == Goodbye((OURS,))
    call.rig.plane.close(1)
    assert len(call.rig.plane.farewell(1, now_ns=call.rig.now_ns)) == 0
    assert call.rig.plane.report_due_ns[1] == FOREVER_NS


def test_who_was_never_heard_of_leaves_without_a_word() -> None:
    call = RtcpRig(replace(reporting_spec(), sending=False))
    assert len(call.rig.plane.farewell(1, now_ns=0)) == 0

    while not call.sent:
        call.tick()

    assert len(call.rig.plane.farewell(1, now_ns=call.rig.now_ns)) == 1


def test_a_peer_without_rtcp_gets_none_and_reports_begin_when_it_has() -> None:
    call = RtcpRig(reporting_spec(rtcp_key=0))
    call.wait(20_000)
    assert call.sent == []
    assert len(call.rig.plane.farewell(1, now_ns=call.rig.now_ns)) == 0
    assert call.counter("rtcp_sent") == 0

    call.rig.plane.update(1, reporting_spec(), now_ns=call.rig.now_ns)
    call.wait(7_000)

    assert call.sent


def test_a_crowd_that_is_due_at_once_is_served_in_portions() -> None:
    columns = Columns(bytearray(Columns.size_bytes(50)), 50)
    plane = Plane(columns, PlaneSettings())
    for row in range(50):
        plane.open(row, replace(reporting_spec(), ssrc=row), now_ns=0)

    first = plane.report(np.arange(50), now_ns=60 * S)

    assert first.rows.tolist() == [~row for row in range(32)]
    late = np.flatnonzero(plane.report_due_ns <= 60 * S)
    assert late.tolist() == list(range(32, 50))
    assert len(plane.report(late, now_ns=60 * S)) == 18


def test_our_voice_is_counted_by_its_payload() -> None:
    call = RtcpRig()
    call.rig.say(hiss(160 * 5, level_db=-20))
    call.wait(100)

    (report, *_) = parsed(call.rig.plane.farewell(1, now_ns=call.rig.now_ns))

    assert isinstance(report, SenderReport)
    assert report.octets == sum(len(packet.payload) for packet in call.rig.heard) == 800


def test_a_peer_that_moves_is_not_reported_on_before_its_new_source_is_proven() -> None:
    call = RtcpRig()
    call.wait(900)
    call.rig.plane.update(1, replace(reporting_spec(), remote_key=PEER + 100), now_ns=call.rig.now_ns)

    call.keep(call.rig.plane.farewell(1, now_ns=call.rig.now_ns))

    assert call.report().blocks == ()


def lose(call: RtcpRig) -> None:
    call.tick(lose=True)


def jump(call: RtcpRig) -> None:
    call.rig.sequence = (call.rig.sequence + 20_000) % 2**16


def step_back(call: RtcpRig) -> None:
    call.rig.sequence = (call.rig.sequence - 30) % 2**16


def move(call: RtcpRig) -> None:
    there = replace(
        reporting_spec(), remote_key=PEER + 2 * (call.rig.now_ns % 3), sending=call.rig.now_ns % 2 == 0
    )
    call.rig.plane.update(1, there, now_ns=call.rig.now_ns)


def come_home(call: RtcpRig) -> None:
    call.rig.plane.update(1, reporting_spec(), now_ns=call.rig.now_ns)


def hear(call: RtcpRig) -> None:
    call.tell(SenderReport(THEIRS, 1 << 40, 0, 0, 0))


def sleep(call: RtcpRig) -> None:
    call.rig.now_ns += 7 * S + 1


STEPS = st.sampled_from([RtcpRig.tick, RtcpRig.tick, lose, jump, step_back, move, come_home, hear, sleep])


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=60))
def test_whatever_happens_every_report_can_be_built_and_read(steps: list[Callable[[RtcpRig], None]]) -> None:
    call = RtcpRig(settings=PlaneSettings(rtcp_interval_ms=20))
    for step in steps:
        step(call)

    call.keep(call.rig.plane.farewell(1, now_ns=call.rig.now_ns))

    for _, _, _, packets in call.sent:
        report = packets[0]
        assert isinstance(report, SenderReport | ReceiverReport)
        assert all(block.ssrc == THEIRS for block in report.blocks)


def parsed(departures: Departures) -> list[object]:
    return list(parse(departures.packets[0, : departures.lengths[0]].tobytes()))
