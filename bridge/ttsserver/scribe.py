"""Writes one recognition task down: sound in, sentences out, each at its pause and now and then before."""

import asyncio
from collections import deque
from typing import Protocol

import numpy as np

from bridge.cosyvoice.limits import Refusal
from bridge.cosyvoice.task import BeginHearing
from bridge.cosyvoice.transcript import Transcript
from bridge.media.resample import Resampler
from bridge.ttsserver.cutter import Cutter, Segment
from bridge.ttsserver.whisper import HEAR_HZ, Recogniser, RecogniserBusyError, RecogniserFailedError

__all__ = ["BUSY", "Reader", "Scribe"]

BUSY = Refusal("Throttling.Concurrency", "Too many concurrent requests.")

_FIRST_LOOK_MS = 1200
"""Length at which the beginning of a sentence is written down for the first time …"""
_NEXT_LOOK_MS = 1500
"""… and how much more is heard before each further time."""
_MOST_KEPT_MS = 60_000
"""Sound that may wait for the recogniser."""


class Reader(Protocol):
    """Who gets what is written; `bridge.ttsserver.connection` in life."""

    def understood(self, transcript: Transcript) -> None: ...

    def done(self) -> None: ...

    def fail(self, refusal: Refusal) -> None: ...


class Scribe:
    """Hears one task. `run` it; it ends after `end`, or when it has failed.

    Args:
        begin: The task.
        recogniser: Who knows the words.
        reader: Who gets them.
    """

    def __init__(self, begin: BeginHearing, *, recogniser: Recogniser, reader: Reader) -> None:
        self._recogniser = recogniser
        self._reader = reader
        self._language = (*begin.parameters.languages, "")[0]
        self._resampler = Resampler(begin.parameters.sample_rate, HEAR_HZ)
        self._cutter = Cutter(HEAR_HZ)
        self._segments: deque[Segment] = deque()
        self._looked_ms = 0
        self._is_complete = False
        self._news = asyncio.Event()

    def hear(self, data: bytes) -> None:
        """Take sound as it comes; never waits."""
        self._take(self._resampler.push(data))
        self._news.set()

    def end(self) -> None:
        """No more sound will come."""
        self._take(self._resampler.flush())
        self._segments += self._cutter.flush()
        self._is_complete = True
        self._news.set()

    async def run(self) -> None:
        """Write down what comes, until all is written."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._segments:
                    await self._write(self._segments.popleft())
                if self._is_complete:
                    self._reader.done()
                    return
                await self._look()
        except RecogniserBusyError:
            self._reader.fail(BUSY)
        except RecogniserFailedError as error:
            self._reader.fail(Refusal("InternalError", str(error)))

    def _take(self, pcm: bytes) -> None:
        self._segments += self._cutter.push(np.frombuffer(pcm, "<i2").astype(np.int16))
        waiting_ms = sum(segment.end_ms - segment.begin_ms for segment in self._segments)
        while waiting_ms > _MOST_KEPT_MS:
            oldest = self._segments.popleft()  # words are lost rather than memory without end
            waiting_ms -= oldest.end_ms - oldest.begin_ms

    async def _write(self, segment: Segment) -> None:
        self._looked_ms = 0
        text = await self._recogniser.understand(segment.samples.astype("<i2").tobytes(), self._language)
        if text:
            duration_s = -(-segment.end_ms // 1000)
            self._reader.understood(
                Transcript(text, segment.begin_ms, segment.end_ms, is_final=True, duration_s=duration_s)
            )

    async def _look(self) -> None:
        """Write the open sentence down as far as it has come, if the recogniser has nothing else to do."""
        due_ms = self._looked_ms + _NEXT_LOOK_MS if self._looked_ms else _FIRST_LOOK_MS
        segment = self._cutter.look()
        if segment is None or self._cutter.open_ms < due_ms or self._recogniser.waiting:
            return
        self._looked_ms = self._cutter.open_ms
        text = await self._recogniser.understand(segment.samples.astype("<i2").tobytes(), self._language)
        if text and not self._segments and not self._is_complete:
            self._reader.understood(Transcript(text, segment.begin_ms))
