"""A plain client of the service: it sends what it is told to and remembers everything in order."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bridge.ttsserver.server import TtsServer

TERMINAL = ("task-finished", "task-failed")


@dataclass
class Heard:
    """One task as the client saw it."""

    events: list[dict[str, Any]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    """Event names, sentence events by their type, and ``sound`` for a binary frame."""
    frames: list[bytes] = field(default_factory=list)

    @property
    def sound(self) -> bytes:
        return b"".join(self.frames)

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    @property
    def code(self) -> str:
        return str(self.last["header"].get("error_code", ""))

    @property
    def message(self) -> str:
        return str(self.last["header"].get("error_message", ""))

    def ends(self) -> list[dict[str, Any]]:
        """The outputs of the sentence-end events."""
        outputs = [event["payload"].get("output", {}) for event in self.events]
        return [output for output in outputs if output.get("type") == "sentence-end"]


class Client:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, action: str, task_id: str, payload: dict[str, Any]) -> None:
        header = {"action": action, "task_id": task_id, "streaming": "duplex"}
        await self.socket.send(json.dumps({"header": header, "payload": payload}))

    async def run(self, task_id: str, *, model: str = "cosyvoice-v3-flash", **parameters: object) -> None:
        asked = {"voice": "tone", "format": "pcm", "sample_rate": 8000} | parameters
        await self.send(
            "run-task",
            task_id,
            {
                "task_group": "audio",
                "task": "tts",
                "function": "SpeechSynthesizer",
                "model": model,
                "parameters": asked,
                "input": {},
            },
        )

    async def text(self, task_id: str, text: str) -> None:
        await self.send("continue-task", task_id, {"input": {"text": text}})

    async def flush(self, task_id: str) -> None:
        await self.send("continue-task", task_id, {"input": {"flush": True}})

    async def finish(self, task_id: str) -> None:
        await self.send("finish-task", task_id, {"input": {}})

    async def cancel(self, task_id: str) -> None:
        await self.send("finish-task", task_id, {"input": {"directive": "cancel"}})

    async def hear(self, *, until: tuple[str, ...] = TERMINAL, into: Heard | None = None) -> Heard:
        """Take what comes until an entry of `until` has come; all that there is, if the socket closes."""
        heard = into or Heard()
        while True:
            try:
                message = await self.socket.recv()
            except ConnectionClosed:
                break
            if isinstance(message, bytes):
                heard.frames.append(message)
                heard.order.append("sound")
            else:
                event = json.loads(message)
                heard.events.append(event)
                name = event["payload"].get("output", {}).get("type") or event["header"]["event"]
                heard.order.append(name)
            if heard.order[-1] in until:
                break
        return heard

    async def say(self, task_id: str, *texts: str, **parameters: object) -> Heard:
        """Run a whole task."""
        await self.run(task_id, **parameters)  # type: ignore[arg-type]
        for text in texts:
            await self.text(task_id, text)
        await self.finish(task_id)
        return await self.hear()

    async def silence(self, seconds: float) -> list[str | bytes]:
        """Whatever still comes within `seconds`."""
        came: list[str | bytes] = []
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                came.append(await asyncio.wait_for(self.socket.recv(), left))
            except TimeoutError:
                break
        return came


async def until_true(condition: Callable[[], bool]) -> None:
    """Wait for what another task brings about, 5 s at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  a counter rings no bell
            await asyncio.sleep(0.01)


@asynccontextmanager
async def client_of(server: TtsServer, **options: Any) -> AsyncIterator[Client]:  # noqa: ANN401  websockets' own
    async with connect(server.url, compression=None, **options) as socket:
        yield Client(socket)
