import asyncio

from bridge.call.bus import Bus
from tests.fakes import ManualClock


def bus() -> Bus:
    return Bus(ManualClock(start_ns=5))


async def test_everybody_hears_the_same_in_order() -> None:
    told = bus()
    both = [told.subscribe(), told.subscribe()]

    told.tell("a", "call.started", {"to": "100"})
    told.tell("b", "call.ended")

    for subscription in both:
        first, second = await subscription.next(), await subscription.next()
        assert first is not None
        assert second is not None
        assert (first.seq, first.at_ns, first.call, first.kind) == (1, 5, "a", "call.started")
        assert dict(first.data) == {"to": "100"}
        assert (second.seq, second.call, dict(second.data)) == (2, "b", {})
    assert told.seq == 2


async def test_a_reader_of_one_call_hears_of_no_other() -> None:
    told = bus()
    subscription = told.subscribe(call="b")

    told.tell("a", "digit")
    told.tell("b", "digit")

    heard = await subscription.next()
    assert heard is not None
    assert heard.seq == 2


async def test_who_waits_is_woken() -> None:
    told = bus()
    waiting = asyncio.create_task(told.subscribe().next())
    await asyncio.sleep(0)

    told.tell("a", "digit")

    heard = await waiting
    assert heard is not None
    assert heard.kind == "digit"


async def test_a_slow_reader_gets_what_it_has_and_is_let_go_with_a_count() -> None:
    told = bus()
    slow, quick = told.subscribe(backlog=2), told.subscribe()

    for _ in range(5):
        told.tell("a", "digit")

    assert [await slow.next() is None for _ in range(3)] == [False, False, True]
    told.tell("a", "digit")
    assert await slow.next() is None
    assert slow.dropped == 4
    assert [await quick.next() is None for _ in range(6)] == [False] * 6


async def test_a_closed_bus_lets_everybody_go() -> None:
    told = bus()
    subscription = told.subscribe()
    waiting = asyncio.create_task(subscription.next())
    await asyncio.sleep(0)

    told.close()
    subscription.close()
    told.tell("a", "digit")

    assert await waiting is None
    assert len(told) == 0
