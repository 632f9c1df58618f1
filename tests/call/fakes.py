"""A leg whose playout the test turns by hand, and a voice that says what it is told."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from bridge.audio import OpusFormat, PcmFormat
from bridge.errors import SynthesisError
from bridge.plane.columns import Columns
from bridge.plane.events import Ducked, FlushCause, Flushed, PlayoutIdle, SpeechStarted
from bridge.plane.ring import CaptureReader, PlayoutWriter
from bridge.ports import SentenceMark, Voice, WordTime
from tests.fakes import MS, ManualClock

SAMPLES_PER_WORD = 800
"""The scripted voice takes 100 ms for every word."""


class HandLeg:
    """One row of real columns; the test plays the part of the media process."""

    def __init__(self) -> None:
        self.columns = Columns(memoryview(bytearray(Columns.size_bytes(1))), 1)
        self.columns.generation[0] = 7
        self.writer = PlayoutWriter(self.columns, 0, 7)
        self.interruptible: list[int] = []
        self.sensitivity: list[int] = []

    def set_interruptible(self, bits: int) -> None:
        self.interruptible.append(bits)

    def set_sensitivity(self, sensitivity: int) -> None:
        self.sensitivity.append(sensitivity)

    def flush(self) -> None:
        self.columns.epoch[0] += 1

    def capture(self) -> CaptureReader:
        return CaptureReader(self.columns, 0, 7)

    @property
    def written(self) -> int:
        return int(self.columns.play_write[0])

    def started(self, at_ns: int) -> SpeechStarted:
        position = max(int(self.columns.played[0]), int(self.columns.play_start[0]))
        return SpeechStarted(0, 7, at_ns, position=position)

    def play_all(self, at_ns: int) -> PlayoutIdle:
        self.columns.played[0] = self.columns.play_write[0]
        return PlayoutIdle(0, 7, at_ns, position=self.written)

    def duck(self, position: int, at_ns: int) -> Ducked:
        self.columns.played[0] = position
        return Ducked(0, 7, at_ns, position=position, onset_ns=at_ns - 40 * MS, gate_ns=at_ns - 15 * MS)

    def cut(self, at_ns: int) -> Flushed:
        """Forget what was not played: the epoch rises, as the plane does it."""
        self.flush()
        return self.flushed(at_ns)

    def flushed(self, at_ns: int, *, cause: FlushCause = "speech") -> Flushed:
        """Report the last flush."""
        return Flushed(
            0,
            7,
            at_ns,
            position=int(self.columns.played[0]),
            epoch=int(self.columns.epoch[0]),
            verdict_ns=at_ns - MS,
            cause=cause,
        )


class ScriptedSpeech:
    """Every word becomes 100 ms of a level that counts the words; times are exact."""

    def __init__(self, clock: ManualClock, *, fails_after_words: int | None, number: int) -> None:
        self.task_id = f"task-{number}"
        self.bound_ns = clock.now_ns()
        self.words: list[WordTime] = []
        self.sentence: SentenceMark | None = None
        self.text = ""
        self.finished = asyncio.Event()
        self.is_cancelled = False
        self._clock = clock
        self._fails_after_words = fails_after_words

    async def send_text(self, text: str) -> None:
        self.text += text

    async def finish(self) -> None:
        self.finished.set()

    async def audio(self) -> AsyncIterator[bytes]:
        await self.finished.wait()
        index = 0
        for number, word in enumerate(self.text.split()):
            if number == self._fails_after_words:
                raise SynthesisError("the connection is gone", code="Closed", retryable=True)
            begin = self.text.index(word, index)
            index = begin + len(word)
            self.words.append(WordTime(word, begin, index, number * 100, number * 100 + 100))
            yield np.full(SAMPLES_PER_WORD, 1000 + number, "<i2").tobytes()

    async def cancel(self) -> int:
        self.is_cancelled = True
        return self._clock.now_ns()


class ScriptedVoice:
    """A synthesizer that keeps what it was asked for."""

    def __init__(self, clock: ManualClock, *, failures: tuple[int | None, ...] = ()) -> None:
        self.speeches: list[ScriptedSpeech] = []
        self.rates_hz: list[int] = []
        self._clock = clock
        self._failures = failures

    def speak(self, voice: Voice, format: PcmFormat | OpusFormat) -> ScriptedSpeech:
        number = len(self.speeches)
        fails = self._failures[number] if number < len(self._failures) else None
        self.rates_hz.append(format.rate)
        self.speeches.append(ScriptedSpeech(self._clock, fails_after_words=fails, number=number))
        return self.speeches[-1]
