"""Several calls on one port of a real media process."""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from bridge.clock import SystemClock
from bridge.engine.commands import EngineReplaced
from bridge.engine.supervisor import MediaEngine, MediaSettings
from bridge.plane.g711 import encode_ulaw
from tests.engine.phone import Call, Phone, play, until
from tests.fakes import SeededIds

pytestmark = pytest.mark.e2e

SETTINGS = MediaSettings(
    ports=(40_400, 40_440), bind_ip="127.0.0.1", capacity=16, realtime=False, ports_shared=True
)


@pytest.fixture(params=[False, True], ids=["batched", "plain"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[MediaEngine]:
    settings = replace(SETTINGS, plain_sockets=request.param)
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())
    yield engine
    await engine.close()


@pytest.fixture
async def phones() -> AsyncIterator[list[Phone]]:
    made = [Phone() for _ in range(3)]
    yield made
    for phone in made:
        phone.sock.close()


def pattern(number: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Speech of which no frame is any other call's."""
    return (np.arange(1600) * (31 + 2 * number) % 20_000 + 4_000).astype(np.int16)


async def test_calls_that_share_a_port_hear_their_own_speech_and_are_heard_apart(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    calls = [Call(engine, phone, is_known=True) for phone in phones]
    assert len({call.leg.local_port for call in calls}) == 1
    for call in calls:
        await call.leg.opened()

    for number, call in enumerate(calls):
        heard = await play(call, pattern(number))
        assert b"".join(packet[12:] for packet in heard) == encode_ulaw(pattern(number)).tobytes()
    for call in calls[:2]:
        for _ in range(4):
            call.phone.speak(b"\x55" * 160, call.leg.local_port)

    await until(lambda: all(call.leg.status.snapshot()["rx_packets"] == 4 for call in calls[:2]))
    assert calls[2].leg.status.snapshot()["rx_packets"] == 0


async def test_a_call_whose_peer_is_not_known_yet_has_a_port_of_its_own(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    known, unknown = Call(engine, phones[0], is_known=True), Call(engine, phones[1])
    await unknown.leg.opened()

    assert known.leg.local_port != unknown.leg.local_port
    assert len(await phones[1].hear(2)) == 2
    assert len(await phones[0].hear(2)) == 2


async def test_a_stranger_on_a_shared_port_is_counted_and_reaches_nobody(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    calls = [Call(engine, phone, is_known=True) for phone in phones[:2]]
    for call in calls:
        await call.leg.opened()

    for _ in range(5):
        phones[2].speak(b"\x55" * 160, calls[0].leg.local_port)

    await until(lambda: engine.gauges.strangers == 5)
    assert [call.leg.status.snapshot()["rx_stranger"] for call in calls] == [0, 0]


async def test_calls_on_a_shared_port_survive_the_death_of_the_media_process(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    calls = [Call(engine, phone, is_known=True) for phone in phones[:2]]
    for call in calls:
        await call.leg.opened()
        for _ in range(3):
            call.phone.speak(b"\x55" * 160, call.leg.local_port)
    await until(lambda: all(call.leg.status.snapshot()["rx_packets"] == 3 for call in calls))
    await until(lambda: engine.has_standby)

    os.kill(engine.pid, signal.SIGKILL)
    for call in calls:
        await call.event(EngineReplaced)

    for number, call in enumerate(calls):
        heard = await play(call, pattern(number))
        assert b"".join(packet[12:] for packet in heard) == encode_ulaw(pattern(number)).tobytes()
        for _ in range(3):
            call.phone.speak(b"\x55" * 160, call.leg.local_port)
    await until(lambda: all(call.leg.status.snapshot()["rx_packets"] == 6 for call in calls))
    newcomer = Call(engine, phones[2], is_known=True)
    await newcomer.leg.opened()
    assert newcomer.leg.local_port == calls[0].leg.local_port
    assert len(await phones[2].hear(3)) == 3
