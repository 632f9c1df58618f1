"""What is awaited for how long, and what is said when it did not come."""

from bridge.cosyvoice.client import ClientTask
from bridge.cosyvoice.client_patience import ClientPatience, Deadlines
from bridge.cosyvoice.client_steps import Failed, Freed
from bridge.cosyvoice.message import SENTENCE_BEGIN, ResultGenerated, TaskStarted
from tests.cosyvoice.test_client import RUN, S, finishing, running, waiting


def test_deadlines_in_seconds_are_the_machines_patience() -> None:
    assert Deadlines().patience() == ClientPatience()
    assert Deadlines(task_s=1.5, started_s=2).patience() == ClientPatience(
        task_ns=3 * S // 2, started_ns=2 * S
    )


def test_the_default_ends_a_task_before_the_service_fails_it() -> None:
    assert Deadlines().text_pause_s * S < ClientPatience().silence_ns <= 20 * S


def test_a_service_without_a_first_sound_is_given_up() -> None:
    task = running()
    task.send_text("Hello there", now_ns=0)
    task.handle_timeout(now_ns=11 * S)
    task.send_text(". Hi", now_ns=11 * S)
    assert task.deadline_ns == 21 * S
    task.drain()

    task.handle_timeout(now_ns=21 * S)

    message = "no first sound within 10 s of the text"
    assert task.drain() == [
        Failed("Timeout", message, retryable=True, stage="first-sound"),
        Freed(reusable=False),
    ]


def test_a_service_that_stops_in_mid_sentence_is_given_up_while_text_is_still_being_written() -> None:
    task = running()
    task.send_text("Hello there. Hi", now_ns=0)
    task.receive(ResultGenerated("t", SENTENCE_BEGIN, 0, (), "Hello there. "), now_ns=1 * S)
    task.receive(b"\x01\x02", now_ns=2 * S)
    task.send_text(" Bob", now_ns=11 * S)
    task.drain()

    task.handle_timeout(now_ns=12 * S)

    assert task.drain() == [
        Failed("Timeout", "no sound for 10 s", retryable=True, stage="sound"),
        Freed(reusable=False),
    ]


def test_a_service_that_is_held_back_owes_nothing() -> None:
    task = finishing()
    task.receive(b"\x01\x02", now_ns=0)
    task.held_back()
    assert task.deadline_ns is None

    task.resumed(now_ns=50 * S)

    assert task.deadline_ns == 60 * S


def test_a_task_may_be_given_so_long_and_no_longer() -> None:
    task = ClientTask(RUN, rate=8000, patience=ClientPatience(task_ns=3 * S))
    task.bind(now_ns=1 * S)
    task.receive(TaskStarted("t"), now_ns=1 * S)
    task.drain()

    task.handle_timeout(now_ns=4 * S)

    message = "the task took longer than 3 s"
    assert task.drain() == [
        Failed("Timeout", message, retryable=False, stage="task"),
        Freed(reusable=False),
    ]


def test_who_waits_for_a_connection_in_use_by_others_does_not_wait_for_ever() -> None:
    task = waiting()
    assert task.deadline_ns is None
    task.queue(now_ns=0)

    task.handle_timeout(now_ns=10 * S)

    message = "no connection became free within 10 s: raise max_connections, or ask for less"
    assert task.drain() == [Failed("Timeout", message, retryable=True, stage="connection")]
