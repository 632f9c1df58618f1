import asyncio

import pytest

from bridge.call.pressing import Pressing
from bridge.errors import CallEnded
from bridge.plane.events import KeysSent, PlayoutIdle


class HandLeg:
    """A leg whose keypad the test plays."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.pressed = asyncio.Event()

    def press(self, digits: str, *, duration_ms: int, pause_ms: int) -> int:
        self.told.append((digits, duration_ms, pause_ms))
        self.pressed.set()
        return len(self.told)

    def release_keys(self) -> None:
        self.told.append(("release",))


def sent(ticket: int, count: int) -> KeysSent:
    return KeysSent(0, 7, 0, ticket=ticket, count=count)


async def begun(leg: HandLeg, pressing: Pressing, digits: str) -> "asyncio.Task[None]":
    leg.pressed.clear()
    task = asyncio.create_task(pressing.press(digits, duration_ms=100, pause_ms=80))
    await leg.pressed.wait()
    return task


async def test_a_press_returns_when_its_last_key_is_up() -> None:
    leg = HandLeg()
    pressing = Pressing(leg)
    task = await begun(leg, pressing, "12a#")

    pressing.on_event(PlayoutIdle(0, 7, 0, position=0))
    pressing.on_event(sent(99, 4))
    assert not task.done()
    pressing.on_event(sent(1, 4))
    await task

    assert leg.told == [("12A#", 100, 80)]
    pressing.on_event(sent(1, 4))


async def test_requests_of_two_tasks_are_pressed_one_after_the_other() -> None:
    leg = HandLeg()
    pressing = Pressing(leg)
    first = await begun(leg, pressing, "1")
    second = asyncio.create_task(pressing.press("2", duration_ms=60, pause_ms=60))
    await asyncio.sleep(0)
    assert len(leg.told) == 1

    leg.pressed.clear()
    pressing.on_event(sent(1, 1))
    await first
    await leg.pressed.wait()
    pressing.on_event(sent(2, 1))
    await second

    assert leg.told == [("1", 100, 80), ("2", 60, 60)]


async def test_a_press_that_is_given_up_calls_off_the_keys_that_wait() -> None:
    leg = HandLeg()
    pressing = Pressing(leg)
    task = await begun(leg, pressing, "123")

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert leg.told[1:] == [("release",)]
    pressing.on_event(sent(1, 1))
    again = await begun(leg, pressing, "4")
    pressing.on_event(sent(3, 1))
    await again


async def test_the_end_of_the_call_ends_every_press() -> None:
    leg = HandLeg()
    pressing = Pressing(leg)
    task = await begun(leg, pressing, "123")

    pressing.close()

    with pytest.raises(CallEnded, match="after 0 of 3 keys"):
        await task
    with pytest.raises(CallEnded, match="nobody"):
        await pressing.press("1", duration_ms=100, pause_ms=100)
    pressing.close()


@pytest.mark.parametrize(
    ("digits", "duration_ms", "pause_ms", "message"),
    [
        ("", 100, 100, "0 keys at once; press 1 to 64"),
        ("1" * 65, 100, 100, "65 keys at once"),
        ("12x", 100, 100, "'X' is no key; there are 0123456789"),
        ("1", 49, 100, "duration_ms must be 50 to 60000, not 49"),
        ("1", 60_001, 100, "duration_ms"),
        ("1", 100, 39, "pause_ms must be 40 to 10000, not 39"),
    ],
)
async def test_what_cannot_be_pressed_is_refused_with_what_can(
    digits: str, duration_ms: int, pause_ms: int, message: str
) -> None:
    leg = HandLeg()

    with pytest.raises(ValueError, match=message):
        await Pressing(leg).press(digits, duration_ms=duration_ms, pause_ms=pause_ms)

    assert leg.told == []
