"""A thread that does what would block."""

import threading

import pytest

from bridge.aio.worker import Worker


async def test_what_is_asked_for_is_answered_from_another_thread() -> None:
    worker = Worker("test", room=4)

    answer = await worker.ask(threading.get_ident, 0)

    assert answer not in (0, threading.get_ident())
    assert await worker.close()


async def test_a_job_that_fails_answers_with_the_default_and_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Worker("test", room=4)

    assert await worker.ask(lambda: 1 // 0, -1) == -1
    assert await worker.ask(lambda: 5, -1) == 5

    assert await worker.close()
    assert "a job of test failed" in caplog.text


async def test_a_full_queue_refuses_and_waits_for_nobody() -> None:
    worker, begun, gate = Worker("test", room=1), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        gate.wait()

    assert worker.post(hang)
    assert begun.wait(5)
    assert worker.post(lambda: None)
    assert not worker.post(lambda: None)
    assert await worker.ask(lambda: 1, 2) == 2

    gate.set()
    assert await worker.close()


async def test_what_waits_is_done_before_the_end_and_nothing_after_it() -> None:
    worker, done = Worker("test", room=10), []
    for number in range(5):
        worker.post(lambda number=number: done.append(number))  # type: ignore[misc]

    assert await worker.close()
    assert await worker.close()

    assert done == [0, 1, 2, 3, 4]
    assert not worker.post(lambda: None)


async def test_a_thread_that_hangs_does_not_keep_us() -> None:
    worker, gate = Worker("test", room=1), threading.Event()
    worker.post(gate.wait)
    worker.post(lambda: None)

    assert not await worker.close(patience_s=0.05)

    gate.set()


async def test_an_idle_thread_looks_after_things() -> None:
    looked = threading.Event()
    worker = Worker("test", room=1, on_idle=looked.set, idle_s=0.01)

    assert await worker.ask(lambda: looked.wait(5), False) or looked.wait(5)
    assert await worker.close()
