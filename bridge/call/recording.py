"""A stereo recording of one call: caller left, bot right, in step to the sample."""

import asyncio
import os
import wave
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.aio.tasks import Tasks
from bridge.call.hearing import Hearing

__all__ = ["Recorder", "record_message"]

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
        channels: 2 for both directions, 1 for the caller alone.

    Raises:
        OSError: If the file cannot be created.
    """

    def __init__(self, path: Path, capture: Capture, *, rate: int, channels: int = 2) -> None:
        self._capture = capture
        self._rate = rate
        self._channels = channels
        self._written = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._raw = os.fdopen(descriptor, "wb")
        self._file = wave.open(self._raw, "wb")  # noqa: SIM115  closed by `run`
        self._file.setnchannels(channels)
        self._file.setsampwidth(2)
        self._file.setframerate(rate)

    @property
    def length_s(self) -> float:
        """How much has been written."""
        return self._written / self._rate

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
            with closing(self._raw), closing(self._file):
                self._drain()

    def _drain(self) -> None:
        while (block := self._capture.read(self._rate)).shape[1]:
            self._written += block.shape[1]
            self._file.writeframes(np.ascontiguousarray(block[: self._channels].T).tobytes())


async def record_message(
    recorder: Recorder, hearing: Hearing, *, max_s: float, silence_s: float, stop_keys: str
) -> float:
    """Record until the caller is silent, presses one of the keys, or it has lasted long enough.

    Keys pressed meanwhile are not kept for later.

    Returns:
        Its length in s.
    """

    async def stopped() -> None:
        while (await hearing.digit(timeout_s=max_s)) not in stop_keys:
            pass

    async with Tasks("message") as tasks:
        writing = tasks.start(recorder.run(), name="writing")
        silent = tasks.start(hearing.quiet(round(silence_s * 1000), from_now=True), name="silence")
        ends = {writing, silent, tasks.start(stopped(), name="keys")}
        await asyncio.wait(ends, timeout=max_s, return_when=asyncio.FIRST_COMPLETED)
    if writing.done() and not writing.cancelled():
        await writing  # the disk is full
    return recorder.length_s
