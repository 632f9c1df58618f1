"""The service's side of a recognition task."""

from bridge.cosyvoice.hearing import HearingParameters, run_hearing
from bridge.cosyvoice.message import (
    ContinueTask,
    FinishTask,
    ResultGenerated,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    encode_event,
)
from bridge.cosyvoice.service import ServerTask
from bridge.cosyvoice.service_steps import (
    BeginHearing,
    Close,
    End,
    Hear,
    TaskState,
)
from bridge.cosyvoice.transcript import Transcript
from tests.cosyvoice.test_service import S, failure_of, machine, running


def hearing() -> ServerTask:
    task = machine()
    task.receive(run_hearing("t", "paraformer-realtime-v2", sample_rate=16000), now_ns=0)
    assert task.drain() == [TaskStarted("t"), BeginHearing("t", HearingParameters(16000))]
    return task


def test_a_recognition_runs_from_its_start_to_its_end() -> None:
    task = hearing()
    told = Transcript("Yes.", 0, 400, is_final=True)

    task.receive_sound(b"ab", now_ns=1 * S)
    assert task.deadline_ns == 24 * S
    assert task.understood("t", told)
    task.receive(FinishTask("t"), now_ns=2 * S)
    assert task.deadline_ns is None
    assert task.done("t", now_ns=3 * S)
    assert not task.understood("t", told)

    hear, result, end, finished = task.drain()
    assert (hear, result, end) == (Hear("t", b"ab"), ResultGenerated("t", "", transcript=told), End("t"))
    assert isinstance(finished, TaskFinished)
    # The official SDK takes any other output of its end for a sentence.
    assert '"output":{},"usage":null' in encode_event(finished)
    assert task.state is TaskState.IDLE


def test_a_recognition_without_a_sound_ends_without_a_word() -> None:
    task = hearing()

    task.receive(FinishTask("t"), now_ns=0)

    assert task.drain() == [End("t")]


def test_a_recognition_that_is_refused_ends_the_connection() -> None:
    task = machine()
    task.receive(run_hearing("t", "paraformer-realtime-v2", sample_rate=1), now_ns=0)

    failed, close = task.drain()
    assert isinstance(failed, TaskFailed)
    assert isinstance(close, Close)


def test_text_has_no_place_in_a_recognition() -> None:
    task = hearing()

    task.receive(ContinueTask("t", "Hello."), now_ns=0)

    assert failure_of(task) == ("InvalidParameter", "Task t is not running")


def test_sound_has_a_place_only_in_a_running_recognition() -> None:
    idle, speaking, finishing, closed = machine(), running(), hearing(), machine()
    finishing.receive(FinishTask("t"), now_ns=0)
    closed.disconnected()

    for task in (idle, speaking, finishing, closed):
        task.receive_sound(b"ab", now_ns=0)

    assert [task.state for task in (idle, speaking, finishing)] == [TaskState.CLOSED] * 3
    assert closed.drain() == []


def test_a_recognition_of_silent_clients_fails_as_every_task_does() -> None:
    task = hearing()

    task.handle_timeout(now_ns=23 * S)

    assert failure_of(task) == ("CLIENT_ERROR", "request timeout after 23 seconds.")
