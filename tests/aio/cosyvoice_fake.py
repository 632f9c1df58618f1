"""A small honest CosyVoice service: the real protocol machine with a voice made of arithmetic."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bridge.clock import SystemClock
from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.message import (
    FinishTask,
    ResultGenerated,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    Word,
    decode_action,
    encode_event,
)
from bridge.cosyvoice.task import Abandon, Audio, Begin, Close, End, Flush, ServerTask, Speak
from bridge.errors import RemoteProtocolError
from bridge.text.sentence import SentenceSplitter
from tests.fakes import SeededIds

MS_PER_CHARACTER = 20


async def pause(duration_s: float) -> None:
    """Let the loop do other things for so long; whoever is cancelled meanwhile leaves no timer behind."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    timer = loop.call_later(duration_s, turn.set_result, None)
    try:
        await turn
    finally:
        timer.cancel()


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once the world is as the condition says; a condition that never comes fails the test."""
    async with asyncio.timeout(5):
        while not condition():
            await pause(0.002)


def pcm_of(text: str, rate: int) -> bytes:
    """Sound of one sentence: each character is a constant level for 20 ms, so any slice tells where it is."""
    samples = rate * MS_PER_CHARACTER // 1000
    return b"".join((ord(character) % 30000).to_bytes(2, "little") * samples for character in text)


def words_of(text: str) -> tuple[Word, ...]:
    return tuple(
        Word(
            match.group(),
            match.start(),
            match.end(),
            match.start() * MS_PER_CHARACTER,
            match.end() * MS_PER_CHARACTER,
        )
        for match in re.finditer(r"\w+", text)
    )


async def steady(value: Callable[[], int]) -> int:
    """Return a number that has not changed for a tenth of a second."""
    seen, unchanged = value(), 0

    def has_settled() -> bool:
        nonlocal seen, unchanged
        now = value()
        seen, unchanged = now, unchanged + 1 if now == seen else 0
        return unchanged >= 50

    await eventually(has_settled)
    return seen


@dataclass
class Behaviour:
    """What goes wrong, if anything."""

    status: int = 0
    """Refuse the handshake with this status."""
    body: str = "no\n"
    """What a refusal says."""
    keys: tuple[str, ...] = ()
    """Keys that are let in; empty lets everybody in."""
    hold_handshake: asyncio.Event | None = None
    """Answer no handshake before this is set."""
    drop_after_frames: int = 0
    """Break the socket in mid-word."""
    drop_once: bool = False
    """Let the next connections live."""
    drop_at_open: bool = False
    hold: asyncio.Event | None = None
    """Let no sound out before this is set."""
    hold_cancel: asyncio.Event | None = None
    """Answer no cancel before this is set, and go on sending sound until then."""
    frame_bytes: int = 3201
    """Odd, so that samples are torn."""
    silent_start: bool = False
    """Never answer a run-task."""
    garbage: bool = False
    """Mix frames into the stream that are no events of this task."""


@dataclass
class FakeService:
    """Counts what its clients do."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    url: str = ""
    connections: int = 0
    open_now: int = 0
    cancels: int = 0
    tasks: list[str] = field(default_factory=list)
    parameters: list[TaskParameters] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """What was spoken, sentence by sentence."""
    headers: list[dict[str, str]] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    sockets: set[ServerConnection] = field(default_factory=set)

    async def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(dict(request.headers.raw_items()))
        if (hold := self.behaviour.hold_handshake) is not None:
            await hold.wait()
        if self.behaviour.status:
            return connection.respond(HTTPStatus(self.behaviour.status), self.behaviour.body)
        keys = [f"Bearer {key}" for key in self.behaviour.keys]
        if keys and request.headers.get("Authorization") not in keys:
            return connection.respond(HTTPStatus.UNAUTHORIZED, self.behaviour.body)
        return None

    async def handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        self.open_now += 1
        self.sockets.add(socket)
        self.extensions.append(str(socket.protocol.extensions))
        try:
            if not self.behaviour.drop_at_open:
                await _Session(self, socket).run()
        except ConnectionClosed:
            pass
        finally:
            self.sockets.discard(socket)
            self.open_now -= 1


class _Session:
    def __init__(self, service: FakeService, socket: ServerConnection) -> None:
        self._service = service
        self._socket = socket
        self._clock = SystemClock()
        self._machine = ServerTask(
            ids=SeededIds(), now_ns=self._clock.now_ns(), accepts=lambda model, voice: True
        )
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._voice: asyncio.Task[None] | None = None
        self._frames = 0

    async def run(self) -> None:
        try:
            async for message in self._socket:
                await self._take(message)
        finally:
            if self._voice is not None:
                self._voice.cancel()

    async def _take(self, message: str | bytes) -> None:
        behaviour = self._service.behaviour
        try:
            action = decode_action(message)
        except RemoteProtocolError:
            self._machine.receive_garbage()
            await self._carry_out()
            return
        if isinstance(action, FinishTask) and action.cancel:
            self._service.cancels += 1
            if behaviour.hold_cancel is not None:
                await self._held(behaviour.hold_cancel)
        self._machine.receive(action, now_ns=self._clock.now_ns())
        await self._carry_out()

    async def _held(self, hold: asyncio.Event) -> None:
        """Wait for the event, or for the client to lose patience and leave."""
        waits = {asyncio.create_task(hold.wait()), asyncio.create_task(self._socket.wait_closed())}
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()

    async def _carry_out(self) -> None:
        for output in self._machine.drain():
            match output:
                case TaskStarted() if self._service.behaviour.silent_start:
                    pass
                case TaskStarted() | ResultGenerated() | TaskFinished() | TaskFailed():
                    await self._socket.send(encode_event(output))
                case Audio():
                    await self._send_audio(output.data)
                case Begin():
                    self._service.tasks.append(output.task_id)
                    self._service.parameters.append(output.parameters)
                    self._texts = asyncio.Queue()
                    self._voice = asyncio.create_task(
                        self._speak(output.task_id, output.parameters.sample_rate, self._texts)
                    )
                case Speak():
                    self._texts.put_nowait(output.text)
                case Flush():
                    pass
                case End():
                    self._texts.put_nowait(None)
                case Abandon():
                    if self._voice is not None:
                        self._voice.cancel()
                case Close():
                    await self._socket.close(output.code, output.reason)

    async def _send_audio(self, data: bytes) -> None:
        behaviour = self._service.behaviour
        if behaviour.garbage:
            await self._socket.send("{not json")
            await self._socket.send(encode_event(TaskFinished("somebody else's")))
        await self._socket.send(data)
        self._service.sent_bytes += len(data)
        self._frames += 1
        if behaviour.drop_after_frames and self._frames >= behaviour.drop_after_frames:
            if behaviour.drop_once:
                behaviour.drop_after_frames = 0
            self._socket.transport.abort()

    async def _speak(self, task_id: str, rate: int, texts: "asyncio.Queue[str | None]") -> None:
        splitter = SentenceSplitter()
        while True:
            text = await texts.get()
            if (hold := self._service.behaviour.hold) is not None:
                await hold.wait()
            with suppress(ConnectionClosed):
                for sentence in splitter.flush() if text is None else splitter.push(text):
                    await self._speak_sentence(task_id, rate, sentence)
                if text is None:
                    self._machine.done(task_id, now_ns=self._clock.now_ns())
                    await self._carry_out()
                    return

    async def _speak_sentence(self, task_id: str, rate: int, sentence: str) -> None:
        self._service.texts.append(sentence)
        self._machine.sentence_begin(task_id, sentence)
        for piece in _pieces(pcm_of(sentence, rate), self._service.behaviour.frame_bytes):
            self._machine.audio(task_id, piece)
            await self._carry_out()
        self._machine.sentence_end(task_id, words_of(sentence))
        await self._carry_out()


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@asynccontextmanager
async def running(
    behaviour: Behaviour | None = None, *, tune: Callable[[FakeService], None] = lambda service: None
) -> AsyncIterator[FakeService]:
    """Run the fake on a free port of the loopback."""
    service = FakeService(behaviour or Behaviour())
    tune(service)
    async with serve(
        service.handle, "127.0.0.1", 0, process_request=service.refuse, ping_interval=None, close_timeout=0.2
    ) as server:
        port = server.sockets[0].getsockname()[1]
        service.url = f"ws://127.0.0.1:{port}/api-ws/v1/inference"
        yield service
