"""The client's side of one CosyVoice task, from run-task to its terminal event.

The edge writes what `drain` hands out, feeds back what the socket brings, and frees the connection
when told. Audio carries no task id: after a cancel this machine swallows it until the terminal
event, so that the connection never delivers a stale word to the next task.
"""

from bridge.cosyvoice.client_patience import ClientPatience, Waits, late
from bridge.cosyvoice.client_side import ClientSide
from bridge.cosyvoice.client_steps import (
    TRANSITIONS,
    ClientState,
    ClientStep,
    Failed,
    Freed,
    Sound,
)
from bridge.cosyvoice.cutting import cut_text
from bridge.cosyvoice.limits import INVALID_PARAMETER, MESSAGE_CHARACTERS
from bridge.cosyvoice.message import (
    ContinueTask,
    Event,
    FinishTask,
    ResultGenerated,
    RunTask,
    TaskStarted,
)
from bridge.cosyvoice.words import WordTimeline
from bridge.errors import LocalProtocolError
from bridge.ports import SentenceMark, WordTime
from bridge.text.characters import count_characters
from bridge.text.sentence import SentenceSplitter

__all__ = ["ClientTask"]

_ENDED = (ClientState.CANCELLING, ClientState.DONE, ClientState.FAILED)

# Asked with every frame, where naming the states anew would cost more than the question.
_NOT_ITS_OWN = (ClientState.WAITING, ClientState.DONE)
_SPEAKING = (ClientState.RUNNING, ClientState.FINISHING)
_CANCELLING = ClientState.CANCELLING


class ClientTask(ClientSide[ContinueTask | Sound]):
    """One utterance at the service.

    Args:
        run: What opens the task.
        rate: Sampling frequency of the PCM it asks for, in Hz; 0 for any other format, whose sound is
            handed on as it comes.
        patience: Bounds; the defaults follow the documented timers.
    """

    def __init__(self, run: RunTask, *, rate: int, patience: ClientPatience | None = None) -> None:
        super().__init__(run)
        self.was_silent: bool = False
        """Whether it was ended because no more text came."""
        self._rate = rate
        self._timeline = WordTimeline(rate)
        self._text = _Text(is_single=run.parameters.get("enable_ssml") is True)
        self._half = b""
        self._waits = Waits(patience or ClientPatience())

    @property
    def words(self) -> list[WordTime]:
        """Word times so far, in the whole text, from the first sample."""
        return self._timeline.words

    @property
    def sentence(self) -> SentenceMark | None:
        """See `bridge.ports.Speech`."""
        return self._timeline.sentence

    @property
    def ahead(self) -> int:
        """Counted characters that were given and not come to yet; 0 once nobody will come to them."""
        return self._timeline.ahead if self.state not in _ENDED else 0

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nothing is awaited."""
        due = self._waits.due(self.state, is_in_sentence=self._timeline.is_in_sentence)
        return due[0] if due is not None else None

    def queue(self, *, now_ns: int) -> None:
        """There is no connection to be had at present."""
        self._waits.queued_ns = now_ns

    def bind(self, *, now_ns: int) -> None:
        """A connection is there: open the task on it."""
        self._step(ClientStep.BIND)
        self._waits.bound_ns = self._waits.since_ns = now_ns
        self._outputs.append(self._run)

    def send_text(self, text: str, *, now_ns: int) -> bool:
        """Append text; it waits here until the service is ready for it.

        Returns:
            False if the task has ended and nobody will speak it.

        Raises:
            LocalProtocolError: After `finish`.
        """
        if self.state in _ENDED:
            return False
        if self._text.is_complete:
            raise LocalProtocolError(f"text after the end of task {self.task_id}")
        if self.state is ClientState.FINISHING:
            return False
        if text:
            self._timeline.text_sent(text)
            self._text.kept.append(text)
            self._write_kept(now_ns=now_ns)
        return True

    def finish(self, *, now_ns: int) -> None:
        """No more text will follow; harmless when said twice or too late."""
        self._text.is_complete = True
        self._write_kept(now_ns=now_ns)

    def cancel(self, *, now_ns: int) -> None:
        """Abandon the task; harmless when it has ended."""
        if ClientStep.CANCEL not in TRANSITIONS[self.state]:
            return
        self._abandon()
        self._waits.since_ns = now_ns

    def receive(self, item: Event | bytes, *, now_ns: int) -> None:
        """Take what the connection brought; what belongs to another task is counted and dropped."""
        if isinstance(item, bytes):
            self._receive_sound(item, now_ns=now_ns)
            return
        if item.task_id != self.task_id or self.state in _NOT_ITS_OWN:
            self.strays += 1
            return
        match item:
            case TaskStarted():
                self._started(now_ns=now_ns)
            case ResultGenerated():
                self._note(item, now_ns=now_ns)
            case _:
                self._ended(item)

    def held_back(self) -> None:
        """The listener has enough: what the service owes is not awaited until `resumed`."""
        self._waits.is_held = True

    def resumed(self, *, now_ns: int) -> None:
        """The listener reads again: the time it took is not held against the service."""
        self._waits.resumed(now_ns=now_ns)

    def handle_timeout(self, *, now_ns: int) -> None:
        """Act on what did not come; harmless when early."""
        due = self._waits.due(self.state, is_in_sentence=self._timeline.is_in_sentence)
        if due is None or now_ns < due[0]:
            return
        stage = due[1]
        if self.state is ClientState.CANCELLING:
            self._step(ClientStep.FAIL)
            self._outputs.append(Freed(reusable=False))
        elif stage == "text":
            self._silent(now_ns=now_ns)
        else:
            self._end(ClientStep.FAIL, late(stage, self._waits.length_ns(stage)))

    def _started(self, *, now_ns: int) -> None:
        if self.state is ClientState.STARTING:
            self._step(ClientStep.STARTED)
            self._waits.since_ns = now_ns
            self._write_kept(now_ns=now_ns)

    def _write_kept(self, *, now_ns: int, is_all: bool = False) -> None:
        if self.state is not ClientState.RUNNING:
            return
        is_all = is_all or self._text.is_complete
        for piece in self._text.take(is_all=is_all):
            self._write_text(piece, now_ns=now_ns)
        if self.state is ClientState.RUNNING and is_all:
            self._complete(now_ns=now_ns)

    def _write_text(self, text: str, *, now_ns: int) -> None:
        if self._text.is_single and (count := count_characters(text, ssml=True)) > MESSAGE_CHARACTERS:
            message = f"SSML goes in one message of {MESSAGE_CHARACTERS} characters at most, not {count}"
            self.failure = Failed(INVALID_PARAMETER, message, retryable=False)
            self._outputs.append(self.failure)
            self.cancel(now_ns=now_ns)
            return
        self._outputs.append(ContinueTask(self.task_id, text))
        self._waits.since_ns = now_ns
        if self._text.owes_sound(text):
            self._waits.owe(now_ns=now_ns)

    def _complete(self, *, now_ns: int) -> None:
        if not self._timeline.text:
            # A task without text fails at the service; taken back, it costs nothing.
            self.cancel(now_ns=now_ns)
            return
        self._step(ClientStep.COMPLETE)
        self._waits.owe(now_ns=now_ns)
        self._outputs.append(FinishTask(self.task_id))

    def _receive_sound(self, data: bytes, *, now_ns: int) -> None:
        if self.state not in _SPEAKING:
            self.strays += 1
            return
        self._waits.served(now_ns=now_ns, is_sound=True)
        if not self._rate:
            self._timeline.sound_received(len(data))
            self._outputs.append(Sound(data))
            return
        if self._half:
            data = self._half + data
        whole = len(data) & ~1
        self._half = data[whole:]
        if whole:
            self._timeline.sound_received(whole // 2)
            self._outputs.append(Sound(data[:whole] if self._half else data))

    def _note(self, event: ResultGenerated, *, now_ns: int) -> None:
        self._waits.served(now_ns=now_ns, is_sound=False)
        if self.state is not _CANCELLING:
            self._timeline.receive(event)

    def _silent(self, *, now_ns: int) -> None:
        """No text for long: end the task ourselves, so that the connection outlives it."""
        self.was_silent = True
        if self._timeline.text:
            self._write_kept(now_ns=now_ns, is_all=True)
            return
        self.failure = late("text", self._waits.length_ns("text"))
        self._outputs.append(self.failure)
        self.cancel(now_ns=now_ns)


class _Text:
    """What was given to say and is not written yet.

    Args:
        is_single: Whether all of it has to go in one message, as SSML does.
    """

    def __init__(self, *, is_single: bool) -> None:
        self.kept: list[str] = []
        self.is_complete = False
        self.is_single = is_single
        self._splitter = SentenceSplitter()

    def take(self, *, is_all: bool) -> list[str]:
        """The messages to write now; `is_all` when no more text comes."""
        if not self.kept or (self.is_single and not is_all):
            return []
        text = "".join(self.kept)
        self.kept.clear()
        return [text] if self.is_single else list(cut_text(text, MESSAGE_CHARACTERS))

    def owes_sound(self, text: str) -> bool:
        """Whether the service, given `text` as well, has a whole sentence to speak."""
        return self.is_single or bool(self._splitter.push(text))
