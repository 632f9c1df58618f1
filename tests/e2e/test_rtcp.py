"""Reports both ways on a whole bridge: with a phone that loses packets, and under a flood of nonsense."""

import asyncio
import os
import re
import socket
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.lab import account, ended, eventually, good_call, nothing_left
from tests.e2e.reporting_phone import SSRC, ReportingPhone
from tests.e2e.running import RunningBridge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(agents.routes(ticker="tone", holding="tone")) as running:
        yield running


def neighbours() -> tuple[socket.socket, socket.socket]:
    """An even port and the odd one above it."""
    for _ in range(200):
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        try:
            rtp.bind(("127.0.0.1", 0))
            if rtp.getsockname()[1] % 2 == 0:
                rtcp.bind(("127.0.0.1", rtp.getsockname()[1] + 1))
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
    raise OSError("no free pair of ports")


async def test_both_sides_agree_on_what_was_lost_wherever_reports_go(bridge: RunningBridge) -> None:
    await asyncio.gather(*(exchange_reports(bridge, manner) for manner in ("shared", "named", "above")))


async def exchange_reports(bridge: RunningBridge, manner: str) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as phone:
        phone.rtp.close()
        phone.rtp, rtcp = neighbours()
        if manner == "named":
            rtcp.close()
            rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            rtcp.bind(("127.0.0.1", 0))
        attributes = {"shared": ["a=rtcp-mux"], "named": [f"a=rtcp:{rtcp.getsockname()[1]}"], "above": []}
        await asyncio.to_thread(phone.invite, "holding", *attributes[manner])
        phone.ack()
        is_shared = "a=rtcp-mux" in phone.answer
        assert is_shared is (manner == "shared")
        host, port = phone.media
        lossy = ReportingPhone(
            phone,
            rtcp=phone.rtp if is_shared else rtcp,
            to=(host, port if is_shared else port + 1),
            drops_sent=10,
            drops_heard=8,
            trip_s=0.06,
        )
        lossy.start()
        await eventually(lambda: len(lossy.reports) >= 3, timeout_s=25, what=lambda: f"{lossy.reports}")
        await eventually(lambda: len(lossy.told) >= 9, timeout_s=10)
        lossy.stop()
        told = await asyncio.to_thread(bridge.get, f"/api/calls/{phone.call_id}")
        phone.bye()
        await ended(bridge, phone.call_id)
        await asyncio.to_thread(lossy.listen, 0.3)
        kept = (await asyncio.to_thread(bridge.get, f"/api/calls/{phone.call_id}"))["media"]
        rtcp.close()

    sources = {(host, port if is_shared else port + 1)}
    assert {report.source for report in lossy.reports} == sources
    assert kept["mos_in_lowest"] > 0
    check_what_was_told(lossy, told["media"])


def check_what_was_told(lossy: ReportingPhone, media: dict[str, Any]) -> None:
    first, *_, last = lossy.reports
    print({name: media[name] for name in media if re.match("mos|loss|lost|round|jitter|rtcp|rx_lost", name)})
    # What the bridge says of our stream, against what we never sent. The goodbye may follow a report so
    # closely that there is nothing to say in between.
    for report in lossy.reports[:-1]:
        (block,) = report.blocks
        assert block.ssrc == SSRC
        assert block.lost == sum(number < block.highest for number in lossy.never_sent)
        assert block.fraction / 256 == pytest.approx(0.1, abs=0.03)
        # Ours was sent once a second.
        assert block.delay < 1.3 * 65536
    assert {report.cname for report in lossy.reports} == {first.cname}
    assert len(first.cname) == 24
    # What the bridge says of its own stream, and when.
    assert all(abs(report.late_s) < 1 for report in lossy.reports)
    assert all(report.octets == 160 * report.packets > 0 for report in lossy.reports)
    # What it believes of our view of it.
    fractions = [fraction for fraction, _ in lossy.told]
    assert (round(media["loss_out"] * 256), media["lost_out"]) == lossy.told[-1]
    assert media["loss_out"] == pytest.approx(1 / 8, abs=0.05)
    assert len(fractions) == media["rtcp_received"]
    assert media["jitter_out_ticks"] == 40
    assert 59 < media["round_trip_ms"] < 110
    assert media["loss_in"] == pytest.approx(0.1, abs=0.03)
    assert 2.5 < media["mos_in_lowest"] <= media["mos_in"] < 4.2
    assert 2.5 < media["mos_out_lowest"] <= media["mos_out"] < 4.2
    assert media["rtcp_malformed"] == media["rtcp_stranger"] == media["rtcp_excess"] == 0
    # One goodbye, at the end, in a compound of its own right.
    assert [203 in report.kinds for report in lossy.reports].count(True) == 1
    assert last.kinds in ([200, 202, 203], [201, 202, 203])


async def test_a_flood_of_rtcp_costs_counters_and_no_call(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    rng = np.random.default_rng(4)
    # The lab's caller does not speak RTCP; the strangers, one of them on its own machine, do so for it.
    async with nothing_left(bridge), good_call(bridge, tick) as caller:
        port = int(caller.call.remote_sdp.decode().partition("m=audio ")[2].split()[0])
        honest = struct.pack("!BBHI", 0x80, 201, 1, caller.phone.ssrc)
        lying = [
            honest,
            b"\x9f\xc8\xff\xff" + bytes(1400),
            b"\x9f\xc9\x01\x6d" + rng.bytes(1460),
            honest + b"\x81\xcb\x00\x01" + honest[4:8],
            b"\x00\xc8" + bytes(26),
            os.urandom(1400),
        ]
        with BarePhone(("127.0.0.1", 1), ip="127.0.0.3") as far, BarePhone(("127.0.0.1", 1)) as near:
            for _ in range(100):
                for phone in (far, near):
                    for data in lying:
                        phone.rtp.sendto(data, ("127.0.0.1", port + 1))
                        phone.rtp.sendto(data, ("127.0.0.1", port))
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        after = (await account(bridge, caller))["media"]
        print({name: after[name] for name in after if name.startswith("rtcp_")})
        counted = sum(after[f"rtcp_{kind}"] for kind in ("received", "malformed", "stranger", "excess"))
        # Of 1,200 on the port for RTCP and 800 on the other; queues that overflow lose some.
        assert counted > 800
        assert after["rtcp_received"] < 100
    assert not [text for text in bridge.output if "ERROR" in text or "Traceback" in text]
