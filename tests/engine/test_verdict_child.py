"""The judge's process from the control plane's side: told, heard, mourned and replaced."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
import pytest_asyncio

from bridge.engine.shared import SharedMemory
from bridge.engine.verdict import Verdict
from bridge.engine.verdict_child import VerdictProcess
from bridge.plane.floor import DUCKED
from tests.engine.phone import until

pytestmark = pytest.mark.e2e


class Court:
    """A judge with somebody who asks him."""

    def __init__(self, module: str = "tests.engine.judges.quick", *, pause_s: float = 0.1) -> None:
        self.told: list[Verdict] = []
        self.judge = VerdictProcess(self.told.extend, module=module, pause_s=pause_s)

    async def ask(self, memory: SharedMemory, row: int) -> Verdict:
        """Let a voice go on until somebody says what it is."""
        columns = memory.columns
        columns.capture[row, 0] = 900
        columns.question[row] += np.uint64(1)
        self.told.clear()
        async with asyncio.timeout(15):
            while not self.told:
                columns.capture_write[row] += np.uint64(160)
                self.judge.wake()
                await asyncio.sleep(0.01)
        return self.told[0]

    async def another(self, pid: int) -> int:
        """Wait for the next process."""
        async with asyncio.timeout(15):
            await until(lambda: self.judge.pid not in (0, pid))
        return self.judge.pid


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory(8)
    made.columns.generation[:] = np.arange(8) + 1
    made.columns.sensitivity[:] = 1
    made.columns.floor_state[:] = DUCKED
    yield made
    made.close_fd()


@pytest_asyncio.fixture
async def court() -> AsyncIterator[Court]:
    made = Court()
    yield made
    await made.judge.close()
    await made.judge.close()


async def until_logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(15):
        await until(lambda: words in caplog.text)


async def test_he_answers_on_the_loop(court: Court, memory: SharedMemory) -> None:
    court.judge.watch(memory)

    told = await court.ask(memory, 7)

    assert told == Verdict(row=7, generation=8, epoch=0, question=1, is_speech=True)


async def test_memory_is_judged_anew_when_it_is_shown_again(court: Court, memory: SharedMemory) -> None:
    court.judge.watch(memory)
    await court.ask(memory, 7)
    court.judge.watch(None)
    court.judge.watch(memory)

    assert (await court.ask(memory, 7)).question == 2


async def test_a_judge_who_dies_is_replaced_and_knows_the_memory(
    court: Court, memory: SharedMemory, caplog: pytest.LogCaptureFixture
) -> None:
    court.judge.watch(memory, place=3)
    await court.ask(memory, 7)
    pid = court.judge.pid

    os.kill(pid, signal.SIGKILL)
    await court.another(pid)

    assert (await court.ask(memory, 7)).question == 2
    assert "the judge ended by signal 9" in caplog.text


async def test_a_judge_who_does_not_listen_is_replaced(court: Court, memory: SharedMemory) -> None:
    court.judge.watch(memory)
    await court.ask(memory, 7)
    pid = court.judge.pid

    os.kill(pid, signal.SIGSTOP)
    for _ in range(2000):
        court.judge.wake()  # returns whether he reads or not
    await court.another(pid)

    assert (await court.ask(memory, 7)).question == 2


async def test_where_silero_does_not_load_nobody_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    court = Court("tests.engine.judges.unloadable")

    await until_logged(caplog, "voices are judged by their loudness alone")

    court.judge.wake()
    assert court.judge.pid == 0
    await court.judge.close()


async def test_a_judge_who_always_dies_is_given_up_on(caplog: pytest.LogCaptureFixture) -> None:
    court = Court("tests.engine.judges.brief", pause_s=0.01)

    await until_logged(caplog, "voices are judged by their loudness alone: the judge ended with status 0")

    assert caplog.text.count("the next one comes in") == 4
    assert court.judge.pid == 0
    await court.judge.close()


async def test_nobody_comes_after_the_end(caplog: pytest.LogCaptureFixture) -> None:
    court = Court("tests.engine.judges.brief", pause_s=5)
    await until_logged(caplog, "the next one comes in 5.0 s")

    await court.judge.close()

    assert court.judge.pid == 0


async def test_a_judge_who_does_not_end_by_himself_is_ended() -> None:
    court = Court("tests.engine.judges.deaf")
    pid = court.judge.pid

    await court.judge.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_judge_who_has_parted_but_not_ended_is_ended_as_well() -> None:
    court = Court("tests.engine.judges.parting")
    pid = court.judge.pid
    async with asyncio.timeout(15):
        await until(lambda: court.judge.pid == 0)

    await court.judge.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_he_ends_with_the_process_that_started_him(memory: SharedMemory) -> None:
    court = Court()
    court.judge.watch(memory)
    await court.ask(memory, 7)
    pid = court.judge.pid

    await court.judge.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
