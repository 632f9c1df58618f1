"""The whole engine while its processes die: real ones, real sockets, real time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.clock import SystemClock
from bridge.engine.commands import EngineDied, EngineReplaced
from bridge.engine.supervisor import MediaEngine, MediaSettings
from bridge.plane.bed import loop_of
from bridge.plane.events import Flushed, KeysSent, PlayoutIdle, SpeechStarted
from bridge.plane.g711 import encode_ulaw
from tests.engine.phone import Call, Phone, is_silent, memories, play, speech, until
from tests.fakes import SeededIds

pytestmark = pytest.mark.e2e

_FADE = 40


async def started(**settings: object) -> MediaEngine:
    values = {"ports": (41_000, 41_199), "bind_ip": "127.0.0.1", "capacity": 8, "realtime": False}
    made = await MediaEngine.start(
        MediaSettings(**(values | settings)),  # type: ignore[arg-type]
        clock=SystemClock(),
        dice=SeededIds(),
    )
    await spared(made)
    return made


async def spared(engine: MediaEngine) -> None:
    async with asyncio.timeout(10):
        await until(lambda: engine.has_standby)


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[MediaEngine]:
    made = await started(processes=1)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[Phone]:
    made = Phone()
    yield made
    made.sock.close()


def sequences(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(packet[2:4], "big") for packet in packets]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_what_was_being_said_is_said_to_its_end(
    engine: MediaEngine, phone: Phone, number: signal.Signals
) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    writer, epoch = call.leg.writer, call.leg.writer.epoch
    pcm = speech(160 * 60)
    writer.write(pcm, epoch=epoch)
    writer.close_utterance(epoch)
    await call.event(SpeechStarted)
    heard = await phone.hear(20)
    first, heir = engine.pid, engine.standby_pid

    os.kill(first, number)
    await call.event(EngineReplaced)
    await call.event(PlayoutIdle)

    heard += await phone.hear(call.leg.status.snapshot()["tx_packets"] - 22)  # type: ignore[arg-type]
    numbers = sequences(heard)
    assert len(set(numbers)) == len(numbers)
    codes = encode_ulaw(pcm).reshape(-1, 160)
    said = [packet[12:] for packet in heard if packet[12:] != b"\xff" * 160]
    # A frame that was built may never have left; none is said twice, and only one begins softly.
    rest = [codes[at].tobytes()[_FADE:] for at in range(60)]
    places = [rest.index(payload[_FADE:]) for payload in said]
    assert places == sorted(set(places))
    assert len(places) >= 58
    assert (engine.pid, engine.takeovers, call.leg.status.played) == (heir, 1, len(pcm))
    assert call.leg.writer is writer


async def test_who_waits_for_an_answer_gets_it(engine: MediaEngine, phone: Phone) -> None:
    call, silent = Call(engine, phone), Call(engine, phone)
    await call.leg.opened()
    await silent.leg.opened()
    epoch = call.leg.writer.epoch
    call.leg.writer.write(speech(160 * 100), epoch=epoch)
    await call.event(SpeechStarted)

    # It hears of none of this any more.
    os.kill(engine.pid, signal.SIGSTOP)
    late = Call(engine, phone)
    reserved = engine.reserve()
    call.leg.flush()
    ticket = silent.leg.press("12", duration_ms=60, pause_ms=60)
    silent.leg.set_interruptible(1)
    row = reserved.row
    reserved.close()
    os.kill(engine.pid, signal.SIGKILL)

    async with asyncio.timeout(5):
        await late.leg.opened()
    flushed = await call.event(Flushed)
    assert (flushed.epoch, flushed.position) == (epoch + 1, call.leg.status.played)
    pressed = await silent.event(KeysSent)
    assert (pressed.ticket, pressed.count) == (ticket, 2)
    assert row not in {call.leg.row, silent.leg.row, late.leg.row}


async def test_a_leg_that_ends_as_its_process_dies_gives_back_its_row(
    engine: MediaEngine, phone: Phone
) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    os.kill(engine.pid, signal.SIGSTOP)

    call.leg.close()
    os.kill(engine.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        await until(lambda: engine.takeovers == 1)
    others = [Call(engine, phone) for _ in range(7)]

    await asyncio.gather(*(other.leg.opened() for other in others))
    async with asyncio.timeout(5):
        await until(lambda: engine.gauges.rows == 7)
        await Call(engine, phone).leg.opened()


async def test_two_deaths_within_a_second_cost_a_gap_and_a_third_the_calls(
    engine: MediaEngine, phone: Phone
) -> None:
    call = Call(engine, phone)
    await call.leg.opened()

    for deaths in (1, 2):
        os.kill(engine.pid, signal.SIGKILL)
        await call.event(EngineReplaced)
        assert engine.takeovers == deaths
    os.kill(engine.pid, signal.SIGKILL)
    await call.event(EngineDied)

    call.leg.close()
    after = Call(engine, phone)
    await after.leg.opened()
    packets = await play(after, speech(1600))
    assert b"".join(packet[12:] for packet in packets) == encode_ulaw(speech(1600)).tobytes()


async def test_a_standby_that_dies_is_replaced_and_costs_nobody_anything(
    engine: MediaEngine, phone: Phone
) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    spare = engine.standby_pid

    os.kill(spare, signal.SIGKILL)
    async with asyncio.timeout(5):
        await until(lambda: not engine.has_standby)
    await spared(engine)

    assert engine.standby_pid != spare
    assert engine.restarts == 0
    assert len(await phone.hear(5)) == 5


async def test_nothing_is_left_behind_by_deaths_and_takeovers(phone: Phone) -> None:
    before, mapped = len(os.listdir("/proc/self/fd")), memories()
    engine = await started(processes=1)
    running = len(os.listdir("/proc/self/fd"))
    call = Call(engine, phone)
    await call.leg.opened()
    os.kill(engine.pid, signal.SIGKILL)
    await call.event(EngineReplaced)
    await spared(engine)

    call.leg.close()
    assert len(os.listdir("/proc/self/fd")) == running
    assert memories() == mapped + 1
    await engine.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_an_engine_that_closes_while_a_process_dies_leaves_none(phone: Phone) -> None:
    engine = await started(processes=1)
    call = Call(engine, phone)
    await call.leg.opened()
    pids = [engine.pid, engine.standby_pid]

    os.kill(engine.pid, signal.SIGKILL)
    await asyncio.sleep(0)
    await engine.close()

    assert not set(map(str, pids)) & set(os.listdir("/proc"))


async def test_an_engine_whose_close_is_cancelled_leaves_no_process_either() -> None:
    engine = await started(processes=1)
    pids = [engine.pid, engine.standby_pid]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # It would be waited for.

    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})

    assert closing.cancelled()
    assert not set(map(str, pids)) & set(os.listdir("/proc"))


async def test_several_processes_share_the_calls_and_one_standby(phone: Phone) -> None:
    engine = await started(processes=2)
    assert len(engine.pids) == 2
    calls = [Call(engine, phone) for _ in range(6)]
    await asyncio.gather(*(call.leg.opened() for call in calls))
    async with asyncio.timeout(5):
        await until(lambda: engine.gauges.rows == 6)
    first, second = engine.pids

    os.kill(second, signal.SIGKILL)
    # Half of the calls were on it.
    for call in calls[1::2]:
        await call.event(EngineReplaced)

    assert engine.pids[0] == first
    assert engine.pids[1] not in (0, second)
    assert all(not isinstance(event, EngineReplaced) for call in calls[::2] for event in drained(call))
    for call in calls:
        assert call.leg.is_open
        before = call.leg.status.snapshot()["tx_packets"]
        async with asyncio.timeout(5):
            await until(
                lambda call=call, before=before: call.leg.status.snapshot()["tx_packets"] > before + 2  # type: ignore[misc]
            )
    await engine.close()


def drained(call: Call) -> list[object]:
    return [call.events.get_nowait() for _ in range(call.events.qsize())]


async def test_a_bed_is_heard_from_the_next_process_too(engine: MediaEngine, phone: Phone) -> None:
    call = Call(engine, phone)
    await call.leg.opened()
    call.leg.set_bed("hum", loop_of(speech(8000), 8000), gain_db=0, under_speech_db=-20)
    await phone.hear_until(lambda packet: not is_silent(packet))

    os.kill(engine.pid, signal.SIGKILL)
    await call.event(EngineReplaced)

    await phone.hear_until(lambda packet: packet[1] & 0x80 != 0)  # The mark of the next process's first one.
    assert not any(is_silent(packet) for packet in (await phone.hear(30))[10:])
    call.leg.stop_bed()
    await phone.hear_until(is_silent)
