"""Whatever arrives at a call's ports, counters move and calls do not: real sockets, a real media process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import ParamSpec

import pytest
import pytest_asyncio

from bridge.clock import SystemClock
from bridge.engine.supervisor import MediaEngine, MediaSettings
from bridge.plane.g711 import encode_ulaw
from bridge.plane.spec import PlaneSettings
from tests.e2e.rtp_lines import Flood, Line, StarvedError, converse, fitted, resident_kib, vector
from tests.fakes import SeededIds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLANE = PlaneSettings(depth_start_ms=300, depth_min_ms=300, depth_max_ms=500)
"""Wide enough that a busy machine takes no packet for late."""
SETTINGS = MediaSettings(
    ports=(40_400, 40_999), bind_ip="127.0.0.1", capacity=160, plane=PLANE, realtime=True
)
TIMES = 10
WARM_UP, FRAMES, REST = 10, 75, 35
FLOOD_KIB = 4096
"""Memory that a flood may cost; what it costs is nothing, but pages are first touched at some time."""


ATTEMPTS = 6
P = ParamSpec("P")
_open: list[Line] = []


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[MediaEngine]:
    made = await MediaEngine.start(SETTINGS, clock=SystemClock(), dice=SeededIds())
    yield made
    close()
    await made.close()


def undisturbed(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """Repeat a test whose phones were late themselves: a busy machine is no bad input."""

    @wraps(test)
    async def repeated(*args: P.args, **kwargs: P.kwargs) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await test(*args, **kwargs)
                break
            except StarvedError:
                close()
                if attempt == ATTEMPTS:
                    raise

    return repeated


async def connected(engine: MediaEngine, count: int) -> list[Line]:
    lines = [Line(engine, number) for number in range(1, count + 1)]
    _open.extend(lines)
    for line in lines:
        await line.leg.opened()
    await converse(lines, WARM_UP)
    lines[0].check_machine()
    for line in lines:
        assert line.counters()["latched"] == 1
        line.talk()
    return lines


def moved(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Counters of what may go wrong, as far as they moved."""
    return {
        name: after[name] - before[name]
        for name in after
        if name.startswith(("rx_", "rtcp_mal", "rtcp_str", "rtcp_ex"))
        and after[name] != before[name]
        and name != "rx_packets"
    }


async def settled(lines: list[Line], before: list[dict[str, int]]) -> dict[str, int]:
    """All calls go on to their end: complete, bit for bit, and none of the bystanders noticed anything.

    Returns what moved on the first line while all were still speaking.
    """
    await converse(lines, REST)
    after = [line.counters() for line in lines]
    loop = asyncio.get_running_loop()
    until = loop.time() + 10
    while loop.time() < until and not (all(line.is_complete() for line in lines) and _all_read(lines[1:])):
        await asyncio.sleep(0.02)
        for line in lines:
            line.listen()
    lines[0].check_machine()
    for line, earlier, later in zip(lines, before, after, strict=True):
        assert line.heard_by_phone() == encode_ulaw(line.bot).tobytes()
        assert line.is_heard_whole()
        if line.number > 1:
            assert moved(earlier, later) == {}
            assert line.counters()["rx_packets"] == len(line.spoken)
    return moved(before[0], after[0])


def _all_read(lines: list[Line]) -> bool:
    """Whether the engine has fetched all that was said: with many calls it does so once a slot."""
    return all(line.counters()["rx_packets"] == len(line.spoken) for line in lines)


def close() -> None:
    """Hang up on everybody."""
    while _open:
        _open.pop().close()


MALFORMED = ("truncated", "empty", "version", "oversized", "extension", "sources", "padding")
STREAM = {
    **{name: {"rx_malformed": TIMES} for name in MALFORMED},
    "payload_type": {"rx_wrong_payload": TIMES},
    "no_payload": {"rx_wrong_payload": TIMES},
    "event_for_no_time": {"rx_keys_ignored": TIMES},
    "event_no_key": {"rx_keys_ignored": TIMES},
    "event_short": {"rx_malformed": TIMES},
}


@undisturbed
async def test_bad_packets_of_the_caller_are_counted_and_his_call_goes_on(engine: MediaEngine) -> None:
    lines = await connected(engine, 4)
    victim = lines[0]
    before = [line.counters() for line in lines]
    for name, counts in STREAM.items():
        earlier = victim.counters()
        for _ in range(TIMES):
            packet = vector(f"bad_{name}.rtp")
            # What is not believed to be RTP has no place in the stream.
            is_rtp = name not in MALFORMED
            if is_rtp:
                packet = victim.of_stream(packet)
            victim.rtp.sendto(packet, victim.port)
        await converse(lines, 4)
        assert moved(earlier, victim.counters()) == counts, name
    # Of packets that might begin another stream, the last one still waits for its proof.
    earlier = victim.counters()
    for _ in range(TIMES):
        victim.rtp.sendto(fitted(vector("bad_ssrc.rtp"), sequence=7, timestamp=7, ssrc=66), victim.port)
    await converse(lines, 4)
    assert moved(earlier, victim.counters()) == {"rx_stranger": TIMES - 1}
    await converse(lines, FRAMES - 4 * len(STREAM) - 4)

    await settled(lines, before)

    assert victim.keys() == ""
    assert victim.counters()["rx_lost"] == 0


@undisturbed
async def test_a_key_that_lasts_impossibly_long_is_one_key(engine: MediaEngine) -> None:
    lines = await connected(engine, 2)
    victim, before = lines[0], [line.counters() for line in lines]

    packet = victim.of_stream(vector("bad_event_for_too_long.rtp"))
    for _ in range(TIMES):
        victim.rtp.sendto(packet, victim.port)
        await converse(lines, 1)
    await converse(lines, FRAMES - TIMES)
    change = await settled(lines, before)

    assert victim.keys() == "5"
    assert change == {"rx_duplicate": TIMES - 1}


@undisturbed
async def test_garbage_on_the_rtcp_port_is_counted_and_nothing_else(engine: MediaEngine) -> None:
    lines = await connected(engine, 3)
    victim, before = lines[0], [line.counters() for line in lines]
    report = vector("bad_report.rtcp")
    believed = report[:4] + victim.ssrc.to_bytes(4) + report[8:]

    for packet in (b"", vector("bad_report_short.rtcp"), believed, believed + bytes(2000)):
        for _ in range(4):
            victim.rtcp.sendto(packet, victim.rtcp_port)
    for _ in range(TIMES):
        victim.rtcp.sendto(report, victim.rtcp_port)
        # Sound is no report, from whomever.
        victim.rtcp.sendto(fitted(vector("bad_ssrc.rtp"), sequence=1, timestamp=1, ssrc=1), victim.rtcp_port)
        victim.rtp.sendto(b"", victim.rtcp_port)
    await converse(lines, FRAMES)
    change = await settled(lines, before)

    # No more than 16 of a second are read; a test that lasts longer may see another second begin.
    assert change.pop("rtcp_malformed", 0) + change.pop("rtcp_excess", 0) == 16 + TIMES
    assert change == {"rtcp_stranger": 2 * TIMES}


def other_streams() -> list[bytes]:
    """A stream that could be a call."""
    payload = vector("bad_ssrc.rtp")
    return [
        fitted(payload, sequence=at, timestamp=at * 160, ssrc=0xA001 if at % 2 else 9) for at in range(1000)
    ]


def garbage() -> list[bytes]:
    return [vector(f"bad_{name}.rtp") for name in MALFORMED]


STRANGERS = {
    "a stream from elsewhere": (other_streams, "127.0.0.9", "rx_stranger"),
    "a stream from next door": (other_streams, "127.0.0.1", "rx_stranger"),
    "garbage from elsewhere": (garbage, "127.0.0.9", "rx_malformed"),
    "garbage from next door": (garbage, "127.0.0.1", "rx_malformed"),
}


@pytest.mark.parametrize("count", [4, 20], ids=["few", "many"])
@pytest.mark.parametrize("stranger", STRANGERS)
@undisturbed
async def test_a_flood_from_a_stranger_costs_nobody_a_packet(
    engine: MediaEngine,
    stranger: str,
    count: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    packets, ip, counter = STRANGERS[stranger]
    lines = await connected(engine, count)
    before, cpu_ns = [line.counters() for line in lines], engine.gauges.cpu_ns
    with Flood(packets(), ip=ip, target=lines[0].port) as first:
        await converse(lines, FRAMES)
    # The first flood has touched the buffers, as deep as its packets lay in them.
    kib = resident_kib(engine.pid)

    with Flood(packets(), ip=ip, target=lines[0].port) as flood:
        await converse(lines, FRAMES)
    change = await settled(lines, before)

    cpu_ms, late_ms = (engine.gauges.cpu_ns - cpu_ns) / 1e6, engine.gauges.lateness_max_ns / 1e6
    assert flood.sent > 0.6 * Flood.RATE * FRAMES * 0.02
    assert change == {counter: first.sent + flood.sent}
    assert lines[0].counters()["rx_packets"] == len(lines[0].spoken)
    assert resident_kib(engine.pid) - kib < FLOOD_KIB
    assert len(capfd.readouterr().err.splitlines()) < 5
    # Told, not judged: the machine is not ours alone.
    print(f"{first.sent + flood.sent} of {stranger}: {cpu_ms:.0f} ms of CPU, at most {late_ms:.1f} ms late")


@pytest.mark.parametrize("count", [4, 20], ids=["few", "many"])
@undisturbed
async def test_a_flood_from_a_caller_is_his_own_affair(engine: MediaEngine, count: int) -> None:
    lines = await connected(engine, count)
    before = [line.counters() for line in lines]

    await converse(lines, FRAMES, victim_times=50)
    victim = lines[0].counters()
    await settled(lines[1:], before[1:])

    change = moved(before[0], victim)
    assert change["rx_duplicate"] > 0
    assert victim["rx_packets"] > before[0]["rx_packets"]
    assert victim["latched"] == 1
