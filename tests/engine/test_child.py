"""One life of the media process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.engine.child import MediaProcess, MediaSettings
from bridge.engine.commands import FlushRow, Message, OpenRow, Ready, RowOpened, SetInterruptible
from bridge.engine.shared import SharedMemory
from bridge.plane.events import Flushed
from tests.engine.fake_plane import spec

pytestmark = pytest.mark.e2e

SETTINGS = MediaSettings(capacity=2, realtime=False)


class Life:
    def __init__(self) -> None:
        self.said: asyncio.Queue[Message] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.memory = SharedMemory(2)
        self.process = MediaProcess(SETTINGS, on_message=self.said.put_nowait, on_end=self.end)
        self.process.carry(self.memory)

    async def stop(self) -> None:
        self.process.stop()
        await self.process.reap()
        self.process.abandon()

    def end(self) -> None:
        self.process.abandon()
        self.ended.set()

    async def hear(self) -> Message:
        async with asyncio.timeout(10):
            return await self.said.get()


@pytest_asyncio.fixture
async def life() -> AsyncIterator[Life]:
    made = Life()
    yield made
    await made.stop()
    made.memory.close_fd()


async def test_it_is_told_and_answers_and_stops(life: Life) -> None:
    ready = await life.hear()
    life.process.send(OpenRow(0, 0, spec(1)))
    opened = await life.hear()
    await life.stop()

    assert isinstance(ready, Ready)
    assert ready.pid == life.process.pid
    assert opened == RowOpened(0, 1)
    assert await life.process.reap() == 0
    assert not life.process.is_alive


async def test_orders_wait_for_a_process_that_is_busy_and_arrive_in_order(life: Life) -> None:
    await life.hear()
    life.process.send(OpenRow(0, 0, spec(1)))
    await life.hear()
    os.kill(life.process.pid, signal.SIGSTOP)

    for _ in range(1500):
        life.process.send(SetInterruptible(0, 1, 3))
    life.process.send(FlushRow(0, 1))
    os.kill(life.process.pid, signal.SIGCONT)

    assert isinstance(await life.hear(), Flushed)
    await life.stop()


async def test_the_end_is_told_once_and_nothing_is_sent_afterwards(life: Life) -> None:
    await life.hear()

    os.kill(life.process.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        await life.ended.wait()
    life.process.send(FlushRow(0, 1))
    life.process.abandon()
    await life.stop()

    assert await life.process.reap() == -signal.SIGKILL
    assert not life.process.is_alive


async def test_a_process_that_does_not_stop_is_killed(life: Life) -> None:
    await life.hear()
    os.kill(life.process.pid, signal.SIGSTOP)

    await life.stop()

    assert await life.process.reap() == -signal.SIGKILL
