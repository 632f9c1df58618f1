import asyncio

import pytest

from bridge.aio.pump import Pump
from bridge.clock import SystemClock

MS = 1_000_000


class Echo:
    """Repeats each word at once, and once more `later_ms` afterwards."""

    def __init__(self, *, later_ms: int = 0) -> None:
        self._later_ns = later_ms * MS
        self._due: list[tuple[int, str]] = []
        self._out: list[str] = []
        self.timeouts = 0

    @property
    def deadline_ns(self) -> int | None:
        return self._due[0][0] if self._due else None

    def receive(self, item: str, *, now_ns: int) -> None:
        self._out.append(item)
        if self._later_ns:
            self._due.append((now_ns + self._later_ns, item))
        if item == "bad":
            raise ValueError(item)

    def handle_timeout(self, *, now_ns: int) -> None:
        self.timeouts += 1
        while self._due and self._due[0][0] <= now_ns:
            self._out.append(self._due.pop(0)[1] + " again")

    def drain(self) -> list[str]:
        out, self._out = self._out, []
        return out


async def test_an_output_is_delivered_within_the_feed() -> None:
    heard: list[str] = []
    pump = Pump(Echo(), clock=SystemClock(), deliver=heard.append)

    pump.feed("hello")

    assert heard == ["hello"]


async def test_a_deadline_is_kept_by_one_timer() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    machine = Echo(later_ms=5)
    pump = Pump(machine, clock=SystemClock(), deliver=heard.put_nowait)

    pump.feed("a")
    pump.feed("b")

    assert [await heard.get() for _ in range(4)] == ["a", "b", "a again", "b again"]
    assert machine.deadline_ns is None
    pump.close()


async def test_a_closed_pump_says_nothing_more() -> None:
    heard: list[str] = []
    machine = Echo(later_ms=1)
    pump = Pump(machine, clock=SystemClock(), deliver=heard.append)
    pump.feed("a")

    pump.close()
    pump.feed("b")
    await asyncio.sleep(0.005)

    assert heard == ["a"]
    assert machine.timeouts == 0


async def test_what_a_delivery_feeds_comes_after_what_was_drained() -> None:
    heard: list[str] = []

    def deliver(word: str) -> None:
        heard.append(word)
        if word == "first":
            pump.feed("second")
            heard.append("first is done")

    pump = Pump(Echo(), clock=SystemClock(), deliver=deliver)

    pump.feed("first")

    assert heard == ["first", "first is done", "second"]


async def test_an_error_reaches_the_caller_after_the_outputs() -> None:
    heard: list[str] = []
    pump = Pump(Echo(), clock=SystemClock(), deliver=heard.append)

    with pytest.raises(ValueError, match="bad"):
        pump.feed("bad")

    assert heard == ["bad"]


async def test_a_delivery_that_fails_costs_neither_the_others_nor_the_feeder() -> None:
    heard: list[str] = []
    told: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

    def deliver(word: str) -> None:
        if word == "first":
            pump.feed("second")
            pump.feed("third")
            raise KeyError(word)
        heard.append(word)

    pump = Pump(Echo(), clock=SystemClock(), deliver=deliver)

    pump.feed("first")

    assert heard == ["second", "third"]
    assert [type(error) for error in told] == [KeyError]
