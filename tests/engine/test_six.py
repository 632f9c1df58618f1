"""Media on IPv6 through real media processes, with calls on IPv4 beside it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from bridge.clock import SystemClock
from bridge.engine.commands import EngineReplaced
from bridge.engine.supervisor import MediaEngine, MediaSettings
from bridge.errors import EngineError
from bridge.plane.events import Latched
from bridge.plane.g711 import encode_ulaw
from bridge.rtp.stun import is_stun
from tests.engine.phone import Call, Phone, play, until
from tests.fakes import SeededIds

pytestmark = pytest.mark.e2e

HOSTS = ("::1", "127.0.0.1", "::1")
VOICE = b"\x55" * 160


@pytest.fixture(params=["batched", "plain"])
def plain_sockets(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "plain"


@pytest.fixture(params=["own-ports", "shared-ports"])
async def engine(request: pytest.FixtureRequest, plain_sockets: bool) -> AsyncIterator[MediaEngine]:
    settings = MediaSettings(
        ports=(40_460, 40_499),
        bind_ip="127.0.0.1",
        bind_ip6="::1",
        capacity=16,
        realtime=False,
        processes=1,
        plain_sockets=plain_sockets,
        ports_shared=str(request.param) == "shared-ports",
    )
    made = await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())
    yield made
    await made.close()


@pytest.fixture
def phones() -> Iterator[list[Phone]]:
    made = [Phone(host) for host in HOSTS]
    yield made
    for phone in made:
        phone.sock.close()


def pattern(number: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Speech of which no frame is any other call's."""
    return (np.arange(1600) * (31 + 2 * number) % 20_000 + 4_000).astype(np.int16)


async def heard_apart(calls: list[Call], phones: list[Phone]) -> None:
    """Each hears its own speech, bit for bit, and is heard."""
    before = [int(call.leg.status.snapshot()["rx_packets"]) for call in calls]
    for number, call in enumerate(calls):
        packets = await play(call, pattern(number))
        assert b"".join(packet[12:] for packet in packets) == encode_ulaw(pattern(number)).tobytes()
    for phone, call in zip(phones, calls, strict=True):
        for _ in range(4):
            phone.speak(VOICE, call.leg.local_port)
    await until(
        lambda: all(
            call.leg.status.snapshot()["rx_packets"] == count + 4
            for call, count in zip(calls, before, strict=True)
        )
    )
    assert all(call.leg.status.snapshot()["rx_stranger"] == 0 for call in calls)
    assert [call.leg.status.remote for call in calls] == [phone.address for phone in phones]


async def test_calls_of_both_families_are_carried_side_by_side_and_survive_a_death(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    calls = [Call(engine, phone, is_known=True) for phone in phones]
    for call in calls:
        await call.leg.opened()
    assert [call.leg.is_ipv6 for call in calls] == [True, False, True]

    await heard_apart(calls, phones)
    await until(lambda: engine.has_standby)
    os.kill(engine.pid, signal.SIGKILL)
    for call in calls:
        await call.event(EngineReplaced)

    await heard_apart(calls, phones)
    assert engine.takeovers == 1


async def test_only_behind_a_nat_may_the_packets_come_from_another_port_of_the_host(
    engine: MediaEngine,
) -> None:
    homes, others = [Phone("::1"), Phone("::1")], [Phone("::1"), Phone("::1")]
    fixed, hidden = Call(engine, homes[0]), Call(engine, homes[1], latch_ip="::1")
    for call, other in zip((fixed, hidden), others, strict=True):
        await call.leg.opened()
        for _ in range(4):
            other.speak(VOICE, call.leg.local_port)

    latched = await hidden.event(Latched)

    await until(lambda: fixed.leg.status.snapshot()["rx_stranger"] == 4)
    assert latched.remote_key & 0xFFFF == others[1].address[1]
    assert [call.leg.status.remote for call in (fixed, hidden)] == [homes[0].address, others[1].address]
    assert len(await others[1].hear(3)) == 3
    for phone in (*homes, *others):
        phone.sock.close()


async def test_reports_go_to_the_odd_port_of_the_same_host(engine: MediaEngine, phones: list[Phone]) -> None:
    reports = Phone("::1")
    call = Call(engine, phones[0], is_known=True, rtcp=reports.address)
    await call.leg.opened()
    await phones[0].hear(3)
    for _ in range(3):
        phones[0].speak(VOICE, call.leg.local_port)
    await until(lambda: call.leg.status.snapshot()["rx_packets"] == 3)

    call.leg.close()

    (goodbye, *_) = await reports.hear(1)
    assert goodbye[1] in (200, 201)
    reports.sock.close()


async def test_a_check_of_ice_is_handed_on_with_the_address_that_it_came_from(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    call = Call(engine, phones[0], in_band=True)
    seen: list[tuple[bytes, tuple[str, int]]] = []
    call.leg.on_datagram = lambda data, source: seen.append((data, source))
    await call.leg.opened()
    check = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
    assert is_stun(check)

    for phone in (phones[0], phones[2]):
        phone.sock.sendto(check, ("::1", call.leg.local_port))

    await until(lambda: len(seen) == 2)
    assert seen == [(check, phones[0].address), (check, phones[2].address)]


async def test_a_machine_that_has_not_the_address_says_so() -> None:
    settings = MediaSettings(
        ports=(40_460, 40_499), bind_ip="127.0.0.1", bind_ip6="2001:db8::1", realtime=False, standby=False
    )
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())
    try:
        with pytest.raises(EngineError, match="cannot bind a media port on 2001:db8::1"):
            engine.reserve(in_ipv6=True)
        engine.reserve().close()
    finally:
        await engine.close()
        await asyncio.sleep(0)
