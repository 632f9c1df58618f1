import numpy as np
import pytest

from bridge.rtp.quality import burst_ratio, mean_opinion, rating
from bridge.rtp.rtcp import ReceiverReport, ReportBlock, middle_of, ntp_of
from tests.fakes import MS
from tests.plane.rtcp_peer import OURS, THEIRS, RtcpRig, reporting_spec


def told_by_the_peer(call: RtcpRig, *, fraction: int, jitter: int, trip_ms: int) -> None:
    sent = middle_of(ntp_of(call.rig.now_ns - trip_ms * MS))
    call.tell(ReceiverReport(THEIRS, (ReportBlock(OURS, fraction, 0, 0, jitter, sent, 0),)))


def test_a_clean_line_is_as_good_as_it_gets() -> None:
    call = RtcpRig()
    call.wait(3000)

    # 20 ms of packet, and what waits in the ring.
    delay_ms = 20 + int(call.rig.columns.depth_samples[1]) / 8
    assert call.quality("loss_in") == 0
    assert call.quality("mos_in") == pytest.approx(float(mean_opinion(rating(delay_ms, 0, 1))), abs=0.01)
    assert call.quality("mos_in") > 4.35
    assert call.quality("mos_in_lowest") <= call.quality("mos_in")


def test_nothing_is_said_before_there_is_evidence() -> None:
    call = RtcpRig()
    call.wait(400)

    names = ("mos_in", "mos_out", "mos_in_lowest", "mos_out_lowest", "loss_in", "loss_out")
    assert {call.quality(name) for name in names} == {0}
    call.wait(3000)
    assert call.quality("mos_in") > 0
    assert call.quality("mos_out") == 0


def test_loss_lowers_the_score_and_the_lowest_one_is_kept() -> None:
    call = RtcpRig()
    call.wait(5000)
    clean = call.quality("mos_in")
    for at in range(750):
        call.tick(lose=at % 10 == 5)
    lossy = call.quality("mos_in")

    assert call.quality("loss_in") == pytest.approx(0.1, abs=0.03)
    assert lossy < clean - 0.5
    for _ in range(60):
        call.wait(1000)
    assert call.quality("mos_in") == pytest.approx(clean, abs=0.05)
    assert call.quality("mos_in_lowest") == pytest.approx(lossy, abs=0.2)
    assert call.quality("loss_in") < 0.001


def test_the_same_loss_in_bursts_is_worse() -> None:
    scattered, bursty = RtcpRig(), RtcpRig()
    for at in range(1500):
        scattered.tick(lose=at % 10 == 5)
        bursty.tick(lose=at % 50 in range(5, 10))

    assert bursty.quality("loss_in") == pytest.approx(scattered.quality("loss_in"), abs=0.02)
    assert bursty.quality("mos_in") < scattered.quality("mos_in") - 0.3


def test_a_packet_that_only_came_late_in_order_is_no_loss() -> None:
    call = RtcpRig()
    call.wait(100)
    for _ in range(100):
        call.rig.now_ns += 40 * MS
        early, late = call.rig.packet(), call.rig.packet()
        call.rig.deliver(late, early)
        call.rig.send()
        call.rig.send()

    assert call.counter("rx_lost") == 0
    assert call.quality("loss_in") == 0


def test_what_the_peer_reports_is_how_it_hears_us() -> None:
    call = RtcpRig()
    call.wait(2000)

    told_by_the_peer(call, fraction=26, jitter=80, trip_ms=200)
    call.wait(1000)

    expected = mean_opinion(rating(100 + 20 + 20 + 3 * 10, 26 / 256, 1))
    assert call.quality("mos_out") == pytest.approx(float(expected), abs=0.01)
    assert call.quality("mos_out_lowest") == call.quality("mos_out")
    told_by_the_peer(call, fraction=0, jitter=8, trip_ms=20)
    call.wait(1000)
    assert call.quality("mos_out") > 4.3
    assert call.quality("mos_out_lowest") == pytest.approx(float(expected), abs=0.01)


def test_a_long_way_lowers_both_scores() -> None:
    call = RtcpRig()
    call.wait(2000)
    near = call.quality("mos_in")

    told_by_the_peer(call, fraction=0, jitter=0, trip_ms=700)
    call.wait(1000)

    assert call.quality("mos_in") < near - 0.7
    assert call.quality("mos_out") < 3.9


def test_a_leg_that_takes_a_row_over_begins_with_a_clean_record() -> None:
    call = RtcpRig()
    for at in range(300):
        call.tick(lose=at % 3 == 1)
    told_by_the_peer(call, fraction=99, jitter=8, trip_ms=20)
    call.rig.plane.close(1)
    call.rig.plane.open(1, reporting_spec(generation=8), now_ns=call.rig.now_ns)
    call.wait(4000)

    assert call.quality("loss_in") == call.quality("loss_out") == call.quality("mos_out") == 0
    assert call.quality("mos_in_lowest") > 4.3
    assert np.isfinite(burst_ratio(0, 0, 0))
