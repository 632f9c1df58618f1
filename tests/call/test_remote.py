import asyncio
from collections.abc import Mapping

import numpy as np
import pytest

from bridge.call.bus import Value
from bridge.call.pressing import Pressing
from bridge.call.remote import Remote, TooMuchWaiting
from bridge.errors import CallEnded
from bridge.plane.events import KeysSent
from tests.call.fakes import SAMPLES_PER_WORD
from tests.call.test_turns import TEXT, Stage
from tests.fakes import SeededIds


class Keypad:
    def __init__(self) -> None:
        self.pressed: list[str] = []

    def press(self, digits: str, *, duration_ms: int, pause_ms: int) -> int:
        self.pressed.append(digits)
        return len(self.pressed)

    def release_keys(self) -> None: ...


class Desk(Stage):
    """A stage with somebody who orders from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[tuple[str, Mapping[str, Value]]] = []
        self.keypad = Keypad()
        self.pressing = Pressing(self.keypad)
        self.remote = Remote(
            "call-1",
            speaker=self.speaker,
            pressing=self.pressing,
            rate_hz=8000,
            ids=SeededIds(),
            tell=lambda kind, data: self.notices.append((kind, data)),
        )

    def said(self) -> list[str]:
        return [record.text for record in self.trace.utterances]

    async def heard_out(self, words: int) -> None:
        await self.written(words * SAMPLES_PER_WORD)
        self.speaker.on_event(self.leg.play_all(self.clock.advance(100)))
        await self.turns()


async def test_an_order_waits_for_the_agent_and_the_agent_for_the_order() -> None:
    desk = Desk()
    agent = await desk.saying()
    label = desk.remote.say("by the way")
    following = await desk.saying("and so on")

    await desk.heard_out(5)
    await desk.heard_out(8)
    await desk.heard_out(11)

    assert desk.said() == [TEXT, "by the way", "and so on"]
    assert [record.label for record in desk.trace.utterances] == ["", label, ""]
    assert not (await agent).interrupted
    assert not (await following).interrupted
    assert desk.notices == []


async def test_sound_is_played_in_its_turn() -> None:
    desk = Desk()
    desk.remote.say("one")
    label = desk.remote.play(np.ones(400, np.int16))

    await desk.heard_out(1)
    await desk.written(SAMPLES_PER_WORD + 400)
    desk.speaker.on_event(desk.leg.play_all(desk.clock.advance(50)))
    await desk.turns()

    assert [(record.label == label, record.is_over) for record in desk.trace.utterances] == [
        (False, True),
        (True, True),
    ]


async def test_what_must_be_said_now_stops_the_agent() -> None:
    desk = Desk()
    agent = await desk.saying()

    desk.remote.say("fire", mode="now")
    await desk.turns()
    desk.speaker.on_event(desk.leg.flushed(desk.clock.advance(20), cause="command"))

    assert (await agent).cause == "command"
    await desk.heard_out(6)
    assert desk.said()[1] == "fire"


async def test_stop_ends_what_is_said_and_forgets_what_waits() -> None:
    desk = Desk()
    desk.remote.say(TEXT)
    await desk.written(5 * SAMPLES_PER_WORD)
    labels = [desk.remote.say("two"), desk.remote.play(np.ones(400, np.int16))]

    assert desk.remote.stop() == (True, 2)
    desk.speaker.on_event(desk.leg.flushed(desk.clock.advance(20), cause="command"))
    await desk.turns()

    assert desk.said() == [TEXT]
    assert desk.trace.utterances[0].cause == "command"
    assert desk.notices == [("speech.dropped", {"id": label}) for label in labels]
    assert desk.remote.stop() == (False, 0)


async def test_stop_may_leave_what_waits() -> None:
    desk = Desk()
    desk.remote.say(TEXT)
    await desk.written(5 * SAMPLES_PER_WORD)
    desk.remote.say("two")
    await desk.turns()

    assert desk.remote.stop(clears=False) == (True, 0)
    desk.speaker.on_event(desk.leg.flushed(desk.clock.advance(20), cause="command"))
    await desk.heard_out(6)

    assert desk.said() == [TEXT, "two"]


async def test_no_more_is_taken_than_can_wait() -> None:
    desk = Desk()
    for _ in range(16):
        desk.remote.say("again and again")

    with pytest.raises(TooMuchWaiting, match="16 orders"):
        desk.remote.say("and again")

    desk.remote.stop()
    await desk.turns()
    desk.remote.play(np.zeros(599 * 8000, np.int16))
    with pytest.raises(TooMuchWaiting, match="599 s"):
        desk.remote.play(np.zeros(2 * 8000, np.int16))
    await desk.remote.close()


async def test_an_order_whose_voice_fails_ends_and_the_next_one_is_said() -> None:
    desk = Desk()
    desk.voice._failures = (0, 0, 0, None)
    desk.remote.say("one")
    desk.remote.say("two")

    await desk.heard_out(1)

    assert [record.failure for record in desk.trace.utterances] == ["Closed", ""]


async def test_orders_to_a_call_that_is_over_are_dropped() -> None:
    desk = Desk()
    await desk.speaker.close()
    label = desk.remote.say("hello?")

    await desk.turns()

    assert desk.notices == [("speech.dropped", {"id": label})]
    await desk.remote.close()


async def test_keys_are_pressed_and_told() -> None:
    desk = Desk()
    label = desk.remote.press("1a#")
    await desk.turns()
    desk.pressing.on_event(KeysSent(0, 7, 0, ticket=1, count=3))
    await desk.turns()

    assert desk.keypad.pressed == ["1A#"]
    assert desk.notices == [("keys.sent", {"id": label, "count": 3})]


async def test_keys_that_nobody_can_hear_any_more_are_told_too() -> None:
    desk = Desk()
    desk.remote.press("12")
    await desk.turns()
    desk.pressing.close()
    await desk.turns()

    ((kind, data),) = desk.notices
    assert kind == "keys.failed"
    assert "0 of 2" in str(data["error"])


async def test_wrong_keys_and_too_many_are_refused_at_once() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="no key"):
        desk.remote.press("1x")
    for _ in range(32):
        desk.remote.press("1")
    with pytest.raises(TooMuchWaiting, match="32 orders"):
        desk.remote.press("1")
    await desk.remote.close()


async def test_a_call_that_ends_takes_its_orders_with_it() -> None:
    desk = Desk()
    desk.remote.say(TEXT)
    await desk.written(5 * SAMPLES_PER_WORD)
    closing = asyncio.create_task(desk.remote.close())
    desk.leg.flush()
    await desk.turns()
    desk.speaker.on_event(desk.leg.flushed(desk.clock.advance(20), cause="command"))
    await closing

    with pytest.raises(CallEnded):
        desk.remote.say("too late")
    with pytest.raises(CallEnded):
        desk.remote.press("1")
