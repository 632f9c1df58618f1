"""Laws of a connection under random clients: every task ends once, and nothing follows its end."""

from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.cosyvoice.limits import MESSAGE_CHARACTERS, Refusal
from bridge.cosyvoice.message import (
    SENTENCE_SYNTHESIS,
    ContinueTask,
    FinishTask,
    Malformed,
    ResultGenerated,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from bridge.cosyvoice.service import ServerTask
from bridge.cosyvoice.service_steps import Abandon, Audio, Begin, Close, End, Flush, Output, Speak, TaskState
from tests.fakes import MS, SeededIds

S = 1000 * MS
GOOD = {"voice": "longanyang", "format": "pcm", "sample_rate": 8000}
FOREIGN = "nobody's"
MISDEEDS = st.sampled_from(
    [
        RunTask("second", "cosyvoice-v3-flash", GOOD),
        RunTask("t1", "cosyvoice-v3-flash", GOOD),
        RunTask("t2", "cosyvoice-v9", GOOD),
        RunTask("t2", "cosyvoice-v3-flash", GOOD | {"voice": "nobody"}),
        RunTask("t2", "cosyvoice-v3-flash", GOOD | {"rate": 9}),
        RunTask("t1", "cosyvoice-v3-flash", GOOD, "x" * (MESSAGE_CHARACTERS + 1)),
        ContinueTask(FOREIGN, "Hello. "),
        ContinueTask("t1", "x" * (MESSAGE_CHARACTERS + 1)),
        FinishTask(FOREIGN),
        FinishTask(FOREIGN, cancel=True),
        FinishTask("t1"),
        FinishTask("t1", cancel=True),
        Malformed("t1", "task can not be null"),
        Malformed(FOREIGN, "task can not be null"),
        "garbage",
        "silence",
        "leave",
    ]
)
"""What no honest client does."""


@dataclass
class Voice:
    """Who speaks for one task, and may not know yet that nobody listens any more."""

    task_id: str
    mark: bytes
    is_in_sentence: bool = False
    may_be_done: bool = False
    is_abandoned: bool = False


class RandomClients(RuleBasedStateMachine):
    """One connection after another: any messages in any order, time that passes, voices that report late.

    Most messages make sense, else few connections would live to see a second task.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.runs = 0
        self.open()

    @precondition(lambda self: self.is_closed)
    @rule()
    def open(self) -> None:
        self.machine = ServerTask(ids=SeededIds(), now_ns=self.now_ns)
        self.voices: list[Voice] = []
        self.running: str | None = None
        self.started = self.ended = 0
        self.announced = False
        self.is_closed = False

    @precondition(lambda self: self.running is None)
    @rule(text=st.sampled_from(["", "Hello. "]), name=st.sampled_from(["new", "new", "again"]))
    def run(self, text: str, name: str) -> None:
        self.runs += name == "new"
        self._receive(RunTask(f"t{self.runs}", "cosyvoice-v3-flash", GOOD, text))

    @precondition(lambda self: self.running)
    @rule(text=st.sampled_from(["Hello. ", "Half", ""]), flush=st.booleans())
    def continue_(self, text: str, flush: bool) -> None:
        assert self.running is not None
        self._receive(ContinueTask(self.running, text, flush))

    @precondition(lambda self: self.running)
    @rule(cancel=st.booleans())
    def finish(self, cancel: bool) -> None:
        assert self.running is not None
        self._receive(FinishTask(self.running, cancel))

    @precondition(lambda self: self.running is None and not self.is_closed)
    @rule(cancel=st.booleans())
    def speak_a_whole_task(self, cancel: bool) -> None:
        self.run("Hello. ", "new")
        voice = self.voices[-1]
        self.machine.sentence_begin(voice.task_id, "Hello. ")
        self.machine.audio(voice.task_id, voice.mark)
        voice.is_in_sentence = cancel
        if not cancel:
            self.machine.sentence_end(voice.task_id)
        self.finish(cancel)
        if not cancel:
            self.machine.done(voice.task_id, now_ns=self.now_ns)
        self._take()
        assert self.running is None

    @rule(seconds=st.sampled_from([0, 1, 11, 22]))
    def let_time_pass(self, seconds: int) -> None:
        self.now_ns += seconds * S
        self.machine.handle_timeout(now_ns=self.now_ns)
        self._take()

    @rule(deed=MISDEEDS)
    def break_a_rule(self, deed: RunTask | ContinueTask | FinishTask | Malformed | str) -> None:
        match deed:
            case "garbage":
                self.machine.receive_garbage()
                self._take()
            case "silence":
                self.let_time_pass(24)
                self.let_time_pass(61)
            case "leave":
                self.machine.disconnected()
                self.ended += self.running is not None
                self.running = None
                self.is_closed = True
                self._take()
            case RunTask() | ContinueTask() | FinishTask() | Malformed():
                self._receive(deed)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def let_the_voice_report(self, data: st.DataObject) -> None:
        self._report(self.voices[-1], data)

    @precondition(lambda self: self.voices)
    @rule(data=st.data())
    def let_any_voice_report(self, data: st.DataObject) -> None:
        self._report(data.draw(st.sampled_from(self.voices)), data)

    def _report(self, voice: Voice, data: st.DataObject) -> None:
        if voice.is_abandoned and voice.task_id == self.running:
            # The edge knows which of two voices of one name it has stopped; a name alone cannot tell.
            return
        is_wanted = voice.task_id == self.running
        wishes = ["audio", "audio", "end", "fail"] if voice.is_in_sentence else ["begin", "begin", "fail"]
        if voice.may_be_done and not voice.is_in_sentence:
            wishes += ["done", "done"]
        match data.draw(st.sampled_from(wishes)):
            case "begin":
                voice.is_in_sentence = True
                assert self.machine.sentence_begin(voice.task_id, "Hello. ") == is_wanted
            case "audio":
                assert self.machine.audio(voice.task_id, voice.mark) == is_wanted
            case "end":
                voice.is_in_sentence = False
                assert self.machine.sentence_end(voice.task_id) == is_wanted
            case "done":
                assert self.machine.done(voice.task_id, now_ns=self.now_ns) == is_wanted
            case "fail":
                assert self.machine.fail(voice.task_id, Refusal("InternalError", "broken")) == is_wanted
        self._take()

    @invariant()
    def a_task_that_runs_can_end(self) -> None:
        if self.is_closed:
            assert self.machine.state is TaskState.CLOSED
        elif self.running is None:
            assert self.machine.state is TaskState.IDLE
            assert self.machine.deadline_ns is not None
        else:
            # Either a deadline ends it, or the voice has been told to report when it is done.
            voice = self.voices[-1]
            assert (self.machine.deadline_ns is None) == voice.may_be_done

    def teardown(self) -> None:
        """Whatever has happened: the voice ends, or time does, and then every task has had its end."""
        if self.running is not None:
            voice = self.voices[-1]
            if voice.is_in_sentence:
                self.machine.sentence_end(voice.task_id)
            if voice.may_be_done:
                self.machine.done(voice.task_id, now_ns=self.now_ns)
            self.let_time_pass(24)
        assert self.started == self.ended

    def _receive(self, item: RunTask | ContinueTask | FinishTask | Malformed) -> None:
        self.machine.receive(item, now_ns=self.now_ns)
        self._take()

    def _take(self) -> None:
        for output in self.machine.drain():
            assert not self.is_closed or isinstance(output, Abandon), f"{output} after the end"
            self._check(output)

    def _check(self, output: Output) -> None:
        match output:
            case TaskStarted(task_id):
                assert self.running is None
                self.running = task_id
                self.started += 1
            case ResultGenerated(task_id, kind):
                assert task_id == self.running
                assert not self.announced
                self.announced = kind == SENTENCE_SYNTHESIS
            case Audio(data):
                assert self.announced
                self.announced = False
                assert data == self.voices[-1].mark
                assert self.running == self.voices[-1].task_id
            case TaskFinished(task_id):
                assert task_id == self.running
                self._end()
            case TaskFailed(task_id):
                # A task that could not start fails too; then whatever ran has failed before it.
                if task_id == self.running:
                    self._end()
                assert self.running is None
            case Close():
                assert self.running is None
                self.is_closed = True
            case Begin(task_id):
                assert task_id == self.running
                self.voices.append(Voice(task_id, f"{task_id} {len(self.voices)}".encode()))
            case Speak(task_id) | Flush(task_id):
                assert task_id == self.running
                assert not self.voices[-1].may_be_done
            case End(task_id):
                assert task_id == self.running
                self.voices[-1].may_be_done = True
            case Abandon(task_id):
                assert task_id == self.voices[-1].task_id
                self.voices[-1].is_abandoned = True

    def _end(self) -> None:
        self.ended += 1
        self.running = None
        # A voice that has said all it had may still be asked for more by its own mistake.
        self.voices[-1].is_abandoned = True


RandomClients.TestCase.settings = settings(
    max_examples=max(200, settings().max_examples),
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of the service
)
TestTwoHundredRandomClients = RandomClients.TestCase
