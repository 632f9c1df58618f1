"""The embedded voice as a child process: rendering never takes a millisecond from a call.

The parent keeps the child's standard input open; when it closes, for whatever reason, the child ends.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Self

from bridge.aio.tasks import Tasks
from bridge.errors import SetupError
from bridge.ttsserver.server import TtsServerSettings, serve

__all__ = ["VoiceProcess"]

_log = logging.getLogger(__name__)

_START_S = 60.0
_PAUSE_S = 0.5
_PAUSE_MAX_S = 10.0
_READY = "listening "
_FAILED = "failed "


class VoiceProcess:
    """Keeps one embedded service running; get one from `start`, end it with `close`."""

    def __init__(self, settings: TtsServerSettings) -> None:
        self._settings = settings
        self._tasks = Tasks("voice")
        self._process: asyncio.subprocess.Process | None = None
        self.listen: tuple[str, int] = settings.listen
        """Where it really listens."""
        self.restarts: int = 0

    @classmethod
    async def start(cls, settings: TtsServerSettings) -> Self:
        """Start the child and wait until it takes connections.

        Raises:
            SetupError: If it does not come up; says why.
        """
        voice = cls(settings)
        try:
            await voice._spawn()
        except BaseException:
            await voice.close()
            raise
        voice._tasks.start(voice._watch(), name="watch")
        return voice

    @property
    def pid(self) -> int:
        """Process id of the child; 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    async def close(self) -> None:
        """End the child and wait for it; safe twice."""
        await self._tasks.close()
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _spawn(self) -> None:
        # A group of its own: Ctrl-C is for the parent, which lets calls finish their sentences.
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bridge.app.voice_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise SetupError(f"the embedded voice cannot be started: {error.strerror or error}") from None
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise SetupError("the voice process has no pipes")
        settings = asdict(self._settings) | {"listen": self.listen}
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), _START_S)).decode()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise SetupError(f"the embedded voice did not come up within {_START_S:.0f} s") from None
        if not line.startswith(_READY):
            raise SetupError(line.removeprefix(_FAILED).strip() or "the embedded voice ended at its start")
        host, port = json.loads(line.removeprefix(_READY))
        self.listen = (host, port)

    async def _watch(self) -> None:
        """Replace a child that died, at the same address."""
        pause_s = _PAUSE_S
        while self._process is not None:
            code = await self._process.wait()
            self.restarts += 1
            _log.error("the embedded voice died (exit %d); starting another", code)
            while True:
                try:
                    await self._spawn()
                    pause_s = _PAUSE_S
                    break
                except SetupError as error:
                    _log.error("the embedded voice cannot start again: %s", error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _PAUSE_MAX_S)


def _end_with_parent(stop: Callable[[], None]) -> None:
    # Blocks in its own thread until the parent's end of the pipe is closed. The descriptor, not the
    # buffered file: a thread that holds the file's lock at exit is a fatal error.
    while os.read(0, 4096):
        pass
    stop()


def main() -> None:
    """Be the child: settings come as one JSON line, the address goes back as one."""
    given = json.loads(sys.stdin.buffer.readline())
    settings = TtsServerSettings(
        **given | {name: tuple(given[name]) for name in ("listen", "api_keys", "faults")}
    )
    stop = threading.Thread(
        target=_end_with_parent, args=(lambda: os.kill(os.getpid(), signal.SIGTERM),), daemon=True
    )
    stop.start()
    try:
        asyncio.run(
            serve(settings, ready=lambda listen: print(_READY + json.dumps(listen), flush=True))  # noqa: T201
        )
    except SetupError as error:
        print(f"{_FAILED}{error}", flush=True)  # noqa: T201
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            sys.stdout.close()


if __name__ == "__main__":
    main()
