"""Services for the facade's tests, each in a thread of its own: a scripted one, and the embedded one."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bridge.ttsserver.server import TtsServer, TtsServerSettings

WAIT_S = 10
PAIR = b"\x01\x02" * 320


def eventually(condition: Callable[[], bool]) -> None:
    """Return once the world is as the condition says; a condition that never comes fails the test."""
    pause = threading.Event()
    for _ in range(WAIT_S * 500):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("it never came true")


def event(name: str, task_id: str, **header: object) -> str:
    return json.dumps(
        {"header": {"task_id": task_id, "event": name, "attributes": {}} | header, "payload": {}}
    )


def progress(task_id: str, kind: str = "sentence-synthesis", **output: object) -> str:
    sentence = {"type": kind, "sentence": {"index": 0, "words": []}} | output
    header = {"task_id": task_id, "event": "result-generated", "attributes": {}}
    return json.dumps({"header": header, "payload": {"output": sentence}})


def failed(task_id: str, code: str = "InvalidParameter", message: str = "no such voice") -> str:
    return event("task-failed", task_id, error_code=code, error_message=message)


class Peer:
    """The service's end of one connection, as a script uses it."""

    def __init__(self, socket: ServerConnection, service: "Service") -> None:
        self.socket = socket
        self._service = service
        self.task_id = ""

    async def hear(self) -> dict[str, Any]:
        """The next message of the client."""
        message = json.loads(await self.socket.recv())
        self.task_id = message["header"]["task_id"]
        self._service.note(message)
        return dict(message)

    async def hear_action(self, action: str) -> dict[str, Any]:
        """The next message, which must be an `action`."""
        message = await self.hear()
        assert message["header"]["action"] == action, message
        return message

    async def start(self) -> None:
        await self.hear_action("run-task")
        await self.say("task-started")

    async def say(self, name: str) -> None:
        await self.socket.send(event(name, self.task_id))

    async def sound(self, count: int = 1, data: bytes = PAIR) -> None:
        for _ in range(count):
            await self.socket.send(progress(self.task_id))
            await self.socket.send(data)

    async def fail(self, code: str = "InvalidParameter", message: str = "no such voice") -> None:
        await self.socket.send(failed(self.task_id, code, message))

    async def until_closed(self) -> None:
        await self.socket.wait_closed()

    async def hold(self, gate: threading.Event) -> None:
        """Wait for a test to open `gate`."""
        assert await asyncio.get_running_loop().run_in_executor(None, gate.wait, WAIT_S)


Script = Callable[[Peer], Awaitable[None]]


async def obliging(peer: Peer) -> None:
    """Serve tasks one after another: a frame a text, finish and cancel answered at once."""
    while True:
        await peer.start()
        while (await peer.hear())["header"]["action"] == "continue-task":
            await peer.sound()
        await peer.say("task-finished")


@dataclass
class Service:
    """What the clients of a scripted service did."""

    url: str = ""
    refusal: tuple[int, str] | None = None
    """Status and body for whoever connects."""
    heard: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    opened: int = 0
    open_now: int = 0
    sockets: list[ServerConnection] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, message: dict[str, Any]) -> None:
        with self.changed:
            self.heard.append(message)
            self.changed.notify_all()

    def count(self, step: int) -> None:
        with self.changed:
            self.opened += max(step, 0)
            self.open_now += step
            self.changed.notify_all()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once the service has seen what the test waits for."""
        with self.changed:
            assert self.changed.wait_for(condition, WAIT_S)

    @property
    def actions(self) -> list[str]:
        return [message["header"]["action"] for message in self.heard]

    def abort(self, index: int = 0) -> None:
        """Break one connection."""
        self.wait_until(lambda: len(self.sockets) > index)
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.sockets[index].transport.abort)


@contextmanager
def scripted(script: Script = obliging, *, refusal: tuple[int, str] | None = None) -> Iterator[Service]:
    """Run a service that does with each connection what `script` says, and then closes it."""
    service = Service(refusal=refusal)

    async def admit(socket: ServerConnection, request: Request) -> Response | None:
        service.headers.append(dict(request.headers.raw_items()))
        if service.refusal is None:
            return None
        status, body = service.refusal
        return socket.respond(HTTPStatus(status), body)

    async def handle(socket: ServerConnection) -> None:
        service.sockets.append(socket)
        service.count(1)
        try:
            await script(Peer(socket, service))
        except ConnectionClosed:
            pass
        finally:
            await socket.close()
            service.count(-1)

    async def run(ready: threading.Event, stop: asyncio.Event) -> None:
        service.loop = asyncio.get_running_loop()
        async with serve(
            handle,
            "127.0.0.1",
            0,
            process_request=admit,
            ping_interval=None,
            close_timeout=0.2,
            compression=None,
        ) as server:
            service.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api-ws/v1/inference"
            ready.set()
            await stop.wait()

    with _in_thread(run):
        yield service


@contextmanager
def embedded(*, api_keys: tuple[str, ...] = ()) -> Iterator[str]:
    """Run the embedded service; yields its address."""
    urls: list[str] = []

    async def run(ready: threading.Event, stop: asyncio.Event) -> None:
        wanted = TtsServerSettings(listen=("127.0.0.1", 0), warm=False, api_keys=api_keys)
        async with await TtsServer.start(wanted) as server:
            urls.append(server.url)
            ready.set()
            await stop.wait()

    with _in_thread(run):
        yield urls[0]


@contextmanager
def _in_thread(run: Callable[[threading.Event, asyncio.Event], Awaitable[None]]) -> Iterator[None]:
    ready = threading.Event()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        stops.append((asyncio.get_running_loop(), stop))
        await run(ready, stop)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(WAIT_S)
    try:
        yield
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_S)
        assert not thread.is_alive()
