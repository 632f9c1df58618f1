"""The spare process; it is a fake here."""

import asyncio
import errno
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from bridge.engine.child import MediaSettings, StartProcess
from bridge.engine.household import Household
from bridge.engine.standby import Standby
from tests.engine.fake_process import FakeProcess, Nursery
from tests.engine.phone import until


class Bench:
    def __init__(self) -> None:
        self.nursery = Nursery()
        self.household = Household(start=cast("StartProcess", self.nursery))
        self.standby = Standby(MediaSettings(), self.household)

    async def take(self) -> FakeProcess:
        return cast("FakeProcess", await self.standby.take(patience_s=5))


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.standby.close()
    await made.household.close()


async def test_there_is_one_and_it_is_ready_when_it_says_so(bench: Bench) -> None:
    assert bench.standby.pid == 0
    bench.standby.begin()
    bench.standby.begin()
    assert (bench.standby.is_ready, bench.standby.pid) == (False, 100)

    bench.nursery.born[0].greet()
    bench.standby.begin()

    assert (bench.standby.is_ready, bench.standby.pid) == (True, 100)
    assert len(bench.nursery.born) == 1
    assert await bench.take() is bench.nursery.born[0]
    assert not bench.standby.is_ready


async def test_whoever_needs_one_has_it_begun_and_waits_for_it(bench: Bench) -> None:
    taking = asyncio.create_task(bench.take())
    async with asyncio.timeout(5):
        await until(lambda: len(bench.nursery.born) == 1)

    bench.nursery.born[0].greet()

    assert await taking is bench.nursery.born[0]


async def test_patience_ends(bench: Bench) -> None:
    assert await bench.standby.take(patience_s=0.01) is None


@pytest.mark.parametrize("is_ready", [False, True])
async def test_one_that_dies_while_it_waits_is_waited_for_and_followed(bench: Bench, is_ready: bool) -> None:
    bench.standby.begin()
    (spare,) = bench.nursery.born
    if is_ready:
        spare.greet()

    spare.die()
    assert (bench.standby.is_ready, bench.standby.pid) == (False, 0)
    spare.ended.set()
    async with asyncio.timeout(5):
        await until(lambda: "100 is gone" in bench.nursery.diary)
        await until(lambda: len(bench.nursery.born) == 2)


async def test_a_system_that_refuses_is_asked_again_later(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.nursery.refuses = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    bench.standby.begin()
    bench.nursery.refuses = None
    bench.standby.begin_soon()

    assert "cannot start a standby of the media process: Resource" in caplog.text
    async with asyncio.timeout(5):
        await until(lambda: len(bench.nursery.born) == 1)


async def test_a_closed_one_ends_its_spare_and_begins_none() -> None:
    bench = Bench()
    bench.standby.begin()
    bench.nursery.born[0].greet()

    await bench.standby.close()
    await bench.standby.close()
    bench.standby.begin()
    bench.standby.begin_soon()
    bench.nursery.born[0].die()

    assert len(bench.nursery.born) == 1
    assert not bench.nursery.born[0].is_alive
    assert len(bench.household) == 0


async def test_a_spare_that_dies_as_everything_closes_is_waited_for() -> None:
    bench = Bench()
    bench.standby.begin()
    bench.nursery.born[0].die()

    # Its burial has not begun.
    await bench.standby.close()
    await bench.household.close()

    assert bench.nursery.diary[-1] == "100 is gone"
    assert len(bench.household) == 0
