"""The embedded CosyVoice service: HTTP and WebSocket as the cloud has them, with a voice of this machine."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.aio.http import json_answer, listening
from bridge.aio.tasks import Tasks
from bridge.clock import SystemClock, unix_s
from bridge.dice import SystemDice
from bridge.hosts import spot
from bridge.ports import Clock, IdSource
from bridge.ttsserver.connection import MESSAGE_CHARACTERS, Connection, House
from bridge.ttsserver.faults import Fault, read_faults
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.studio import Studio
from bridge.ttsserver.tokens import DEFAULT_S, LONGEST_S, Keys
from bridge.ttsserver.upstream import Upstream
from bridge.ttsserver.whisper import Recogniser

__all__ = ["PATH", "TOKENS_PATH", "TtsServer", "TtsServerSettings", "serve"]

PATH = "/api-ws/v1/inference"
TOKENS_PATH = "/api/v1/tokens"

_MAX_FRAME_BYTES = 4 * MESSAGE_CHARACTERS
"""Beyond it the transport closes by itself, without a word to the task; up to it, the task is told."""

_MAX_BODY_BYTES = 4096
_SLOW_VOICE_S = 10.0
"""After the start: the first Chinese sentence need not wait for its voice to load."""
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class TtsServerSettings:
    listen: tuple[str, int] = ("127.0.0.1", 8090)
    """Port 0 takes any free one; `TtsServer.listen` tells which."""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys that may connect; empty lets everybody in."""
    faults: tuple[str, ...] = ()
    """Names from `bridge.ttsserver.faults`, applied to every task."""
    sounds: str = ""
    """Folder with the sound files that a text may ask for; empty allows none."""
    upstream: str = ""
    """A self-hosted CosyVoice server that speaks instead of the local voices; empty: none."""
    max_connections: int = 1000
    """Clients at a time; others are refused with 503."""
    threads: int = 2
    """Clauses rendered at the same time."""
    warm: bool = True
    """Load the voice before the first client may connect."""
    preload_chinese: bool = True
    """… and the Chinese one, which needs 0.4 GB, some seconds later; else with its first sentence."""
    stall_limit_s: float = 600.0
    """A client that reads nothing for so long while it is spoken to is dropped."""
    preload_ears: str | None = None
    """Language to get ready to understand soon after the start; None waits for the first who speaks."""
    nice: int = 5
    """How far `serve` steps back for the processes that carry calls; a voice that is late is heard less."""


class TtsServer:
    """Serves until closed. Start it with `start`."""

    def __init__(self, settings: TtsServerSettings, house: House) -> None:
        self._settings = settings
        self._house = house
        self._keys = Keys(settings.api_keys, clock=house.clock, ids=house.ids)
        self._runner: web.AppRunner | None = None
        self._open: set[Connection] = set()
        self.listen: tuple[str, int] = settings.listen

    @classmethod
    async def start(
        cls,
        settings: TtsServerSettings,
        *,
        clock: Clock | None = None,
        dice: IdSource | None = None,
        recogniser: Recogniser | None = None,
    ) -> Self:
        """Load the voice and listen.

        Raises:
            SetupError: If the address cannot be had; names it and the key that sets it.
            ValueError: If a fault is unknown.
        """
        house = House(
            studio=Studio(settings.threads, Upstream(settings.upstream) if settings.upstream else None),
            sounds=Sounds(Path(settings.sounds) if settings.sounds else None),
            clock=clock or SystemClock(),
            ids=dice or SystemDice(),
            tasks=Tasks("tts"),
            counters=Counter(),
            faults=read_faults(settings.faults),
            stall_limit_s=settings.stall_limit_s,
            recogniser=recogniser or Recogniser(),
        )
        server = cls(settings, house)
        try:
            if settings.warm:
                await house.studio.warm()
                if settings.preload_chinese:
                    house.tasks.start(server._warm_slow_voice(), name="warm")
            if settings.preload_ears is not None:
                house.tasks.start(house.recogniser.warm(settings.preload_ears), name="warm ears")
            server._runner, server.listen = await listening(
                server._app(), settings.listen, setting="tts_server.listen"
            )
        except BaseException:
            await house.recogniser.close()
            house.studio.close()
            raise
        return server

    @property
    def counters(self) -> dict[str, int]:
        """What happened so far, by name; names that are absent stand for 0."""
        return dict(self._house.counters)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://{spot(*self.listen)}{PATH}"

    async def close(self) -> None:
        """Close every connection and stop listening; safe twice."""
        await asyncio.gather(*(connection.dismiss() for connection in self._open))
        if self._runner is not None:
            await self._runner.cleanup()
        await self._house.tasks.close()
        await self._house.recogniser.close()
        self._house.studio.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _warm_slow_voice(self) -> None:
        """Load the Chinese voice once whoever starts has other things behind him."""
        await asyncio.sleep(_SLOW_VOICE_S)
        await self._house.studio.warm(chinese=True)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._errors_as_json], client_max_size=_MAX_BODY_BYTES)
        # The documented address has no slash at its end; many clients write one.
        app.router.add_get(PATH, self._speak)
        app.router.add_get(PATH + "/", self._speak)
        app.router.add_post(TOKENS_PATH, self._lend)
        return app

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        counters = self._house.counters
        if len(self._open) >= self._settings.max_connections:
            return self._refuse(503, "Throttling.Concurrency", "Too many concurrent requests.")
        if Fault.REFUSE in self._house.faults or not self._keys.opens(_key(request)):
            return self._refuse(401, "InvalidApiKey", "Invalid API-key provided.")
        socket = web.WebSocketResponse(
            timeout=_CLOSE_S,
            # A client that holds its reading back, as ours does, cannot answer pings meanwhile.
            heartbeat=None,
            # Sound does not shrink, and the official SDK negotiates nothing either.
            compress=False,
            max_msg_size=_MAX_FRAME_BYTES,
        )
        await socket.prepare(request)
        counters["connections"] += 1
        counters["connections_open"] += 1
        connection = Connection(socket, request, self._house)
        self._open.add(connection)
        try:
            await connection.serve()
        finally:
            self._open.discard(connection)
            counters["connections_open"] -= 1
        return socket

    async def _lend(self, request: web.Request) -> web.Response:
        key = _key(request)
        if not self._keys.may_lend(key):
            return self._refuse(401, "InvalidApiKey", "Invalid API-key provided.")
        asked = request.query.get("expire_in_seconds", str(DEFAULT_S))
        if not (asked.isascii() and asked.isdigit() and len(asked) < 6 and 1 <= int(asked) <= LONGEST_S):
            message = f"expire_in_seconds must be an integer from 1 to {LONGEST_S}, not {asked:.20}"
            return self._refuse(400, "InvalidParameter", message)
        self._house.counters["tokens"] += 1
        token = self._keys.lend(int(asked))
        return json_answer({"token": token, "expires_at": unix_s() + int(asked)})

    @web.middleware
    async def _errors_as_json(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status == 404:
                message = f"there is no {request.path:.80}; speech is at {PATH}, tokens are at {TOKENS_PATH}"
                return self._refuse(404, "NotFound", message)
            return self._refuse(error.status, "InvalidRequest", error.text or error.reason)
        except ConnectionResetError:
            # The client left before its answer: nobody reads this one, but aiohttp wants one.
            return web.Response(status=HTTPStatus.BAD_REQUEST)

    def _refuse(self, status: int, code: str, message: str) -> web.Response:
        self._house.counters["refused"] += 1
        body = {"code": code, "message": message, "request_id": self._house.ids.token()}
        return json_answer(body, status=status)


def _key(request: web.Request) -> str:
    # Two keys are none: who can tell which one is meant?
    given = request.headers.getall("Authorization", [])
    scheme, _, key = (given[0] if len(given) == 1 else "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


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
