"""One client of the service: its messages in, its events and sound out, its voice in between."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from bridge.aio.pump import Pump
from bridge.aio.tasks import Tasks
from bridge.cosyvoice.limits import IDLE_NS, INVALID_PARAMETER, RATE_QUOTA, Refusal
from bridge.cosyvoice.message import (
    Event,
    FinishTask,
    ResultGenerated,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    Word,
    decode_action,
    encode_event,
)
from bridge.cosyvoice.task import (
    Abandon,
    Audio,
    Begin,
    BeginHearing,
    Close,
    End,
    Flush,
    Hear,
    Output,
    ServerTask,
    Speak,
)
from bridge.cosyvoice.transcript import Transcript
from bridge.errors import RemoteProtocolError
from bridge.ports import Clock, IdSource
from bridge.ttsserver.faults import IDLE_S, SLOW_S, Fault, read_faults
from bridge.ttsserver.outbox import BURST_ITEMS, USUAL_ITEMS, HangUp, Message, Outbox, Pause
from bridge.ttsserver.scribe import Scribe
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.speaker import Speaker
from bridge.ttsserver.studio import Studio, accepts
from bridge.ttsserver.whisper import Recogniser

__all__ = ["MESSAGE_CHARACTERS", "Connection", "House"]


MESSAGE_CHARACTERS = 1 << 20
"""20,000 characters, each escaped as ``\\uXXXX`` or as two of them, and the envelope."""

_LAST_WORDS_S = 2.0
_REASON_BYTES = 123


@dataclass(frozen=True, slots=True)
class House:
    """What all connections of one service share."""

    studio: Studio
    sounds: Sounds
    clock: Clock
    ids: IdSource
    tasks: Tasks
    counters: Counter[str]
    faults: frozenset[Fault]
    stall_limit_s: float
    """A client that takes nothing for so long is dropped."""
    recogniser: Recogniser
    """Who understands speech for all of them."""


_Step = Callable[[ServerTask, int], object]


class _Desk:
    """Lets the pump drive a `ServerTask` by any of its methods, not by messages alone."""

    def __init__(self, machine: ServerTask) -> None:
        self._machine = machine

    @property
    def deadline_ns(self) -> int | None:
        return self._machine.deadline_ns

    def receive(self, item: _Step, *, now_ns: int) -> None:
        item(self._machine, now_ns)

    def handle_timeout(self, *, now_ns: int) -> None:
        self._machine.handle_timeout(now_ns=now_ns)

    def drain(self) -> Sequence[Output]:
        return self._machine.drain()


class Connection:
    """Reads, speaks and writes at the same time, so that a cancel is never behind a long sentence."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, house: House) -> None:
        self._socket = socket
        self._request = request
        self._house = house
        self._outbox = Outbox()
        self._machine = ServerTask(ids=house.ids, now_ns=house.clock.now_ns(), accepts=accepts)
        self._pump: Pump[_Step, Output] = Pump(_Desk(self._machine), clock=house.clock, deliver=self._deliver)
        self._speaker: Speaker | None = None
        self._scribe: Scribe | None = None
        # What runs for the present task: its speaker or its scribe.
        self._working: asyncio.Task[None] | None = None
        # The sentence-synthesis event whose binary frame comes next: the two travel as one.
        self._announcement = ""
        self._late: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None
        self._faults = house.faults
        self._hurry()

    async def serve(self) -> None:
        """Serve the client until either side ends the connection."""
        self._pump.feed(lambda machine, now_ns: None)  # arms the timer of an idle connection
        writer = self._writer = self._house.tasks.start(self._write(), name="write")
        try:
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._take(message.data)
        finally:
            self._pump.feed(lambda machine, now_ns: machine.disconnected())
            self._pump.close()
            if self._late is not None:
                self._late.cancel()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def dismiss(self) -> None:
        """Tell the client that the service ends, and close; returns when that was written, or cannot be."""
        self._pump.feed(lambda machine, now_ns: machine.dismiss())
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=_LAST_WORDS_S)
        self._abort()

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes) and self._scribe is not None:
            self._pump.feed(lambda machine, now_ns: machine.receive_sound(message, now_ns=now_ns))
            return
        try:
            if isinstance(message, bytes):
                raise RemoteProtocolError("a binary frame from a client, and no task that hears")
            if len(message) > MESSAGE_CHARACTERS:
                raise RemoteProtocolError("a message larger than any text may be")
            action = decode_action(message)
        except RemoteProtocolError:
            self._house.counters["malformed"] += 1
            self._pump.feed(lambda machine, now_ns: machine.receive_garbage())
            return
        if isinstance(action, FinishTask) and action.cancel:
            if Fault.IGNORE_CANCEL in self._faults:
                action = FinishTask(action.task_id)
            elif Fault.SLOW_CANCEL in self._faults and self._speaker is not None:
                loop = asyncio.get_running_loop()
                late = action
                self._late = loop.call_later(
                    SLOW_S, self._pump.feed, lambda m, now_ns: m.receive(late, now_ns=now_ns)
                )
                return
        self._pump.feed(lambda machine, now_ns: machine.receive(action, now_ns=now_ns))

    def _deliver(self, output: Output) -> None:
        match output:
            case Audio(data):
                self._house.counters["frames"] += 1
                self._put(Message(self._announcement, data))
                self._announcement = ""
            case Close(code, reason):
                self._outbox.put(HangUp(code, reason))
            case Begin():
                self._begin(output)
            case BeginHearing():
                self._listen(output)
            case Hear(data=data):
                if self._scribe is not None:
                    self._scribe.hear(data)
            case Abandon():
                self._abandon()
            case Speak() | Flush() | End():
                self._prompt(output)
            case ResultGenerated(type="sentence-synthesis"):
                self._announcement = encode_event(output)
            case _:
                self._announce(output)

    def _announce(self, event: Event) -> None:
        counters = self._house.counters
        match event:
            case TaskStarted():
                counters["tasks_started"] += 1
            case TaskFinished():
                counters["tasks_finished"] += 1
                self._speaker = self._scribe = None
            case TaskFailed():
                counters["tasks_failed"] += 1
            case _:
                pass
        self._put(Message(encode_event(event)))

    def _put(self, message: Message) -> None:
        self._outbox.put(message)
        if self._outbox.is_flooded and self._abort():
            self._house.counters["flooded"] += 1

    def _abort(self) -> bool:
        """Drop the TCP connection; returns whether there was one."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return False
        transport.abort()
        return True

    def _begin(self, begin: Begin) -> None:
        asked = begin.parameters.extra.get("x_fault", [])
        try:
            faults = read_faults(asked if isinstance(asked, list) else [asked])
        except ValueError as error:
            self._fail(begin.task_id, Refusal(INVALID_PARAMETER, str(error)))
            return
        self._faults = self._house.faults | faults
        if (refusal := self._hamper(faults)) is not None:
            self._fail(begin.task_id, refusal)
            return
        listener = _Listener(begin.task_id, self._pump, self._outbox)
        self._speaker = Speaker(
            begin,
            studio=self._house.studio,
            sounds=self._house.sounds,
            listener=listener,
            faults=self._faults,
        )
        self._working = self._house.tasks.start(self._speaker.run(), name="speak")

    def _listen(self, begin: BeginHearing) -> None:
        self._faults = self._house.faults
        if (refusal := self._hamper(frozenset())) is not None:
            self._fail(begin.task_id, refusal)
            return
        self._house.counters["utterances_heard"] += 1
        listener = _Listener(begin.task_id, self._pump, self._outbox)
        self._scribe = Scribe(begin, recogniser=self._house.recogniser, reader=listener)
        self._working = self._house.tasks.start(self._scribe.run(), name="listen")

    def _hamper(self, asked: frozenset[Fault]) -> Refusal | None:
        """Prepare the faults of the task that begins; return why it fails at once, if it does."""
        if Fault.REFUSE in asked:
            return Refusal("AccessDenied", "the fault refuse was asked for")
        if Fault.THROTTLE in self._faults:
            return RATE_QUOTA
        self._hurry()
        self._outbox.limit = BURST_ITEMS if Fault.BURST in self._faults else USUAL_ITEMS
        if self._faults & {Fault.SLOW_START, Fault.BURST}:
            self._outbox.put(Pause(SLOW_S))
        return None

    def _hurry(self) -> None:
        self._machine.idle_ns = round(IDLE_S * 1e9) if Fault.CLOSE_WHEN_IDLE in self._faults else IDLE_NS

    def _fail(self, task_id: str, refusal: Refusal) -> None:
        self._pump.feed(lambda machine, now_ns: machine.fail(task_id, refusal))

    def _prompt(self, wish: Speak | Flush | End) -> None:
        if isinstance(wish, End) and self._scribe is not None:
            self._scribe.end()
        # None when the task failed as it began, before its first text was handed on.
        if self._speaker is None:
            return
        match wish:
            case Speak(text=text):
                self._speaker.push(text)
            case Flush():
                self._speaker.flush()
            case End():
                self._speaker.end()

    def _abandon(self) -> None:
        self._house.counters["tasks_abandoned"] += 1
        # A speaker that fails abandons itself from within: it ends without help, and what it said is heard.
        if self._working is not None and self._working is not asyncio.current_task():
            self._working.cancel()
            self._outbox.drop_sound()
        self._speaker = self._scribe = self._working = None

    async def _write(self) -> None:
        try:
            while True:
                item = await self._outbox.take()
                match item:
                    case Message(text, sound):
                        async with asyncio.timeout(self._house.stall_limit_s):
                            await self._socket.send_str(text)
                            if sound:
                                await self._socket.send_bytes(sound)
                    case Pause(seconds):
                        await asyncio.sleep(seconds)
                    case HangUp(0):
                        self._abort()
                        return
                    case HangUp(code, reason):
                        await self._socket.close(code=code, message=_cut(reason))
                        return
        except ConnectionError:
            pass  # the client has gone; `serve` sees it too
        except TimeoutError:
            self._house.counters["stalled"] += 1
            self._abort()


def _cut(reason: str) -> bytes:
    """As much of a text as a close frame has room for, no character cut in two (RFC 6455 §5.5)."""
    return reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore").encode()


class _Listener:
    """Hands what one speaker says, or one scribe writes, to the machine under its task's name."""

    def __init__(self, task_id: str, pump: Pump[_Step, Output], outbox: Outbox) -> None:
        self._task_id = task_id
        self._pump = pump
        self._outbox = outbox

    async def room(self) -> None:
        await self._outbox.room()

    def sentence_begin(self, text: str) -> None:
        self._pump.feed(lambda machine, now_ns: machine.sentence_begin(self._task_id, text))

    def audio(self, frame: bytes) -> None:
        self._pump.feed(lambda machine, now_ns: machine.audio(self._task_id, frame))

    def rest(self, frame: bytes) -> None:
        self._pump.feed(lambda machine, now_ns: machine.rest(self._task_id, frame))

    def sentence_end(self, words: tuple[Word, ...]) -> None:
        self._pump.feed(lambda machine, now_ns: machine.sentence_end(self._task_id, words))

    def understood(self, transcript: Transcript) -> None:
        self._pump.feed(lambda machine, now_ns: machine.understood(self._task_id, transcript))

    def done(self) -> None:
        self._pump.feed(lambda machine, now_ns: machine.done(self._task_id, now_ns=now_ns))

    def fail(self, refusal: Refusal) -> None:
        self._pump.feed(lambda machine, now_ns: machine.fail(self._task_id, refusal))

    def reset(self) -> None:
        self._outbox.put(HangUp(0, "reset"))
