"""The service's side of a CosyVoice connection: tasks one after another, each with its rules.

The edge decodes messages and feeds them to `ServerTask.receive`, runs a voice on what `drain` asks
for, and reports the voice's progress back. Whatever the voice reports late, for a task that was
cancelled or has failed, is refused here, so that nothing follows a terminal event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.cosyvoice import limits, voices
from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.hearing import hearing_parameters, is_hearing
from bridge.cosyvoice.limits import INVALID_PARAMETER, Refusal
from bridge.cosyvoice.message import (
    SENTENCE_BEGIN,
    SENTENCE_END,
    SENTENCE_SYNTHESIS,
    Action,
    ContinueTask,
    FinishTask,
    ResultGenerated,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    Word,
)
from bridge.cosyvoice.objections import objection
from bridge.cosyvoice.service_steps import (
    TRANSITIONS,
    Abandon,
    Audio,
    Begin,
    BeginHearing,
    Close,
    End,
    Flush,
    Hear,
    Output,
    Speak,
    Step,
    TaskState,
)
from bridge.cosyvoice.transcript import Transcript
from bridge.cosyvoice.voices import Model
from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.ports import IdSource
from bridge.text.characters import count_characters
from bridge.text.ssml import is_ssml

__all__ = ["ServerTask"]

_NORMAL, _GOING_AWAY, _BAD_PAYLOAD = 1000, 1001, 1007


@dataclass(slots=True)
class _Running:
    """What is known about the task in progress."""

    task_id: str
    request_id: str
    model: Model | None
    """None if the task recognises speech."""
    parameters: TaskParameters
    messages: int = 0
    received: int = 0
    spoken: int = 0
    sentences: int = 0
    open_sentence: str | None = None


class ServerTask:
    """One connection as the service sees it.

    Args:
        ids: Makes the request ids that tasks carry.
        now_ns: When the connection was opened.
        accepts: Says whether a model has a voice; the documented table by default.
    """

    def __init__(
        self,
        *,
        ids: IdSource,
        now_ns: int,
        accepts: Callable[[str, str], bool] = voices.matches,
    ) -> None:
        self.state: TaskState = TaskState.IDLE
        self.idle_ns: int = limits.IDLE_NS
        """After so long without a task the connection is closed; a fault makes it shorter."""
        self._ids = ids
        self._accepts = accepts
        self._task: _Running | None = None
        self._since_ns = now_ns
        self._outputs: list[Output] = []

    @property
    def task_id(self) -> str | None:
        """The task in progress."""
        return self._task.task_id if self._task else None

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while the voice finishes or all is over."""
        match self.state:
            case TaskState.IDLE:
                return self._since_ns + self.idle_ns
            case TaskState.RUNNING:
                return self._since_ns + limits.SILENCE_NS
            case _:
                return None

    def receive(self, item: Action, *, now_ns: int) -> None:
        """Take one message of the client; what breaks a rule fails its task and ends the connection."""
        if self.state is TaskState.CLOSED:
            return
        match item:
            case RunTask():
                self._run(item, now_ns=now_ns)
            case ContinueTask():
                self._continue(item, now_ns=now_ns)
            case FinishTask():
                self._finish(item, now_ns=now_ns)
            case _:
                self._refuse(item.task_id, Refusal(INVALID_PARAMETER, item.message), code=_BAD_PAYLOAD)

    def receive_sound(self, data: bytes, *, now_ns: int) -> None:
        """Take one binary frame of the client: sound, if a recognition task runs."""
        if self.state is TaskState.CLOSED:
            return
        if self._task is None or self._task.model is not None or self.state is not TaskState.RUNNING:
            self.receive_garbage()
            return
        self._step(Step.CONTINUE)
        self._since_ns = now_ns
        self._outputs.append(Hear(self._task.task_id, data))

    def receive_garbage(self) -> None:
        """Take a frame that `decode_action` could not read."""
        if self.state is not TaskState.CLOSED:
            self._refuse(self.task_id, limits.BAD_PAYLOAD, code=_BAD_PAYLOAD)

    def dismiss(self) -> None:
        """The service ends: say so to the task that runs, and close."""
        if self.state is not TaskState.CLOSED:
            self._refuse(self.task_id, limits.SHUTTING_DOWN, code=_GOING_AWAY)

    def disconnected(self) -> None:
        """The client has gone; a running task is abandoned."""
        if self._task:
            self._outputs.append(Abandon(self._task.task_id))
        self._task = None
        self.state = TaskState.CLOSED

    def handle_timeout(self, *, now_ns: int) -> None:
        """Close what has been silent for too long; harmless when early."""
        if self.deadline_ns is None or now_ns < self.deadline_ns:
            return
        if self._task:
            self._refuse(self._task.task_id, limits.SILENT_CLIENT, step=Step.TIMEOUT)
        else:
            self._step(Step.TIMEOUT)
            self._outputs.append(Close(_NORMAL, f"idle for {self.idle_ns / 1e9:g} seconds"))

    def drain(self) -> list[Output]:
        """What to send and what to ask of the voice, in order, since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def sentence_begin(self, task_id: str, text: str) -> bool:
        """The voice begins a sentence.

        Args:
            task_id: Task it speaks for.
            text: The sentence as the client wrote it, markup taken off, so that it can be found in its text.

        Returns:
            Whether the task still wants it; False tells the voice to stop.
        """
        task = self._wanting(task_id)
        if task is None:
            return False
        if task.open_sentence is not None:
            raise LocalProtocolError(f"a sentence begins inside sentence {task.sentences}")
        task.open_sentence = text
        task.spoken += count_characters(text)
        self._outputs.append(
            ResultGenerated(task_id, SENTENCE_BEGIN, index=task.sentences, original_text=text)
        )
        return True

    def audio(self, task_id: str, data: bytes) -> bool:
        """The voice delivers sound of the open sentence; returns whether it is still wanted."""
        task = self._wanting(task_id)
        if task is None:
            return False
        if task.open_sentence is None:
            raise LocalProtocolError("sound outside a sentence")
        self._outputs.append(ResultGenerated(task_id, SENTENCE_SYNTHESIS, index=task.sentences))
        self._outputs.append(Audio(data))
        return True

    def rest(self, task_id: str, data: bytes) -> bool:
        """The packer delivers its last bytes, after the last sentence; returns whether they are wanted.

        They hold no speech. They travel like sound of the last sentence, which may have ended
        long before: nobody knew then that it was the last.
        """
        task = self._wanting(task_id)
        if task is None:
            return False
        if self.state is not TaskState.FINISHING:
            raise LocalProtocolError(f"the rest of a task while {self.state.name}")
        index = max(0, task.sentences - 1)
        self._outputs.append(ResultGenerated(task_id, SENTENCE_SYNTHESIS, index=index))
        self._outputs.append(Audio(data))
        return True

    def sentence_end(self, task_id: str, words: Sequence[Word] = ()) -> bool:
        """The voice has delivered the open sentence.

        Args:
            task_id: Task it speaks for.
            words: Times from the first sample of this sentence; sent only if the client asked for them.

        Returns:
            Whether the task still wants more.
        """
        task = self._wanting(task_id)
        if task is None:
            return False
        if task.open_sentence is None:
            raise LocalProtocolError("a sentence ends that did not begin")
        self._outputs.append(
            ResultGenerated(
                task_id,
                SENTENCE_END,
                index=task.sentences,
                words=tuple(words) if task.parameters.word_timestamp_enabled else (),
                original_text=task.open_sentence,
                characters=task.spoken,
            )
        )
        task.sentences += 1
        task.open_sentence = None
        return True

    def understood(self, task_id: str, transcript: Transcript) -> bool:
        """The recogniser has understood something; returns whether the task still wants it."""
        if self._wanting(task_id) is None:
            return False
        self._outputs.append(ResultGenerated(task_id, "", transcript=transcript))
        return True

    def done(self, task_id: str, *, now_ns: int) -> bool:
        """Everything was delivered after `End`; returns whether anybody still waited."""
        task = self._wanting(task_id)
        if task is None:
            return False
        if task.open_sentence is not None or self.state is not TaskState.FINISHING:
            raise LocalProtocolError(f"done while {self.state.name}")
        self._conclude(Step.DONE, task.received, now_ns=now_ns)
        return True

    def fail(self, task_id: str, refusal: Refusal) -> bool:
        """The voice or the recogniser cannot go on; returns whether anybody still waited."""
        if self._wanting(task_id) is None:
            return False
        self._refuse(task_id, refusal)
        return True

    def _run(self, item: RunTask, *, now_ns: int) -> None:
        if self.state is not TaskState.IDLE:
            # Binary frames carry no task id: two tasks could not be told apart.
            message = f"Task {item.task_id} cannot start while {self.task_id} is running"
            self._refuse(item.task_id, Refusal(INVALID_PARAMETER, message))
            return
        if is_hearing(item):
            self._run_hearing(item, now_ns=now_ns)
            return
        try:
            parameters = TaskParameters.from_wire(item.parameters)
        except RemoteProtocolError as error:
            self._refuse(item.task_id, Refusal(INVALID_PARAMETER, str(error)))
            return
        if (refusal := objection(item, parameters, accepts=self._accepts)) is not None:
            self._refuse(item.task_id, refusal)
            return
        self._step(Step.RUN)
        self._since_ns = now_ns
        request_id = self._ids.token()
        self._task = _Running(item.task_id, request_id, voices.MODELS[item.model], parameters)
        self._outputs += [TaskStarted(item.task_id), Begin(item.task_id, item.model, parameters, request_id)]
        if item.text:
            self._append(self._task, item.text)

    def _run_hearing(self, item: RunTask, *, now_ns: int) -> None:
        parameters = hearing_parameters(item)
        if isinstance(parameters, Refusal):
            self._refuse(item.task_id, parameters)
            return
        self._step(Step.RUN)
        self._since_ns = now_ns
        self._task = _Running(item.task_id, self._ids.token(), None, TaskParameters())
        self._outputs += [TaskStarted(item.task_id), BeginHearing(item.task_id, parameters)]

    def _continue(self, item: ContinueTask, *, now_ns: int) -> None:
        task = self._wanting(item.task_id)
        if task is None or task.model is None or self.state is not TaskState.RUNNING:
            message = f"Task {item.task_id} is not running"
            self._refuse(item.task_id, Refusal(INVALID_PARAMETER, message))
            return
        self._step(Step.CONTINUE)
        self._since_ns = now_ns
        if item.text:
            self._append(task, item.text)
        if item.flush and self._task is task:
            self._outputs.append(Flush(task.task_id))

    def _append(self, task: _Running, text: str) -> None:
        has_tags = is_ssml(text)
        length = count_characters(text, ssml=has_tags)
        task.messages += 1
        task.received += length
        if task.parameters.enable_ssml and task.messages > 1:
            self._refuse(task.task_id, limits.SECOND_SSML)
        elif length > limits.MESSAGE_CHARACTERS:
            self._refuse(task.task_id, limits.too_long("message", length, limits.MESSAGE_CHARACTERS))
        elif task.received > limits.TASK_CHARACTERS:
            self._refuse(task.task_id, limits.too_long("task", task.received, limits.TASK_CHARACTERS))
        elif has_tags and not (task.parameters.enable_ssml and task.model is not None and task.model.ssml):
            self._refuse(task.task_id, limits.NO_SSML)
        else:
            self._outputs.append(Speak(task.task_id, text))

    def _finish(self, item: FinishTask, *, now_ns: int) -> None:
        task = self._wanting(item.task_id)
        if task is None:
            return
        if item.cancel:
            self._outputs.append(Abandon(task.task_id))
            self._conclude(Step.CANCEL, task.spoken, now_ns=now_ns)
        elif task.model is not None and not task.messages:
            self._refuse(task.task_id, limits.EMPTY_TEXT)
        elif self.state is TaskState.RUNNING:
            self._step(Step.FINISH)
            self._outputs.append(End(task.task_id))

    def _conclude(self, step: Step, characters: int, *, now_ns: int) -> None:
        task = self._task
        assert task is not None  # noqa: S101  callers have looked
        self._step(step)
        self._task = None
        self._since_ns = now_ns
        is_of_hearing = task.model is None
        self._outputs.append(TaskFinished(task.task_id, task.request_id, characters, is_of_hearing))

    def _refuse(
        self, task_id: str | None, refusal: Refusal, *, code: int = _NORMAL, step: Step = Step.FAIL
    ) -> None:
        """Say that a task failed, and end the connection with whatever runs on it."""
        self._step(step)
        running, self._task = self._task, None
        if running is not None:
            self._outputs.append(Abandon(running.task_id))
            if running.task_id != task_id:
                self._outputs.append(TaskFailed(running.task_id, refusal.code, refusal.message))
        if task_id is not None:
            self._outputs.append(TaskFailed(task_id, refusal.code, refusal.message))
        self._outputs.append(Close(code, refusal.message))

    def _wanting(self, task_id: str) -> _Running | None:
        return self._task if self._task is not None and self._task.task_id == task_id else None

    def _step(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state][step]
