from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plane.events import Latched
from bridge.rtp.rtcp import Goodbye, ReceiverReport, ReportBlock, build, middle_of, ntp_of
from tests.fakes import MS
from tests.plane.rig import PEER, STRANGER, Rig, key_of
from tests.plane.rtcp_peer import OURS, PEER_RTCP, THEIRS, RtcpRig, reporting_spec

S = 1000 * MS
BLOCK = ReportBlock(OURS, 64, 12, 70_000, 160, 0, 0)
REPORT = ReceiverReport(THEIRS, (BLOCK,))


def up(*, mux: bool = False) -> RtcpRig:
    """A call whose peer is latched."""
    call = RtcpRig(reporting_spec(rtcp_mux=mux))
    call.wait(100)
    return call


def test_what_the_peer_says_of_our_stream_is_told() -> None:
    call = up()

    call.tell(REPORT)

    assert call.quality("loss_out") == 0.25
    assert call.quality("lost_out") == 12
    assert call.quality("jitter_out_ticks") == 160
    assert call.quality("round_trip_ms") == 0
    assert call.counter("rtcp_received") == 1


def test_blocks_about_others_and_reports_of_others_say_nothing_of_us() -> None:
    call = up()

    call.tell(ReceiverReport(THEIRS, (replace(BLOCK, ssrc=5),)), ReceiverReport(6, (BLOCK,)))

    assert call.quality("loss_out") == call.quality("lost_out") == 0
    assert call.counter("rtcp_received") == 1


@pytest.mark.parametrize(
    ("trip_ms", "held_ms", "told_ms"),
    [(80, 1000, 80), (0, 2000, 0), (9999, 10, 9999), (10_001, 10, 0), (-90, 500, 0), (-4000, 500, 0)],
)
def test_the_round_trip_is_what_the_peer_did_not_hold(trip_ms: float, held_ms: int, told_ms: float) -> None:
    call = up()
    call.wait(20_000)
    sent_ns = call.rig.now_ns - int((trip_ms + held_ms) * MS)
    block = replace(BLOCK, last_sr=middle_of(ntp_of(sent_ns)), delay_since_last_sr=held_ms * 65536 // 1000)

    call.tell(ReceiverReport(THEIRS, (block,)))

    assert call.quality("round_trip_ms") == pytest.approx(told_ms, abs=0.05)


def test_a_round_trip_across_the_turn_of_the_clock_is_measured() -> None:
    call = up()
    # Middle bits turn every 18.2 hours; the rig's clock begins at their value of 1970.
    call.rig.now_ns = (65536 - (2_208_988_800 % 65536)) * S + 10 * MS
    block = replace(BLOCK, last_sr=middle_of(ntp_of(call.rig.now_ns - 50 * MS)))
    assert block.last_sr > middle_of(ntp_of(call.rig.now_ns))

    call.tell(ReceiverReport(THEIRS, (block,)))

    assert call.quality("round_trip_ms") == pytest.approx(50, abs=0.05)


def test_a_goodbye_is_counted_and_ends_nothing() -> None:
    call = up()

    call.tell(ReceiverReport(THEIRS), Goodbye((3, THEIRS)))
    call.tell(ReceiverReport(THEIRS), Goodbye((3,)))
    call.wait(100)

    assert call.counter("rtcp_bye") == 1
    assert call.counter("rx_packets") == 10


@pytest.mark.parametrize(
    ("mux", "apart", "source", "is_believed"),
    [
        (False, True, PEER_RTCP, True),
        (False, True, PEER, True),  # the host of the media, any port, while nobody else has spoken
        (False, True, PEER + 9, True),
        (False, True, STRANGER, False),
        (False, True, STRANGER + 1, False),
        (False, False, PEER, True),
        (False, False, PEER_RTCP, False),
        (True, False, PEER, True),
        (True, False, PEER_RTCP, False),
        (True, False, STRANGER, False),
    ],
)
def test_reports_are_believed_from_where_they_should_come(
    mux: bool, apart: bool, source: int, is_believed: bool
) -> None:
    call = up(mux=mux)

    call.tell(REPORT, source=source, apart=apart)

    assert call.counter("rtcp_received") == is_believed
    assert call.counter("rtcp_stranger") == (not is_believed)
    assert (call.quality("loss_out") > 0) is is_believed
    assert call.counter("rx_malformed") == call.counter("rx_stranger") == 0


def test_a_ping_that_keeps_a_nat_open_is_fine() -> None:
    call = up()

    call.tell(bytes.fromhex("80cc0003 00000063 50494e47 504f4e47"))

    assert (call.counter("rtcp_received"), call.counter("rtcp_malformed")) == (1, 0)


@pytest.mark.parametrize(("source", "counter"), [(PEER_RTCP, "rtcp_malformed"), (STRANGER, "rtcp_stranger")])
@pytest.mark.parametrize("data", [b"", b"\x80\xc8\x00"])
def test_what_is_too_short_for_a_source_is_judged_by_where_it_comes_from(
    data: bytes, source: int, counter: str
) -> None:
    call = up()

    for before in (REPORT, replace(REPORT, ssrc=1234)):
        call.tell(before, source=source)
        earlier = call.counter(counter)
        call.tell(data, source=source)
        assert call.counter(counter) == earlier + 1


def test_a_compound_longer_than_its_buffer_is_malformed() -> None:
    call = up()
    longest = bytes.fromhex("80cc0176 00000063 50494e47") + bytes(1500 - 12)

    call.tell(longest)
    call.tell(longest + b"\x80\xca\x00\x00")

    assert (call.counter("rtcp_received"), call.counter("rtcp_malformed")) == (1, 1)


def test_a_report_of_another_stream_is_a_strangers_wherever_it_comes_from() -> None:
    call = up()

    call.tell(replace(REPORT, ssrc=1234))

    assert (call.counter("rtcp_received"), call.counter("rtcp_stranger")) == (0, 1)


def test_before_any_media_the_address_alone_is_asked() -> None:
    call = RtcpRig()

    call.tell(replace(REPORT, ssrc=1234))
    call.tell(replace(REPORT, ssrc=1234), source=PEER + 9)

    assert (call.counter("rtcp_received"), call.counter("rtcp_stranger")) == (1, 1)


def test_who_has_spoken_is_not_replaced_before_a_long_silence() -> None:
    call = up()
    call.tell(REPORT)
    call.wait(14_900)
    call.tell(REPORT, source=PEER + 9)
    assert call.counter("rtcp_stranger") == 1

    call.wait(100)
    call.tell(REPORT, source=PEER + 9)

    assert (call.counter("rtcp_received"), call.counter("rtcp_stranger")) == (2, 1)


def test_behind_nat_reports_go_where_those_of_the_peer_come_from() -> None:
    public = key_of("203.0.113.5", 7000)
    private = key_of("192.168.1.2", 4000)
    call = RtcpRig(replace(reporting_spec(rtcp_key=private + 1), remote_key=private, latch_ip=public >> 16))
    events = call.rig.deliver(call.rig.packet(), call.rig.packet(), source=public)
    assert isinstance(events[0], Latched)
    destination = call.rig.plane._reporting._feedback.destination

    assert destination(1) == (~1, public + 1)
    call.tell(REPORT, source=public + 500)
    assert destination(1) == (~1, public + 500)
    assert call.counter("rtcp_received") == 1

    call.rig.plane.update(1, reporting_spec(), now_ns=0)
    assert destination(1) == (~1, PEER_RTCP)


def test_behind_nat_nobody_is_told_at_a_port_that_does_not_exist() -> None:
    public = key_of("203.0.113.5", 65535)
    call = RtcpRig(replace(reporting_spec(), remote_key=PEER, latch_ip=public >> 16))
    call.rig.deliver(call.rig.packet(), call.rig.packet(), source=public)

    call.wait(7000)

    assert call.sent == []


def test_shared_reports_follow_the_media() -> None:
    public = key_of("203.0.113.5", 7000)
    call = RtcpRig(replace(reporting_spec(rtcp_mux=True), latch_ip=public >> 16))
    call.rig.deliver(call.rig.packet(), call.rig.packet(), source=public)

    call.wait(7000)

    assert {(socket, key) for _, socket, key, _ in call.sent} == {(1, public)}


def test_a_flood_of_true_reports_is_read_in_part_and_counted() -> None:
    call = up()
    for _ in range(100):
        call.tell(REPORT)
    assert (call.counter("rtcp_received"), call.counter("rtcp_excess")) == (16, 84)

    call.wait(1000)
    call.tell(REPORT)

    assert call.counter("rtcp_received") == 17


def test_rtcp_among_media_costs_the_media_nothing() -> None:
    calm, loud = Rig(), Rig()
    junk = [b"\x80\xc9\0\1\0\0\0\x63", b"\x81\xc8" + bytes(1400), b"\x80\xcb", b"\xff\xdf" * 700]
    for _ in range(100):
        calm.tick()
        loud.now_ns += 20 * MS
        loud.deliver(*junk, loud.packet(), *junk, source=PEER)
        loud.send()

    quiet = {name: count for name, count in loud.columns.counters(1).items() if not name.startswith("rtcp")}
    assert quiet == {name: calm.columns.counters(1)[name] for name in quiet}
    assert (loud.sound() == calm.sound()).all()
    kinds = ("received", "malformed", "excess", "stranger")
    assert sum(loud.counter(f"rtcp_{kind}") for kind in kinds) == 800


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\xc9", b"\x80\xc9\xff\xff" * 300, bytes(1500)])
def test_broken_reports_are_counted_and_change_nothing(data: bytes) -> None:
    call = up()

    call.tell(data, source=PEER_RTCP)

    told = call.counter("rtcp_malformed") + call.counter("rtcp_stranger")
    assert told == 1
    assert call.counter("rtcp_received") == 0


def test_a_datagram_too_short_to_have_a_type_is_no_rtcp() -> None:
    call = up(mux=True)
    call.tell(REPORT, apart=False, source=PEER)

    call.tell(b"\x80", apart=False, source=PEER)

    assert call.counter("rx_malformed") == 1
    assert call.counter("rtcp_malformed") == 0


def test_a_marked_packet_of_a_low_dynamic_type_is_taken_for_rtcp_and_an_unmarked_one_for_media() -> None:
    call = up()
    packet = bytearray(call.rig.packet())

    packet[1] = 72
    call.rig.deliver(bytes(packet))

    assert call.counter("rx_wrong_payload") == 1


def test_rtcp_for_a_row_that_is_free_is_nobodys() -> None:
    call = up()
    call.tell(REPORT, row=2)

    assert call.rig.columns.counters(2)["rtcp_received"] == 0
    assert call.rig.columns.counters(2)["rtcp_stranger"] == 0


@settings(max_examples=60)
@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=12))
def test_no_bytes_break_a_row(datagrams: list[tuple[bytes, bool]]) -> None:
    call = up()
    for data, begins_well in datagrams:
        call.tell(build([REPORT]) + data if begins_well else data)

    call.wait(100)

    assert call.counter("rx_packets") == 10
