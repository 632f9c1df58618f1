"""Whoever was started is waited for, whatever happens meanwhile; processes are fakes."""

import asyncio
import errno
from typing import cast

import pytest

from bridge.engine.child import MediaProcess, MediaSettings, StartProcess
from bridge.engine.commands import Message
from bridge.engine.household import Household
from tests.engine.fake_process import FakeProcess, Nursery

SETTINGS = MediaSettings()


class Home:
    """A household with some processes that nobody has told anything."""

    def __init__(self, count: int = 1) -> None:
        self.nursery = Nursery()
        self.household = Household(start=cast("StartProcess", self.nursery))
        for _ in range(count):
            self.begin()

    def begin(self) -> MediaProcess:
        return self.household.begin(SETTINGS, on_message=self._hear, on_end=self._mourn)

    @property
    def first(self) -> FakeProcess:
        return self.nursery.born[0]

    def _hear(self, message: Message) -> None:
        pass

    def _mourn(self) -> None:
        pass


def known(process: FakeProcess) -> MediaProcess:
    return cast("MediaProcess", process)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_process_that_is_ended_is_gone_and_forgotten() -> None:
    home = Home()

    await home.household.end(known(home.first))

    assert home.nursery.diary == ["100 is told to end", "100 is gone"]
    assert not home.first.is_alive
    assert len(home.household) == 0


async def test_the_dead_are_waited_for_once_and_may_be_asked_about_again() -> None:
    home = Home()

    first = home.household.bury(known(home.first))
    assert home.household.bury(known(home.first)) is first
    home.first.ended.set()

    assert await first == -9
    assert len(home.household) == 0
    assert await home.household.bury(known(home.first)) == -9
    assert len(home.household) == 0


async def test_whoever_gives_up_waiting_costs_nobody_his_burial() -> None:
    home = Home()
    home.first.is_deaf = True
    ending = asyncio.create_task(home.household.end(known(home.first)))
    await turns(3)

    ending.cancel()
    await asyncio.wait({ending})
    assert len(home.household) == 1
    home.first.ended.set()
    await turns(3)

    assert not home.first.is_alive
    assert len(home.household) == 0


async def test_a_burial_that_has_not_begun_is_held_all_the_same() -> None:
    home = Home()

    home.household.bury(known(home.first))
    await home.household.close()

    assert home.nursery.diary[-1] == "100 is gone"
    assert len(home.household) == 0


async def test_the_end_of_a_household_is_the_end_of_all() -> None:
    home = Home(3)
    home.first.is_deaf = True
    ending = asyncio.create_task(home.household.end(known(home.first)))
    home.household.bury(known(home.nursery.born[1]))
    await turns(2)

    await home.household.close()
    await home.household.close()

    await ending
    assert {f"{pid} is gone" for pid in (100, 101, 102)} <= set(home.nursery.diary)
    assert len(home.household) == 0


@pytest.mark.parametrize("after", range(4))
async def test_who_cancels_that_end_leaves_none_either(after: int) -> None:
    home = Home(3)
    home.household.bury(known(home.first))
    closing = asyncio.create_task(home.household.close())
    await turns(1 + after)

    closing.cancel()
    await asyncio.wait({closing})

    assert all(process.ended.is_set() for process in home.nursery.born)
    await turns(3)
    assert len(home.household) == 0


async def test_nobody_is_started_after_that_end() -> None:
    home = Home(0)
    await home.household.close()

    with pytest.raises(OSError, match="the media engine is closed") as refused:
        home.begin()

    assert refused.value.errno == errno.ESHUTDOWN
    assert home.nursery.born == []
