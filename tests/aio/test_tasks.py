import asyncio
import contextlib
import logging

import pytest

from bridge.aio.tasks import Tasks


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("a bug")


async def test_a_task_carries_its_owner_in_its_name() -> None:
    async with Tasks("sip") as tasks:
        task = tasks.start(forever(), name="call 1")

        assert task.get_name() == "sip:call 1"
        assert len(tasks) == 1


async def test_closing_ends_what_still_runs() -> None:
    async with Tasks("sip") as tasks:
        task = tasks.start(forever(), name="call")

    assert task.cancelled()
    assert len(tasks) == 0


async def test_a_failure_is_loud_and_spares_the_siblings(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[tuple[str, str]] = []
    async with Tasks("sip", on_failure=lambda name, error: failures.append((name, str(error)))) as tasks:
        sibling = tasks.start(forever(), name="sibling")
        failing = tasks.start(fail(), name="failing")
        with caplog.at_level(logging.ERROR):
            await asyncio.wait([failing])
            await asyncio.sleep(0)

        assert failures == [("sip:failing", "a bug")]
        assert "sip:failing failed: a bug" in caplog.text
        assert not sibling.done()


async def test_whoever_awaits_a_task_gets_its_result() -> None:
    async def answer() -> int:
        return 42

    async with Tasks("sip") as tasks:
        assert await tasks.start(answer(), name="answer") == 42


async def test_a_closed_group_starts_nothing() -> None:
    tasks = Tasks("sip")
    await tasks.close()

    with pytest.raises(RuntimeError, match="sip is closed and cannot start late"):
        tasks.start(forever(), name="late")


async def test_a_task_may_close_its_own_group() -> None:
    tasks = Tasks("sip")
    other = tasks.start(forever(), name="other")

    closer = tasks.start(tasks.close(), name="closer")
    await closer

    assert other.cancelled()
    assert not closer.cancelled()


async def test_a_task_that_does_not_end_is_left_behind_after_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    tasks = Tasks("call", patience_s=0)
    task = tasks.start(stubborn(), name="agent")
    await asyncio.sleep(0)

    await tasks.close()

    assert "call:agent does not end when it is cancelled" in caplog.text
    release.set()
    await asyncio.wait({task})
