"""A stereo recording of one call: caller left, bot right, in step to the sample."""

import asyncio
import os
import wave
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Recorder"]

_EVERY_S = 0.5
"""The capture ring holds 2 s: reading it twice a second leaves room for a busy machine."""


class Capture(Protocol):
    """What a recorder needs; `bridge.plane.ring.CaptureReader` in life."""

    def read(self, max_samples: int) -> NDArray[np.int16]: ...


class Recorder:
    """Copies a leg's capture ring into a WAV file until it is closed.

    Args:
        path: File to create, with mode 0600. A file that exists is never overwritten.
        capture: Both directions of the leg.
        rate: Sampling frequency in Hz.

    Raises:
        OSError: If the file cannot be created.
    """

    def __init__(self, path: Path, capture: Capture, *, rate: int) -> None:
        self._capture = capture
        self._rate = rate
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._raw = os.fdopen(descriptor, "wb")
        self._file = wave.open(self._raw, "wb")  # noqa: SIM115  closed by `run`
        self._file.setnchannels(2)
        self._file.setsampwidth(2)
        self._file.setframerate(rate)

    async def run(self) -> None:
        """Write twice a second until cancelled, then write the rest and close the file."""
        writing: asyncio.Future[None] | None = None
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                writing = asyncio.ensure_future(asyncio.to_thread(self._drain))
                await asyncio.shield(writing)
        finally:
            if writing is not None:
                await asyncio.wait({writing})  # a thread cannot be cancelled
            try:
                self._drain()
                self._file.close()
            finally:
                self._raw.close()

    def _drain(self) -> None:
        while (block := self._capture.read(self._rate)).shape[1]:
            self._file.writeframes(np.ascontiguousarray(block.T).tobytes())
