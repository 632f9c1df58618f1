import asyncio

from bridge.ttsserver.outbox import HangUp, Message, Outbox, Pause


async def test_items_leave_in_the_order_they_came() -> None:
    outbox = Outbox()
    outbox.put(Message("a"))
    outbox.put(Message("b", b"sound"))
    outbox.put(HangUp(1000, ""))

    assert [await outbox.take() for _ in range(3)] == [Message("a"), Message("b", b"sound"), HangUp(1000, "")]


async def test_who_takes_waits_for_an_item() -> None:
    outbox = Outbox()
    taker = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)

    outbox.put(Message("late"))

    assert await taker == Message("late")


async def test_there_is_no_room_until_the_reader_has_caught_up() -> None:
    outbox = Outbox(limit=2)
    outbox.put(Message("a", b"1"))
    outbox.put(Message("b", b"2"))
    waiter = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)
    assert not waiter.done()

    await outbox.take()

    await waiter


async def test_dropping_sound_spares_the_events_and_makes_room() -> None:
    outbox = Outbox(limit=2)
    for item in (Message("begin"), Message("x", b"1"), Pause(9), Message("y", b"2"), Message("end")):
        outbox.put(item)

    outbox.drop_sound()

    assert len(outbox) == 2
    assert [await outbox.take(), await outbox.take()] == [Message("begin"), Message("end")]
    await outbox.room()


async def test_a_thousand_items_may_wait_and_no_more() -> None:
    outbox = Outbox()
    for _ in range(1000):
        outbox.put(Message("started"))
    assert not outbox.is_flooded

    outbox.put(HangUp(1000, ""))

    assert outbox.is_flooded
    await outbox.take()
    assert not outbox.is_flooded


async def test_long_texts_flood_it_sooner() -> None:
    outbox = Outbox()
    for _ in range(4):
        outbox.put(Message("x" * 1_000_000))
    outbox.put(Message("y", b"sound"))
    assert outbox.is_flooded

    outbox.drop_sound()

    assert not outbox.is_flooded
    outbox.put(Message("z"))
    assert outbox.is_flooded
