import json

from hypothesis import given
from hypothesis import strategies as st

from bridge.tts_v2.errors import ConnectionLost, RequestFailure
from bridge.tts_v2.task import Task
from tests.tts_v2.service import event, failed, progress


def started() -> Task:
    task = Task("id", None)
    assert not task.receive_text(event("task-started", "id"))
    return task


def test_sound_is_kept_in_order_and_its_beginning_is_noted() -> None:
    task = started()
    assert task.first_audio_ns is None

    task.receive_data(b"a")
    began = task.first_audio_ns
    task.receive_data(b"b")

    assert task.chunks == [b"a", b"b"]
    assert task.first_audio_ns == began is not None


def test_sound_before_the_start_belongs_to_another_task() -> None:
    task = Task("id", None)

    task.receive_data(b"a")

    assert task.chunks == []


def test_the_last_message_is_kept_whatever_it_is() -> None:
    task = started()
    assert task.last_message == json.loads(event("task-started", "id"))

    task.receive_text(progress("id"))

    assert task.last_message == json.loads(progress("id"))


def test_a_finished_task_is_over() -> None:
    task = started()

    assert task.receive_text(event("task-finished", "id"))
    assert task.is_over
    assert task.failure is None
    assert "the task is over" in str(task.lost())


def test_a_failed_task_knows_why() -> None:
    task = started()

    assert task.receive_text(failed("id", "Throttling", "slow down"))

    assert isinstance(task.failure, RequestFailure)
    assert (task.failure.name, task.failure.message, task.failure.http_code) == (
        "Throttling",
        "slow down",
        44,
    )
    assert (task.lost().name, task.lost().message) == ("Throttling", "slow down")


def test_a_failure_without_words_is_told_as_it_came() -> None:
    task = started()
    text = event("task-failed", "id")

    task.receive_text(text)

    assert task.failure is not None
    assert (task.failure.name, task.failure.message) == (None, text)


def test_events_of_other_tasks_change_nothing() -> None:
    task = Task("id", None)

    for name in ("task-started", "task-finished", "task-failed"):
        assert not task.receive_text(event(name, "another"))

    assert not task.started.is_set()
    assert task.last_message is None


def test_an_event_without_an_id_is_of_the_running_task() -> None:
    task = Task("id", None)

    task.receive_text('{"header": {"event": "task-started"}}')

    assert task.started.is_set()


def test_the_first_loss_counts() -> None:
    task = started()

    task.lose(ConnectionLost("id", "first", "Closed", 44))
    task.lose(ConnectionLost("id", "second", "Closed", 44))

    assert task.failure is not None
    assert task.failure.message == "first"
    assert task.lost() is task.failure


@given(
    st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5).map(json.dumps)
)
def test_any_text_is_an_event_or_dropped(text: str) -> None:
    task = started()

    assert not task.receive_text(text)
    assert not task.is_over


@given(st.text(max_size=200))
def test_no_words_of_a_user_end_a_task(words: str) -> None:
    task = started()
    lie = '"event": "task-finished", "task_id": "id"' + words

    assert not task.receive_text(progress("id", "sentence-begin", original_text=lie))
    assert not task.is_over


def test_nested_beyond_reason_is_dropped() -> None:
    task = started()

    assert not task.receive_text("[" * 100_000)
