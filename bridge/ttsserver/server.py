"""The embedded CosyVoice service: a WebSocket server that speaks the cloud's protocol."""

import asyncio
import contextlib
import hmac
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen_for_websockets
from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request, Response

from bridge.aio.ports_taken import port_taken
from bridge.aio.tasks import Tasks
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.ports import Clock, IdSource
from bridge.ttsserver.connection import Connection, House
from bridge.ttsserver.faults import Fault, read_faults
from bridge.ttsserver.studio import Studio

__all__ = ["PATH", "TtsServer", "TtsServerSettings", "serve"]

PATH = "/api-ws/v1/inference"

_MAX_MESSAGE_BYTES = 1 << 20
"""20,000 characters, each escaped as ``\\uXXXX`` or as two of them, and the envelope."""

_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class TtsServerSettings:
    listen: tuple[str, int] = ("127.0.0.1", 8090)
    """Port 0 takes any free one; `TtsServer.listen` tells which."""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys that may connect; empty lets everybody in."""
    faults: tuple[str, ...] = ()
    """Names from `bridge.ttsserver.faults`, applied to every task."""
    threads: int = 2
    """Clauses rendered at the same time."""
    warm: bool = True
    """Load the voice before the first client may connect."""
    stall_limit_s: float = 600.0
    """A client that reads nothing for so long while it is spoken to is dropped."""
    nice: int = 5
    """How far `serve` steps back for the processes that carry calls; a voice that is late is heard less."""


class TtsServer:
    """Serves until closed. Start it with `start`."""

    def __init__(self, settings: TtsServerSettings, house: House) -> None:
        self._settings = settings
        self._house = house
        self._server: Server | None = None
        self.listen: tuple[str, int] = settings.listen

    @classmethod
    async def start(
        cls, settings: TtsServerSettings, *, clock: Clock | None = None, dice: IdSource | None = None
    ) -> Self:
        """Load the voice and listen.

        Raises:
            SetupError: If the address cannot be had; names it and the key that sets it.
            ValueError: If a fault is unknown.
        """
        house = House(
            studio=Studio(settings.threads),
            clock=clock or SystemClock(),
            ids=dice or SystemDice(),
            tasks=Tasks("tts"),
            counters=Counter(),
            faults=read_faults(settings.faults),
            stall_limit_s=settings.stall_limit_s,
        )
        server = cls(settings, house)
        await server._open()
        return server

    @property
    def counters(self) -> dict[str, int]:
        """What happened so far, by name; names that are absent stand for 0."""
        return dict(self._house.counters)

    @property
    def url(self) -> str:
        """Where clients connect."""
        host, port = self.listen
        return f"ws://{host}:{port}{PATH}"

    async def close(self) -> None:
        """Close every connection and stop listening; safe twice."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await self._house.tasks.close()
        self._house.studio.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self) -> None:
        host, port = self._settings.listen
        try:
            if self._settings.warm:
                await self._house.studio.warm()
            self._server = await listen_for_websockets(
                self._handle,
                host,
                port,
                process_request=self._admit,
                # Sound does not shrink, and the official SDK negotiates nothing either.
                compression=None,
                # A client that holds its reading back, as ours does, cannot answer pings meanwhile.
                ping_interval=None,
                close_timeout=_CLOSE_S,
                max_size=_MAX_MESSAGE_BYTES,
                server_header=None,
            )
        except OSError as error:
            self._house.studio.close()
            raise port_taken((host, port), "tcp", setting="tts_server.listen", cause=error) from error
        self.listen = (host, self._server.sockets[0].getsockname()[1])

    async def _handle(self, socket: ServerConnection) -> None:
        counters = self._house.counters
        counters["connections"] += 1
        counters["connections_open"] += 1
        try:
            await Connection(socket, self._house).serve()
        finally:
            counters["connections_open"] -= 1

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        if request.path.partition("?")[0].removesuffix("/") != PATH:
            return self._refuse(socket, HTTPStatus.NOT_FOUND, "NotFound", f"the only path here is {PATH}")
        if Fault.REFUSE in self._house.faults or not self._has_key(request):
            message = "Invalid API-key provided."
            return self._refuse(socket, HTTPStatus.UNAUTHORIZED, "InvalidApiKey", message)
        return None

    def _has_key(self, request: Request) -> bool:
        if not self._settings.api_keys:
            return True
        try:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        except MultipleValuesError:
            return False
        given = key.strip().encode(errors="surrogateescape")
        # Every key is compared, so that the time tells nothing about which one was nearly right.
        matches = [hmac.compare_digest(given, known.encode()) for known in self._settings.api_keys]
        return scheme.lower() == "bearer" and any(matches)

    def _refuse(self, socket: ServerConnection, status: HTTPStatus, code: str, message: str) -> Response:
        self._house.counters["refused"] += 1
        body = {"code": code, "message": message, "request_id": self._house.ids.token()}
        response = socket.respond(status, json.dumps(body))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response


async def serve(settings: TtsServerSettings, *, ready: Callable[[tuple[str, int]], None]) -> None:
    """Run the service as this process's only work, until SIGTERM, SIGINT or cancellation.

    Args:
        settings: As for `TtsServer.start`.
        ready: Called once, with the address it listens on.
    """
    # Rendering holds the interpreter for a millisecond here and there; a cancel should not wait for it.
    sys.setswitchinterval(0.001)
    with contextlib.suppress(OSError):
        os.nice(settings.nice)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Signals belong to the main thread; elsewhere the caller cancels instead.
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
    async with await TtsServer.start(settings) as server:
        ready(server.listen)
        await stop.wait()
