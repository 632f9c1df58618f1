"""Who takes a seat, and when nobody does; processes are fakes."""

import asyncio
import errno
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from bridge.aio.tasks import Tasks
from bridge.engine.child import MediaSettings, StartProcess
from bridge.engine.commands import CloseRow, Message, OpenRow, RowClosed, RowOpened
from bridge.engine.household import Household
from bridge.engine.leg import MediaLeg
from bridge.engine.seat import Seat
from bridge.engine.standby import Standby
from bridge.engine.station import Station
from bridge.errors import EngineError
from tests.engine.fake_plane import spec
from tests.engine.fake_process import FakeProcess, Nursery
from tests.engine.phone import until
from tests.fakes import ManualClock

SETTINGS = MediaSettings()


class Owner:
    """Counts what a station tells."""

    def __init__(self, diary: list[str]) -> None:
        self.heard: list[Message] = []
        self.diary = diary
        self.seats = 0

    def hear(self, message: Message) -> None:
        self.heard.append(message)

    def legs_of(self, seat: Seat) -> list[MediaLeg]:
        return []

    def carry_on(self, legs: list[MediaLeg]) -> None:
        self.diary.append("carried on")

    def bereave(self, legs: list[MediaLeg]) -> None:
        self.diary.append("bereaved")

    def mourn(self) -> None:
        self.diary.append("mourned")

    def seated(self) -> None:
        self.seats += 1


class House:
    """One station and its standby."""

    def __init__(self, *, has_standby: bool = True) -> None:
        self.nursery = Nursery()
        self.tasks = Tasks("test")
        self.owner = Owner(self.nursery.diary)
        self.clock = ManualClock()
        self.household = Household(start=cast("StartProcess", self.nursery))
        self.standby = Standby(SETTINGS, self.household) if has_standby else None
        self.station = Station(
            SETTINGS,
            4,
            place=0,
            owner=self.owner,
            standby=self.standby,
            household=self.household,
            tasks=self.tasks,
            clock=self.clock,
        )

    @property
    def first(self) -> FakeProcess:
        return self.nursery.born[0]

    def open(self) -> "House":
        """It serves, and a spare waits."""
        self.first.greet()
        if self.standby is not None:
            self.standby.begin()
            self.nursery.born[1].greet()
        return self

    @property
    def seat(self) -> Seat:
        assert self.station.seat is not None
        return self.station.seat

    async def sees(self, entry: str) -> None:
        async with asyncio.timeout(5):
            await until(lambda: entry in self.nursery.diary)

    async def close(self) -> None:
        await self.station.close()
        if self.standby is not None:
            await self.standby.close()
        await self.household.close()
        await self.tasks.close()


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    made = House().open()
    yield made
    await made.close()


async def test_the_old_process_is_gone_before_the_new_one_is_given_the_rows(house: House) -> None:
    memory = house.seat.memory
    house.seat.send(OpenRow(1, 0, spec(7)))
    house.seat.send(CloseRow(2, 8))

    house.first.die()
    await house.sees("101 carries")

    assert house.nursery.diary == [
        "100 carries",
        "100 dies",
        "mourned",
        "100 is killed",
        "100 is gone",
        "101 carries",
        "carried on",
    ]
    assert house.seat.memory is memory is house.nursery.born[1].memory
    assert house.nursery.born[1].told == [CloseRow(2, 8)]
    assert (house.station.pid, house.station.takeovers, house.station.restarts) == (101, 1, 0)
    assert house.station.is_realtime
    assert house.owner.seats == 1


async def test_the_reports_of_the_heir_are_heard(house: House) -> None:
    house.first.die()
    await house.sees("carried on")

    house.nursery.born[1].on_message(RowOpened(1, 7))
    house.nursery.born[1].on_message(RowClosed(1, 7))

    assert house.owner.heard == [RowOpened(1, 7), RowClosed(1, 7)]


async def test_calls_wait_for_a_spare_that_is_still_loading(house: House) -> None:
    house.first.die()
    await house.sees("carried on")
    house.nursery.born[1].die()
    async with asyncio.timeout(5):
        await until(lambda: len(house.nursery.born) == 3)
    assert house.station.pid == 0

    house.nursery.born[2].greet()
    await house.sees("102 carries")

    assert house.station.takeovers == 2
    assert "bereaved" not in house.nursery.diary


async def test_calls_that_kill_every_process_are_given_up_after_two(house: House) -> None:
    for heir in (1, 2):
        house.nursery.born[heir - 1].die()
        async with asyncio.timeout(5):
            await until(lambda heir=heir: len(house.nursery.born) > heir)  # type: ignore[misc]
        if heir == 2:
            house.nursery.born[2].greet()
        await house.sees(f"{100 + heir} carries")
    old = house.seat

    house.nursery.born[2].die()
    await house.sees("bereaved")

    assert not old.is_alive
    assert house.seat is not old
    assert (house.station.takeovers, house.station.restarts, house.station.pid) == (2, 1, 103)
    assert house.station.last_readings is not None
    assert house.owner.seats == 3


async def test_without_a_standby_calls_are_lost_at_once() -> None:
    house = House(has_standby=False).open()

    house.first.die()

    assert house.nursery.diary == ["100 carries", "100 dies", "101 carries", "bereaved", "mourned"]
    await house.close()


async def test_a_spare_that_cannot_be_given_the_memory_saves_nobody(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.nursery.born[1].refuses = OSError(errno.EMFILE, "Too many open files")

    house.first.die()
    await house.sees("bereaved")

    assert "cannot be given the calls: Too many open files" in caplog.text
    assert house.station.pid == 102


async def test_an_engine_that_closes_meanwhile_gives_nobody_the_rows(house: House) -> None:
    house.first.die()

    # Nothing that its death has set going has run yet.
    await house.close()

    assert "101 carries" not in house.nursery.diary
    assert "100 is gone" in house.nursery.diary
    assert len(house.household) == 0


async def test_a_process_that_dies_while_it_starts_fails_the_start() -> None:
    house = House()

    house.first.die()

    with pytest.raises(EngineError, match="ended while it started"):
        await house.station.ready
    await house.close()


async def test_a_process_that_hangs_is_ended_and_one_that_starves_is_not(house: House) -> None:
    house.seat.send(OpenRow(1, 0, spec(7)))
    house.first.has_time = False
    for _ in range(8):
        house.station.look()
        house.clock.advance(100)
    assert "100 is killed" not in house.nursery.diary

    house.first.has_time = True
    for _ in range(5):
        house.station.look()
        house.clock.advance(100)

    assert "100 is killed" in house.nursery.diary


async def test_a_process_that_nobody_can_replace_is_given_more_time() -> None:
    house = House(has_standby=False).open()
    house.seat.send(OpenRow(1, 0, spec(7)))
    for _ in range(48):
        house.station.look()
        house.clock.advance(100)
    assert "100 is killed" not in house.nursery.diary

    for _ in range(8):
        house.station.look()
        house.clock.advance(100)

    assert "100 is killed" in house.nursery.diary
    await house.close()


@pytest.mark.parametrize("turns", range(12))
async def test_whenever_it_closes_after_a_death_no_process_is_left(turns: int) -> None:
    house = House().open()
    house.first.die()
    for _ in range(turns):
        await asyncio.sleep(0)

    await house.close()

    assert {f"{process.pid} is gone" for process in house.nursery.born} <= set(house.nursery.diary)
    assert len(house.household) == 0


@pytest.mark.parametrize("turns", range(6))
async def test_a_close_that_is_cancelled_leaves_no_process_either(turns: int) -> None:
    house = House().open()
    for process in house.nursery.born:
        process.is_deaf = True
    closing = asyncio.create_task(house.station.close())
    for _ in range(turns):
        await asyncio.sleep(0)

    closing.cancel()
    await asyncio.wait({closing})
    await house.household.close()

    assert {"100 is gone", "101 is gone"} <= set(house.nursery.diary)
    assert len(house.household) == 0
    await house.close()
