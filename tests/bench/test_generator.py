import numpy as np

from bridge.rtp.rtcp import ReportBlock, SenderReport, parse
from tests.bench.crowd import Received
from tests.bench.generator import compound, misdelivered, noise


def test_a_packet_that_reaches_another_phone_is_found() -> None:
    kept = Received(6)
    kept.count = 6
    kept.ssrc[:] = [5, 7, 5, 7, 5, 7]
    kept.phone[:] = [0, 1, 0, 1, 1, 1]

    assert misdelivered(kept.until_now()) == 1
    assert misdelivered(Received(0)) == 0


def test_a_phone_reports_what_it_sent_and_what_it_hears() -> None:
    told = parse(compound(5, 9, 50))

    report = told[0]
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packets, report.octets) == (5, 50, 8000)
    assert report.blocks == (ReportBlock(9, 0, 0, 50, 0, 0, 0),)


def test_the_line_is_quiet_and_never_the_same_twice_in_a_second() -> None:
    assert noise().shape == (50, 160)
    assert len(np.unique(noise(), axis=0)) == 50
