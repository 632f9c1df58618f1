"""Callers against a far end of our own, over real sockets and in real time."""

import asyncio
import time

import numpy as np
import pytest

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import CallEnded, NegotiationError, SetupError
from bridge.load.caller import Caller
from bridge.load.clip import Clip
from bridge.load.scenario import in_mid_sentence, interrupt
from tests.load.robot import Robot
from tests.load.synthetic import MS

SHOUT = Clip("hey", np.full(3200, 9000, np.int16), 0)


async def caller(*payload_types: int) -> Caller:
    return await Caller.start(clock=SystemClock(), dice=SystemDice(), payload_types=payload_types or (0, 8))


async def test_a_call_is_answered_heard_and_ended() -> None:
    async with Robot() as robot, await caller() as phone:
        await phone.dial(robot.uri)
        first_ns = await phone.first_audible_ns(timeout_s=5)
        assert phone.dialled_ns < phone.answered_ns < first_ns
        assert robot.call is not None

        await phone.hang_up()

        await asyncio.wait_for(asyncio.shield(robot.call.ended), 5)
        assert phone.heard().arrivals().packets > 0


async def test_the_far_end_s_goodbye_ends_every_wait() -> None:
    async with Robot() as robot, await caller() as phone:
        await phone.dial(robot.uri)
        await phone.first_audible_ns(timeout_s=5)
        assert robot.call is not None
        await robot.call.hangup("enough")

        with pytest.raises(CallEnded):
            await phone.until(lambda tape: None, timeout_s=5)


async def test_a_wait_has_an_end() -> None:
    async with Robot() as robot, await caller() as phone:
        await phone.dial(robot.uri)

        with pytest.raises(TimeoutError):
            await phone.until(lambda tape: None, timeout_s=0.1)


async def test_a_refusal_carries_its_status() -> None:
    async with Robot(status=486) as robot, await caller() as phone:
        with pytest.raises(NegotiationError, match="486"):
            await phone.dial(robot.uri)


async def test_an_answer_with_a_codec_we_did_not_offer_is_refused() -> None:
    async with Robot(formats="8 101") as robot, await caller(0) as phone:
        with pytest.raises(NegotiationError, match="no audio we offered"):
            await phone.dial(robot.uri)


async def test_a_line_that_was_never_dialled_has_no_call() -> None:
    async with await caller() as phone:
        with pytest.raises(SetupError, match="not dialled"):
            _ = phone.call


async def test_keys_and_voice_reach_the_far_end() -> None:
    async with Robot() as robot, await caller() as phone:
        await phone.dial(robot.uri)

        await phone.press("5#", tone_ms=40)
        onset_ns = await phone.say(SHOUT)

        events = [data[12] for data in robot.packets if data[1] & 0x7F == 101]
        assert events[0] == 5
        assert events[-1] == 11
        assert onset_ns < time.monotonic_ns() - 380 * MS


async def test_an_interruption_is_timed_from_the_onset_to_the_silence() -> None:
    async with Robot() as robot, await caller() as phone:
        await phone.dial(robot.uri)
        await in_mid_sentence(phone, after_ns=phone.answered_ns + 100 * MS, timeout_s=5)

        result = await interrupt(phone, SHOUT, dice=SystemDice(), now_ns=time.monotonic_ns())

        assert result.mute_ms is not None
        # Up to 20 ms until the packet is full, up to 20 ms until the next one; the rest is the machine.
        assert 0 < result.mute_ms < 250


async def test_a_bot_that_talks_on_has_no_mute() -> None:
    async with Robot(stubborn=True) as robot, await caller() as phone:
        await phone.dial(robot.uri)
        await in_mid_sentence(phone, after_ns=0, timeout_s=5)

        result = await interrupt(phone, SHOUT, dice=SystemDice(), now_ns=time.monotonic_ns())

        assert result.mute_ms is None


async def test_closing_twice_is_harmless() -> None:
    async with Robot() as robot:
        phone = await caller()
        await phone.dial(robot.uri)
        await phone.close()
        await phone.close()
