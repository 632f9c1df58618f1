"""A whole bridge of our own, in a process of its own, on ports nobody else has."""

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from bridge.aio.tasks import Tasks
from bridge.errors import RemoteProtocolError, SetupError
from bridge.ports import IdSource

__all__ = ["SpawnedBridge"]

_READY_S = 60.0
_STOP_S = 5.0
_REQUEST_S = 5.0
_LINES_KEPT = 40
_POLL_S = 0.1
"""The API has no push; ten requests a second are no load."""


class SpawnedBridge:
    """`cosybridge serve` as a child; ask for one with `start`, end it with `close`.

    Attributes:
        sip: Where its phone line is.
        tts_url: Where its embedded voice service answers.
        lines: The last lines it printed, both streams.
    """

    def __init__(
        self, child: asyncio.subprocess.Process, *, http: int, sip: int, tts: int, token: str
    ) -> None:
        self.sip: tuple[str, int] = ("127.0.0.1", sip)
        self.tts_url: str = f"ws://127.0.0.1:{tts}/api-ws/v1/inference"
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._child = child
        self._base = f"http://127.0.0.1:{http}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ready = asyncio.Event()
        self._tasks = Tasks("spawned bridge")
        for name, stream in (("stdout", child.stdout), ("stderr", child.stderr)):
            assert stream is not None  # noqa: S101  both are pipes
            self._tasks.start(self._read(stream), name=name)

    @classmethod
    async def start(
        cls,
        *,
        dice: IdSource,
        sets: Sequence[str] = (),
        config: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Bring one up and wait for its ready line.

        Args:
            dice: For the token.
            sets: Further settings, ``section.key=value``; ports and token are ours.
            config: Settings file; None is whatever `serve` would read.
            environment: What the child sees; None is our environment without the cloud's key.

        Raises:
            SetupError: If it does not come up; says what it said last.
        """
        sip, http, tts = _free_ports()
        token = dice.token(16)
        ours = (
            f"sip.listen=127.0.0.1:{sip}",
            f"http.listen=127.0.0.1:{http}",
            f"tts_server.listen=127.0.0.1:{tts}",
            "start.self_call=false",
            "tts_server.preload_chinese=false",
        )
        if environment is None:
            # Nothing bills by surprise: a bridge of the lab speaks with the embedded voice.
            environment = {k: v for k, v in os.environ.items() if k != "DASHSCOPE_API_KEY"}
        arguments = [part for setting in (*sets, *ours) for part in ("--set", setting)]
        if config is not None:
            arguments += ["--config", str(config)]
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridge",
            "serve",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Not on the command line, which every user of the machine can read.
            env={**environment, "COSYBRIDGE_HTTP__TOKEN": token, "PYTHONUNBUFFERED": "1"},
        )
        spawned = cls(child, http=http, sip=sip, tts=tts, token=token)
        try:
            await spawned._until_ready()
        except BaseException:
            await spawned.close()
            raise
        return spawned

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int:
        """Of the control process; its children are found by parent."""
        return self._child.pid

    def uri(self, user: str = "demo") -> str:
        """A SIP URI that reaches it."""
        return f"sip:{user}@{self.sip[0]}:{self.sip[1]}"

    async def get(self, path: str) -> Any:  # noqa: ANN401  JSON
        """Ask its API.

        Raises:
            RemoteProtocolError: If the answer is not 200 and JSON.
        """
        timeout = aiohttp.ClientTimeout(total=_REQUEST_S)
        async with (
            aiohttp.ClientSession(self._base, headers=self._headers, timeout=timeout) as session,
            session.get(path) as answer,
        ):
            if answer.status != 200:
                raise RemoteProtocolError(f"GET {path} was answered {answer.status}: {await answer.text()}")
            return await answer.json()

    async def call(self, call_id: str) -> dict[str, Any]:
        """Its own account of one call, by SIP Call-ID.

        Raises:
            RemoteProtocolError: If it knows no such call.
        """
        found = await self.get(f"/api/calls/{quote(call_id, safe='')}")
        if not isinstance(found, dict):
            raise RemoteProtocolError(f"the bridge's account of the call is no object: {found!r}")
        return found

    async def call_when(
        self, call_id: str, is_so: Callable[[dict[str, Any]], bool], *, timeout_s: float
    ) -> dict[str, Any]:
        """Ask for a call's account again and again until `is_so`.

        Raises:
            TimeoutError: If that is not within `timeout_s`.
            RemoteProtocolError: If it knows no such call.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                found = await self.call(call_id)
                if is_so(found):
                    return found
                await asyncio.sleep(_POLL_S)

    async def close(self) -> int:
        """Ask it to stop, insist after 5 s, and return its exit code; safe twice."""
        for last_word in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if self._child.returncode is None:
                self._child.send_signal(last_word)
            try:
                await asyncio.wait_for(self._child.wait(), _STOP_S)
                break
            except TimeoutError:
                continue
        await self._tasks.close()
        return -1 if self._child.returncode is None else self._child.returncode

    async def _until_ready(self) -> None:
        ready = self._tasks.start(self._ready.wait(), name="ready")
        ended = self._tasks.start(self._child.wait(), name="ended")
        await asyncio.wait({ready, ended}, timeout=_READY_S, return_when=asyncio.FIRST_COMPLETED)
        if self._ready.is_set():
            return
        if ended.done():
            raise SetupError(f"the bridge did not start: {self._last_line()}")
        raise SetupError(f"the bridge is not ready after {_READY_S:.0f} s: {self._last_line()}")

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            text = line.decode("utf-8", "replace").rstrip()
            self.lines.append(text)
            if text == "ready":
                self._ready.set()

    def _last_line(self) -> str:
        return next((line for line in reversed(self.lines) if line.strip()), "it said nothing")


def _free_ports() -> tuple[int, int, int]:
    """Ports for SIP (UDP), HTTP and the voice service (TCP); free now, and not likely to be taken at once."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as http,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tts,
    ):
        opened = (sip, http, tts)
        for one in opened:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in opened]
    return ports[0], ports[1], ports[2]
