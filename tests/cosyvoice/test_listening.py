"""The client's side of a recognition task, alone and against the service's."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.hearing import run_hearing
from bridge.cosyvoice.limits import SHUTTING_DOWN
from bridge.cosyvoice.listening import HearingPatience, HearingTask, Listen, Understood
from bridge.cosyvoice.message import (
    Event,
    FinishTask,
    ResultGenerated,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from bridge.cosyvoice.service import ServerTask
from bridge.cosyvoice.service_steps import Abandon, BeginHearing, Close, End, Hear, TaskState
from bridge.cosyvoice.task import ClientState, Ended, Failed, Freed
from bridge.cosyvoice.transcript import Transcript
from tests.fakes import MS, SeededIds

S = 1000 * MS
RUN = run_hearing("t", "paraformer-realtime-v2", sample_rate=16000)
BROKEN = Failed("Closed", "the connection broke", retryable=True)
YES = Transcript("Yes.", 0, 400, is_final=True)


def waiting() -> HearingTask:
    return HearingTask(RUN, most_kept_bytes=8, now_ns=0)


def starting() -> HearingTask:
    task = waiting()
    task.bind(now_ns=0)
    assert task.drain() == [RUN]
    return task


def running() -> HearingTask:
    task = starting()
    task.receive(TaskStarted("t"), now_ns=0)
    assert task.drain() == []
    return task


def finishing() -> HearingTask:
    task = running()
    task.hear(b"ab")
    task.finish(now_ns=0)
    assert task.drain() == [Listen(b"ab"), FinishTask("t")]
    return task


def cancelling() -> HearingTask:
    task = running()
    task.cancel(now_ns=0)
    assert task.drain() == [FinishTask("t", cancel=True), Ended()]
    return task


def test_sound_waits_for_the_service_and_then_goes_in_order() -> None:
    task = waiting()
    task.hear(b"ab")
    task.bind(now_ns=0)
    task.hear(b"cd")
    task.hear(b"")
    assert task.drain() == [RUN]

    task.receive(TaskStarted("t"), now_ns=1 * S)
    task.hear(b"ef")
    task.finish(now_ns=1 * S)

    assert task.drain() == [Listen(b"ab"), Listen(b"cd"), Listen(b"ef"), FinishTask("t")]
    assert task.state is ClientState.FINISHING


def test_an_utterance_that_ended_before_the_service_was_ready_is_understood_all_the_same() -> None:
    task = starting()
    task.hear(b"ab")
    task.finish(now_ns=0)
    task.finish(now_ns=0)
    task.hear(b"too late")

    task.receive(TaskStarted("t"), now_ns=0)
    task.receive(TaskStarted("t"), now_ns=0)
    task.receive(ResultGenerated("t", "", transcript=YES), now_ns=0)
    task.receive(TaskFinished("t"), now_ns=0)

    assert task.drain() == [Listen(b"ab"), FinishTask("t"), Understood(YES), Ended(), Freed(reusable=True)]
    assert task.is_over
    assert task.deadline_ns is None


def test_a_sign_of_life_is_no_sentence() -> None:
    task = running()

    task.receive(ResultGenerated("t", "", transcript=Transcript("", is_heartbeat=True)), now_ns=0)
    task.receive(ResultGenerated("t", "sentence-begin"), now_ns=0)

    assert task.drain() == []


def test_silence_costs_nothing_at_the_service() -> None:
    task = running()

    task.finish(now_ns=0)

    assert task.drain() == [FinishTask("t", cancel=True), Ended()]


def test_nobody_who_waits_is_asked_for_when_the_utterance_is_given_up() -> None:
    task = waiting()
    task.hear(b"ab")

    task.cancel(now_ns=0)
    task.cancel(now_ns=0)
    task.hear(b"cd")
    task.finish(now_ns=0)
    task.lost(BROKEN)

    assert task.drain() == [Ended()]
    assert task.failure is None


def test_more_sound_than_may_wait_is_an_utterance_lost() -> None:
    task = starting()

    task.hear(b"12345678")
    task.hear(b"9")
    task.hear(b"and so on")

    failed, freed = task.drain()
    assert isinstance(failed, Failed)
    assert (failed.code, freed) == ("Busy", Freed(reusable=False))


def test_a_cancelled_task_tells_nothing_and_leaves_its_connection_to_the_next() -> None:
    task = cancelling()

    task.receive(ResultGenerated("t", "", transcript=YES), now_ns=0)
    task.receive(TaskFinished("t"), now_ns=0)

    assert task.drain() == [Freed(reusable=True)]


def test_a_service_that_does_not_answer_a_cancel_loses_its_connection() -> None:
    task = cancelling()
    deadline_ns = task.deadline_ns
    assert deadline_ns == 300 * MS

    task.handle_timeout(now_ns=deadline_ns - 1)
    assert task.drain() == []
    task.handle_timeout(now_ns=deadline_ns)

    assert task.drain() == [Freed(reusable=False)]
    assert task.failure is None


@pytest.mark.parametrize(
    ("task", "wait_ns", "told"),
    [
        (waiting(), 10 * S, "no connection within 10 s"),
        (starting(), 5 * S, "no task-started within 5 s"),
        (finishing(), 30 * S, "nothing understood within 30 s"),
    ],
)
def test_what_does_not_come_in_time_is_given_up(task: HearingTask, wait_ns: int, told: str) -> None:
    assert task.deadline_ns == wait_ns

    task.handle_timeout(now_ns=wait_ns)

    assert task.failure == Failed("Timeout", told, retryable=True)
    assert task.drain()[0] == task.failure


def test_words_that_come_late_are_waited_for_as_long_as_they_come() -> None:
    task = finishing()

    task.receive(ResultGenerated("t", "", transcript=YES), now_ns=20 * S)

    assert task.deadline_ns == 50 * S


def test_a_running_task_is_bounded_by_who_speaks() -> None:
    task = running()

    assert task.deadline_ns is None
    task.handle_timeout(now_ns=100 * S)
    assert task.drain() == []


def test_the_service_says_why_it_failed() -> None:
    task = running()

    task.receive(TaskFailed("t", "InternalError", "no ears today"), now_ns=0)
    task.receive(TaskFailed("t", "", "again"), now_ns=0)

    assert task.drain() == [Failed("InternalError", "no ears today", retryable=True), Freed(reusable=False)]
    assert task.strays == 1


def test_a_failure_without_a_code_has_a_name() -> None:
    task = running()

    task.receive(TaskFailed("t", "", ""), now_ns=0)

    assert task.drain()[0] == Failed("Unknown", "", retryable=False)


def test_what_is_of_another_task_is_counted_and_dropped() -> None:
    task = waiting()
    task.receive(TaskStarted("t"), now_ns=0)
    task.bind(now_ns=0)
    task.receive(TaskStarted("other"), now_ns=0)
    task.receive(b"sound of a voice", now_ns=0)

    assert task.strays == 3
    assert task.state is ClientState.STARTING


class Wires:
    """A client and a service, and what travels between them, each way as slowly as it likes."""

    def __init__(self) -> None:
        self.client = HearingTask(RUN, most_kept_bytes=64, now_ns=0, patience=HearingPatience())
        self.service = ServerTask(ids=SeededIds(), now_ns=0)
        self.up: list[RunTask | FinishTask | Listen] = []
        self.down: list[Event] = []
        self.sent: list[bytes] = []
        self.arrived: list[bytes] = []
        self.ends = self.frees = 0
        self.client.bind(now_ns=0)

    def carry_up(self) -> None:
        if not self.up:
            return
        message = self.up.pop(0)
        if isinstance(message, Listen):
            self.service.receive_sound(message.data, now_ns=0)
        else:
            self.service.receive(message, now_ns=0)

    def carry_down(self) -> None:
        if self.down:
            self.client.receive(self.down.pop(0), now_ns=0)

    def done(self) -> None:
        if self.service.state is TaskState.FINISHING:
            self.service.done("t", now_ns=0)

    def settle(self) -> None:
        for output in self.client.drain():
            self.ends += isinstance(output, Ended | Failed)
            self.frees += isinstance(output, Freed)
            if isinstance(output, Listen):
                self.sent.append(output.data)
            if isinstance(output, RunTask | FinishTask | Listen):
                self.up.append(output)
        for asked in self.service.drain():
            if isinstance(asked, Hear):
                self.arrived.append(asked.data)
            elif not isinstance(asked, BeginHearing | End | Close | Abandon):
                assert isinstance(asked, TaskStarted | ResultGenerated | TaskFinished | TaskFailed)
                self.down.append(asked)


STEPS: dict[str, Callable[[Wires, bytes], object]] = {
    "hear": lambda wires, data: wires.client.hear(data),
    "finish": lambda wires, _: wires.client.finish(now_ns=0),
    "cancel": lambda wires, _: wires.client.cancel(now_ns=0),
    "up": lambda wires, _: wires.carry_up(),
    "down": lambda wires, _: wires.carry_down(),
    "understand": lambda wires, _: wires.service.understood("t", YES),
    "done": lambda wires, _: wires.done(),
    "fail": lambda wires, _: wires.service.fail("t", SHUTTING_DOWN),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.binary(max_size=4)), max_size=40))
def test_client_and_service_agree_whatever_happens_between_them(steps: list[tuple[str, bytes]]) -> None:
    wires = Wires()
    wires.settle()

    for name, data in steps:
        STEPS[name](wires, data)
        wires.settle()

    assert wires.arrived == wires.sent[: len(wires.arrived)]
    assert wires.frees <= wires.ends <= 1
    assert wires.client.failure is None or wires.client.state is ClientState.FAILED
