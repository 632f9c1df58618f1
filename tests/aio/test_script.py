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
