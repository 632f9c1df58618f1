"""What the SDK is pointed at: the embedded service in a thread, and a peer that hangs up."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen

from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.ttsserver.client import Client, Heard

__all__ = ["KEY", "Service", "speak_plainly"]

KEY = "sk-right"


class Service:
    """Runs between `__enter__` and `__exit__`; asks for `KEY`."""

    def __init__(self) -> None:
        self.url = self.rude_url = ""
        self._up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._server: TtsServer | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(), debug=False))

    @property
    def counters(self) -> dict[str, int]:
        assert self._server is not None
        return self._server.counters

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _run(self) -> None:
        settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False, api_keys=(KEY,))
        async with await TtsServer.start(settings) as server, listen(_hang_up, "127.0.0.1", 0) as rude:
            self._loop, self._server, self.url = asyncio.get_running_loop(), server, server.url
            self.rude_url = f"ws://127.0.0.1:{rude.sockets[0].getsockname()[1]}/"
            self._up.set()
            await self._stop.wait()


async def _hang_up(socket: ServerConnection) -> None:
    """Let a client in, and close when it begins a task."""
    async for _ in socket:
        await socket.close(1011)
        return


async def speak_plainly(service: Service, *texts: str, **parameters: object) -> Heard:
    """Run one task without any SDK."""
    header = {"Authorization": f"Bearer {KEY}"}
    async with connect(service.url, compression=None, additional_headers=header) as socket:
        return await Client(socket).say("plain", *texts, **parameters)
