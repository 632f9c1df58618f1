import asyncio

import pytest

from bridge.call.floor import Floor


class Queue:
    """Speakers who note when they have the floor, and hold it until they are let go."""

    def __init__(self) -> None:
        self.floor = Floor()
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.over: dict[str, asyncio.Event] = {}

    async def enters(self, name: str, *, first: bool = False) -> None:
        self.over[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._speak(name, first))
        await self.settled()

    async def leaves(self, name: str) -> None:
        self.over[name].set()
        await self.settled()

    async def settled(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def _speak(self, name: str, first: bool) -> None:
        async with self.floor.turn(first=first):
            self.order.append(name)
            await self.over[name].wait()


async def test_who_came_first_speaks_first() -> None:
    queue = Queue()
    for name in "abc":
        await queue.enters(name)

    for name in "abc":
        await queue.leaves(name)

    assert queue.order == ["a", "b", "c"]
    assert not queue.floor.is_taken


async def test_who_is_let_to_the_front_speaks_next() -> None:
    queue = Queue()
    await queue.enters("a")
    await queue.enters("b")
    await queue.enters("urgent", first=True)

    for name in ("a", "urgent", "b"):
        await queue.leaves(name)

    assert queue.order == ["a", "urgent", "b"]


async def test_who_gives_up_waiting_is_passed_over() -> None:
    queue = Queue()
    for name in "abc":
        await queue.enters(name)

    queue.tasks["b"].cancel()
    await queue.leaves("a")

    assert queue.order == ["a", "c"]


async def test_who_gives_up_as_the_floor_comes_to_him_gives_it_on() -> None:
    queue = Queue()
    for name in "abc":
        await queue.enters(name)

    # His task learns of it a turn of the loop later: between the two it is cancelled.
    queue.over["a"].set()
    await asyncio.sleep(0)
    queue.tasks["b"].cancel()
    await queue.settled()

    assert queue.order == ["a", "c"]
    assert queue.tasks["b"].cancelled()
    await queue.leaves("c")
    assert not queue.floor.is_taken


async def test_a_failure_gives_the_floor_on() -> None:
    floor = Floor()

    with pytest.raises(ZeroDivisionError):
        async with floor.turn():
            raise ZeroDivisionError

    assert not floor.is_taken
