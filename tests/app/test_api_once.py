import asyncio

import pytest

from bridge.app.api.once import Once
from bridge.app.api.problem import Problem
from tests.fakes import ManualClock


class Work:
    def __init__(self) -> None:
        self.count = 0
        self.release = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.count += 1
        number = self.count
        await self.release.wait()
        if self.fails:
            raise Problem(403, "no")
        return number


async def test_who_comes_while_it_is_done_gets_the_same() -> None:
    once, work = Once(ManualClock()), Work()
    both = [asyncio.create_task(once.do("k", b"x", work)) for _ in range(2)]
    await asyncio.sleep(0)
    work.release.set()

    assert [await each for each in both] == [1, 1]
    assert await once.do("k", b"x", work) == 1
    assert await once.do("other", b"x", work) == 2


async def test_a_key_is_for_one_thing() -> None:
    once, work = Once(ManualClock()), Work()
    work.release.set()
    await once.do("k", b"x", work)

    with pytest.raises(Problem, match="another order"):
        await once.do("k", b"y", work)


async def test_a_failure_may_be_tried_again_and_reaches_whoever_waited() -> None:
    once, work = Once(ManualClock()), Work()
    work.fails = True
    both = [asyncio.create_task(once.do("k", b"x", work)) for _ in range(2)]
    await asyncio.sleep(0)
    work.release.set()
    for each in both:
        with pytest.raises(Problem, match="no"):
            await each

    work.fails = False

    assert await once.do("k", b"x", work) == 2


async def test_who_gives_up_lets_whoever_waits_know() -> None:
    once, work = Once(ManualClock()), Work()
    first, second = (asyncio.create_task(once.do("k", b"x", work)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()

    with pytest.raises(Problem, match="given up"):
        await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_keys_are_forgotten_after_ten_minutes_and_when_there_are_too_many() -> None:
    clock = ManualClock()
    once, work = Once(clock), Work()
    work.release.set()
    for number in range(1500):
        await once.do(str(number), b"", work)
    assert len(once) == 1024

    clock.advance(600_000)
    await once.do("new", b"", work)

    assert len(once) == 1
