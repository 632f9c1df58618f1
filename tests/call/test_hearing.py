import asyncio

from bridge.call.hearing import CallEvent, Hearing
from bridge.plane.events import Digit, Latched, VoiceStarted, VoiceStopped
from tests.fakes import ManualClock


def digit(text: str) -> Digit:
    return Digit(0, 1, 0, digit=text, duration_ms=100)


async def test_digits_typed_ahead_are_kept() -> None:
    hearing = Hearing(ManualClock())

    hearing.on_event(digit("4"))
    hearing.on_event(digit("2"))

    assert await hearing.digit(timeout_s=0) == "4"
    assert await hearing.digit(timeout_s=0) == "2"
    assert await hearing.digit(timeout_s=0) == ""


async def test_a_digit_still_to_come_is_waited_for() -> None:
    hearing = Hearing(ManualClock())

    waiting = asyncio.create_task(hearing.digit(timeout_s=10))
    await asyncio.sleep(0)
    hearing.on_event(digit("#"))

    assert await waiting == "#"


async def test_only_the_newest_64_digits_are_kept() -> None:
    hearing = Hearing(ManualClock())

    for number in range(100):
        hearing.on_event(digit(str(number % 10)))

    assert await hearing.digit(timeout_s=0) == "6"


async def test_a_caller_who_said_nothing_for_long_is_quiet_at_once() -> None:
    clock = ManualClock()
    hearing = Hearing(clock)

    clock.advance(500)
    waiting = asyncio.create_task(hearing.quiet(500))
    await asyncio.sleep(0)

    assert waiting.done()


async def test_quiet_counts_from_the_end_of_the_voice() -> None:
    clock = ManualClock()
    hearing = Hearing(clock)
    hearing.on_event(VoiceStarted(0, 1, clock.advance(1000), onset_ns=clock.now_ns()))

    waiting = asyncio.create_task(hearing.quiet(500))
    await asyncio.sleep(0)
    ended_ns = clock.advance(400)
    clock.advance(499)
    hearing.on_event(VoiceStopped(0, 1, clock.now_ns(), ended_ns=ended_ns))
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(1)
    await waiting


async def test_listeners_are_told_what_concerns_an_agent() -> None:
    hearing = Hearing(ManualClock())
    seen: list[CallEvent] = []

    async def listen() -> None:
        async for event in hearing.events():
            seen.append(event)
            if len(seen) == 2:
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    hearing.on_event(Latched(0, 1, 0, remote_key=1))
    hearing.on_event(digit("1"))
    hearing.on_event(digit("2"))
    await listening

    assert [event.digit for event in seen if isinstance(event, Digit)] == ["1", "2"]


async def test_a_listener_that_sleeps_loses_the_oldest() -> None:
    hearing = Hearing(ManualClock())
    events = hearing.events()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)

    for number in range(300):
        hearing.on_event(digit(str(number)))

    assert await first == digit("44")
