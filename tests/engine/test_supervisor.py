"""The whole engine over loopback: a child process, real sockets, real time."""

import asyncio
import contextlib
import dataclasses
import gc
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from bridge.clock import SystemClock
from bridge.engine.budget import Costs
from bridge.engine.commands import EngineDied, LegEvent
from bridge.engine.supervisor import MediaEngine, MediaLeg, MediaSettings
from bridge.errors import EngineError, LocalProtocolError
from bridge.plane.events import Flushed, Latched, PlayoutIdle, RowFailed, SpeechStarted
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.spec import PlaneSettings
from tests.engine.phone import Call, Phone, memories, play, speech, until
from tests.fakes import SeededIds

pytestmark = pytest.mark.e2e

SETTINGS = MediaSettings(
    ports=(40_000, 40_199), bind_ip="127.0.0.1", capacity=8, realtime=False, standby=False
)


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[MediaEngine]:
    made = await MediaEngine.start(SETTINGS, clock=SystemClock(), dice=SeededIds())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[Phone]:
    made = Phone()
    yield made
    made.sock.close()


@pytest.mark.parametrize("plain", [False, True], ids=["batched", "plain"])
async def test_what_is_written_is_heard_bit_for_bit(plain: bool, phone: Phone) -> None:
    settings = MediaSettings(
        ports=(40_200, 40_299), bind_ip="127.0.0.1", capacity=2, plain_sockets=plain, realtime=not plain
    )
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())
    call = Call(engine, phone)
    await call.leg.opened()
    pcm = speech(160 * 25)

    packets = await play(call, pcm)

    assert b"".join(packet[12:] for packet in packets) == encode_ulaw(pcm).tobytes()
    headers = [struct.unpack(">BBHII", packet[:12]) for packet in packets]
    first = headers[0]
    for step, (version, _, sequence, timestamp, ssrc) in enumerate(headers):
        assert version == 0x80
        assert sequence == (first[2] + step) % 2**16
        assert timestamp == (first[3] + 160 * step) % 2**32
        assert ssrc == call.leg.ssrc
    assert engine.gauges.rows == 1
    assert engine.gauges.cpu_ns > 0
    await engine.close()


async def test_what_the_caller_says_reaches_the_capture_ring_bit_for_bit(
    engine: MediaEngine, phone: Phone
) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    capture = call.leg.capture()
    spoken = encode_ulaw(speech(160 * 20)).tobytes()

    loop = asyncio.get_running_loop()
    start = loop.time()
    heard = np.empty(0, np.int16)
    for frame in range(20):
        await asyncio.sleep(max(0.0, start + 0.02 * frame - loop.time()))
        phone.speak(spoken[frame * 160 : frame * 160 + 160], call.leg.local_port)
    latched = await call.event(Latched)
    async with asyncio.timeout(5):
        wanted = decode_ulaw(np.frombuffer(spoken[160 * 10 : 160 * 12], np.uint8)).tobytes()
        while wanted not in heard.tobytes():
            await asyncio.sleep(0.02)
            heard = np.concatenate((heard, capture.read(8000)[0]))

    assert latched.remote_key & 0xFFFF == phone.address[1]
    snapshot = call.leg.status.snapshot()
    assert snapshot["rx_packets"] >= 19  # Whether the one before the latch counts is the plane's to say.
    assert snapshot["latched"] == 1
    assert call.leg.status.remote == phone.address
    assert 0 < call.leg.status.last_rx_ns <= time.monotonic_ns()


async def test_events_name_what_was_played(engine: MediaEngine, phone: Phone) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    await call.phone.hear(2)

    call.leg.writer.write(speech(800), epoch=call.leg.writer.epoch)
    started = await call.event(SpeechStarted)
    idle = await call.event(PlayoutIdle)

    assert (started.position, idle.position) == (0, 800)
    assert started.generation == call.leg.generation
    assert call.leg.status.played == 800


async def test_a_flush_by_command_forgets_the_rest(engine: MediaEngine, phone: Phone) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    epoch = call.leg.writer.epoch
    call.leg.writer.write(speech(20_000), epoch=epoch)
    await call.event(SpeechStarted)

    call.leg.flush()
    flushed = await call.event(Flushed)

    assert flushed.cause == "command"
    assert flushed.epoch == epoch + 1 == call.leg.status.epoch
    assert flushed.position < 20_000
    assert call.leg.writer.write(speech(160), epoch=epoch) == 0
    packets = await play(call, speech(320))
    assert b"".join(packet[12:] for packet in packets).endswith(encode_ulaw(speech(320)).tobytes())


async def test_a_held_leg_falls_silent_and_comes_back(engine: MediaEngine, phone: Phone) -> None:
    call = Call(engine, phone)
    await phone.hear(2)

    call.update(sending=False)
    await asyncio.sleep(0.1)
    sent = call.leg.status.snapshot()["tx_packets"]
    await asyncio.sleep(0.1)
    assert call.leg.status.snapshot()["tx_packets"] == sent
    assert call.leg.status.snapshot()["silence_held"] > 0
    call.update(sending=True)

    assert len(await phone.hear(3)) == 3


async def test_the_death_of_the_process_is_told_to_every_leg_and_survived(phone: Phone) -> None:
    deaths: list[str] = []
    engine = await MediaEngine.start(
        SETTINGS, clock=SystemClock(), dice=SeededIds(), on_death=lambda: deaths.append("died")
    )
    calls = [Call(engine, phone) for _ in range(3)]
    await calls[-1].leg.opened()
    reserved = engine.reserve()
    first_pid = engine.pid

    os.kill(first_pid, signal.SIGKILL)
    told = [await call.event(EngineDied) for call in calls]

    assert [event.generation for event in told] == [call.leg.generation for call in calls]
    assert deaths == ["died"]
    assert calls[0].leg.writer.write(speech(160), epoch=calls[0].leg.writer.epoch) == 0
    with pytest.raises(EngineError, match="died after this leg was reserved"):
        reserved.open(
            codec=0,
            payload_type=0,
            dtmf_payload_type=-1,
            remote=None,
            latch_ip=None,
            sending=True,
            receiving=True,
            interruptible=0,
            deliver=print,
        )
    for leg in (reserved, *(call.leg for call in calls)):
        leg.flush() if leg is not reserved else None
        leg.close()
        leg.close()
    after = Call(engine, phone)
    await after.leg.opened()
    packets = await play(after, speech(1600))
    assert b"".join(packet[12:] for packet in packets) == encode_ulaw(speech(1600)).tobytes()
    assert after.leg.generation not in {call.leg.generation for call in calls}
    assert engine.pid not in (0, first_pid)
    assert engine.restarts == 1
    await engine.close()


async def test_no_descriptor_is_left_behind_by_calls_or_deaths(phone: Phone) -> None:
    before = len(os.listdir("/proc/self/fd"))
    engine = await MediaEngine.start(SETTINGS, clock=SystemClock(), dice=SeededIds())
    running = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        call = Call(engine, phone)
        await call.leg.opened()
        os.kill(engine.pid, signal.SIGTERM)
        await call.event(EngineDied)
        call.leg.close()
        del call
    after = Call(engine, phone)
    await after.leg.opened()
    after.leg.close()
    del after

    assert len(os.listdir("/proc/self/fd")) <= running + 1
    await engine.close()
    await engine.close()
    del engine
    assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_the_memory_of_a_dead_process_is_unmapped_when_its_legs_are_closed(
    engine: MediaEngine, phone: Phone
) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    capture = call.leg.capture()
    mapped = memories()
    gc.disable()  # A call is a cycle of objects: it may stay for long.
    try:
        os.kill(engine.pid, signal.SIGKILL)
        await call.event(EngineDied)
        call.leg.close()
        del capture
        async with asyncio.timeout(5):
            await until(lambda: memories() <= mapped)
    finally:
        gc.enable()

    assert call.leg.status.snapshot()["tx_packets"] >= 0


async def test_a_leg_that_is_over_gives_back_row_and_port(engine: MediaEngine, phone: Phone) -> None:
    for _ in range(3):
        call = Call(engine, phone)
        await call.leg.opened()
        call.leg.close()
        assert call.leg.status.snapshot()["tx_packets"] >= 0

    taken: list[MediaLeg] = []
    async with asyncio.timeout(5):
        while len(taken) < SETTINGS.capacity:
            with contextlib.suppress(EngineError):  # The last rows are still on their way back.
                taken.append(engine.reserve())
            await asyncio.sleep(0)
    with pytest.raises(EngineError, match="all 8 rows of the media engine carry calls"):
        engine.reserve()


async def test_a_reservation_without_a_call_costs_nothing(engine: MediaEngine) -> None:
    for _ in range(3 * SETTINGS.capacity):
        leg = engine.reserve()
        assert leg.status.snapshot() == {}
        with pytest.raises(LocalProtocolError, match="not opened"):
            leg.flush()
        leg.close()


async def test_a_leg_opens_once(engine: MediaEngine, phone: Phone) -> None:
    call = Call(engine, phone)

    with pytest.raises(LocalProtocolError, match="opens once"):
        call.leg.open(
            codec=0,
            payload_type=0,
            dtmf_payload_type=-1,
            remote=None,
            latch_ip="127.0.0.1",
            sending=True,
            receiving=True,
            interruptible=0,
            deliver=print,
        )


async def test_an_exhausted_port_range_is_refused_in_a_sentence() -> None:
    settings = MediaSettings(
        ports=(40_300, 40_303), bind_ip="127.0.0.1", capacity=8, realtime=False, standby=False
    )
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())
    legs = [engine.reserve(), engine.reserve()]

    with pytest.raises(EngineError, match="no media port is left in 40300-40303: 2 in calls"):
        engine.reserve()

    legs[0].close()
    assert engine.reserve().local_port == legs[0].local_port
    await engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.reserve()


async def test_a_failing_call_ends_and_does_not_cost_the_others_their_events(
    engine: MediaEngine, phone: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    sound = Call(engine, phone)
    told: asyncio.Queue[LegEvent] = asyncio.Queue()

    def fail(event: LegEvent) -> None:
        told.put_nowait(event)
        raise RuntimeError("an agent's bug")

    third = engine.reserve()
    third.open(
        codec=0,
        payload_type=0,
        dtmf_payload_type=-1,
        remote=phone.address,
        latch_ip=None,
        sending=True,
        receiving=True,
        interruptible=0,
        deliver=fail,
    )
    await sound.leg.opened()
    third.flush()
    sound.leg.flush()

    assert (await sound.event(Flushed)).cause == "command"
    assert "an agent's bug" in caplog.text
    # It has missed what it was told, so its call is over; nothing comes after that.
    assert [type(told.get_nowait()) for _ in range(2)] == [Flushed, RowFailed]
    third.flush()
    sound.leg.flush()
    await sound.event(Flushed)
    assert told.empty()


async def test_a_process_that_hangs_is_replaced(phone: Phone) -> None:
    engine = await MediaEngine.start(SETTINGS, clock=SystemClock(), dice=SeededIds())
    call = Call(engine, phone)
    await call.leg.opened()
    pid = engine.pid
    os.kill(pid, signal.SIGSTOP)

    for bits in range(6000):
        call.leg.set_interruptible(bits % 4)
    await call.event(EngineDied)

    assert engine.pid != pid
    call.leg.close()
    await Call(engine, phone).leg.opened()
    await engine.close()


async def test_a_process_that_dies_again_and_again_is_given_time(phone: Phone) -> None:
    engine = await MediaEngine.start(SETTINGS, clock=SystemClock(), dice=SeededIds())
    async with asyncio.timeout(15):
        while (pid := engine.pid) != 0:
            os.kill(pid, signal.SIGKILL)
            await until(lambda dead=pid: engine.pid != dead)  # type: ignore[misc]

        with pytest.raises(EngineError, match="down and will be restarted"):
            engine.reserve()
        assert engine.gauges.rows == 0
        await until(lambda: engine.pid != 0)

    assert engine.restarts == 4
    await Call(engine, phone).leg.opened()
    await engine.close()


async def test_a_machine_out_of_descriptors_is_asked_again_later(caplog: pytest.LogCaptureFixture) -> None:
    engine = await MediaEngine.start(SETTINGS, clock=SystemClock(), dice=SeededIds())
    await asyncio.to_thread(int)  # The thread that buries the dead is there already.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.kill(engine.pid, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        async with asyncio.timeout(5):
            await until(lambda: engine.pid == 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert "trying again in 5 s" in caplog.text
    await engine.close()


async def test_a_process_that_dies_while_it_starts_is_not_tried_for_ever() -> None:
    broken = PlaneSettings(depth_start_ms="forty")  # type: ignore[arg-type]
    settings = MediaSettings(ports=(40_300, 40_303), bind_ip="127.0.0.1", plane=broken, realtime=False)

    with pytest.raises(EngineError, match="ended while it started"):
        await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())


async def test_memory_that_the_system_refuses_is_reported_once() -> None:
    settings = MediaSettings(
        ports=(40_300, 40_303), bind_ip="127.0.0.1", capacity=-1, wide_capacity=-1, realtime=False
    )

    with pytest.raises(EngineError):
        await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())


ORPHANER = """
import asyncio
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.engine.supervisor import MediaEngine, MediaSettings

async def main():
    settings = MediaSettings(ports=(40310, 40319), bind_ip="127.0.0.1", capacity=2, realtime=False)
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SystemDice())
    print(engine.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_media_process_ends_with_the_control_plane() -> None:
    control = subprocess.Popen([sys.executable, "-c", ORPHANER], stdout=subprocess.PIPE)
    assert control.stdout is not None
    pid = int(control.stdout.readline())

    control.kill()
    control.wait()
    control.stdout.close()

    until_ns = time.monotonic_ns() + 5_000_000_000
    while _is_running(pid) and time.monotonic_ns() < until_ns:
        time.sleep(0.01)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_calls_that_do_not_fit_are_refused_until_others_have_ended(engine: MediaEngine) -> None:
    assert 0 < engine.calls <= SETTINGS.capacity  # This machine was measured.
    slow = dataclasses.replace(SETTINGS, costs=Costs(tick_ns=3_000_000, pair_ns=1_000_000))
    limited = await MediaEngine.start(slow, clock=SystemClock(), dice=SeededIds())
    try:
        legs = [limited.reserve(24_000) for _ in range(2)]

        with pytest.raises(EngineError, match="as busy as they may be"):
            limited.reserve(24_000)
        narrow = limited.reserve()
        with pytest.raises(EngineError, match="as busy as they may be"):
            limited.refit(narrow, 24_000)
        legs[0].close()
        limited.refit(narrow, 24_000)
    finally:
        await limited.close()
