import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.aio.script import Script


async def pieces(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text
        await asyncio.sleep(0)


async def test_a_whole_text_is_there_at_once() -> None:
    script = Script("hello")

    assert script.is_complete
    assert await script.more(0) == "hello"
    assert await script.more(5) == ""


async def test_pieces_are_read_on_from_any_place() -> None:
    script = Script(pieces("one ", "two"))

    assert await script.more(0) == "one "
    assert await script.more(4) == "two"
    assert await script.more(7) == ""
    assert await script.more(2) == "e two"


async def test_a_source_that_pauses_is_not_waited_for_in_vain() -> None:
    async def forever() -> AsyncIterator[str]:
        yield "well"
        await asyncio.Event().wait()

    script = Script(forever())
    assert await script.more(0) == "well"

    with pytest.raises(TimeoutError):
        await script.more(4, timeout_s=0)

    await script.close()
    assert script.text == "well"


async def test_a_source_that_fails_says_so_to_the_reader() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "half"
        raise ZeroDivisionError

    script = Script(broken())
    assert await script.more(0) == "half"

    with pytest.raises(ZeroDivisionError):
        await script.more(4)


async def test_a_source_that_is_not_async_is_read_too() -> None:
    script = Script(["one ", "two"])

    assert await script.whole() == "one two"
    assert script.is_complete


async def test_a_source_without_end_is_read_no_further_than_it_is_needed() -> None:
    pulled = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal pulled
        while True:
            pulled += 1
            yield "0123456789"

    script = Script(endless(), ahead=100)
    await script.more(0)
    await turns()
    assert pulled == 11

    await script.more(50)
    await turns()

    assert pulled == 16
    await script.close()


async def test_a_whole_text_is_read_to_its_end_however_long() -> None:
    script = Script(iter(["x" * 50] * 100), ahead=100)

    assert len(await script.whole()) == 5000
    assert script.text == await script.whole()


async def test_the_characters_before_a_place_are_known() -> None:
    script = Script("0123456789")

    assert script.last(5, count=3) == "234"
    assert script.last(2) == "01"
    assert script.last(0) == ""


async def test_characters_of_any_kind_and_line_ends_stay_what_they_are() -> None:
    text = "a\r\n你\ud800\U0001f600b"
    script = Script([text, "c"])

    assert await script.whole() == text + "c"
    assert await script.more(3) == (text + "c")[3:]


async def test_a_source_that_was_closed_has_ended() -> None:
    async def forever() -> AsyncIterator[str]:
        yield "well"
        await asyncio.Event().wait()

    script = Script(forever())
    await script.more(0)
    waiting = asyncio.create_task(script.more(4))
    await turns()

    await script.close()

    assert await waiting == ""
    assert await script.whole() == "well"


async def turns() -> None:
    for _ in range(100):
        await asyncio.sleep(0)  # one turn of the loop
