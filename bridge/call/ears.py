"""Has what the caller says written down: sound goes to the recogniser while they speak, words come back."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.aio.tasks import Tasks
from bridge.call.hearing import CallerWords
from bridge.engine.commands import LegEvent
from bridge.errors import RecognitionError
from bridge.media.resample import Resampler
from bridge.plane.events import VoiceStarted, VoiceStopped
from bridge.ports import Clock, Recognition, Recognizer, Understanding
from bridge.speech.listening import Begin, ListenEvent, Listening

__all__ = ["Ears"]

_log = logging.getLogger(__name__)

_EVERY_S = 0.1
"""What the services advise for a frame."""
_LEAD_MS = 500
"""Heard of what was before the gate opened; the capture ring keeps 2 s."""
_MS = 1_000_000


class Tap(Protocol):
    """Where the sound is; `bridge.plane.ring.CaptureReader` in life."""

    def read(self, max_samples: int) -> NDArray[np.int16]: ...
    def keep_last(self, samples: int) -> int: ...


class _Utterance:
    """One utterance on its way to the recogniser."""

    def __init__(self, recognition: Recognition, *, rate_hz: int, wanted_hz: int, began_ns: int) -> None:
        self.recognition = recognition
        self.began_ns = began_ns
        self._rate_hz = rate_hz
        self._samples = 0
        self._resampler = Resampler(rate_hz, wanted_hz)

    def hear(self, samples: NDArray[np.int16]) -> None:
        self._samples += len(samples)
        self.recognition.hear(self._resampler.push(samples.astype("<i2").tobytes()))

    def words(self, told: Understanding, number: int, *, now_ns: int) -> CallerWords:
        began_ns = self.began_ns + told.begin_ms * _MS
        heard_ns = self.began_ns + self._samples * 1_000_000_000 // self._rate_hz
        ended_ns = heard_ns if told.end_ms is None else self.began_ns + told.end_ms * _MS
        # What a service says of times is its own; nobody has spoken in the future.
        began_ns = min(began_ns, now_ns)
        ended_ns = max(began_ns, min(ended_ns, now_ns))
        return CallerWords(number, told.text.strip(), told.is_final, began_ns, ended_ns)

    def finish(self) -> None:
        self.recognition.hear(self._resampler.flush())
        self.recognition.finish()


class Ears:
    """Listens to one call. `run` it as one of the call's tasks.

    Nothing is read while the caller is silent, and a recogniser that fails or has no room costs words only.

    Args:
        recognizer: Who understands.
        tap: Sound of the call; the caller is its first lane.
        rate_hz: Sampling frequency of that.
        clock: For the times of words.
        on_words: Gets the words, on the loop.
        call_id: For the log.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        tap: Tap,
        *,
        rate_hz: int,
        clock: Clock,
        on_words: Callable[[CallerWords], None],
        call_id: str,
    ) -> None:
        self._recognizer = recognizer
        self._tap = tap
        self._rate_hz = rate_hz
        self._clock = clock
        self._on_words = on_words
        self._call_id = call_id
        self._listening = Listening()
        self._woken = asyncio.Event()
        self._utterance: _Utterance | None = None
        self._sentences = 0
        self._has_complained = False

    def on_event(self, event: LegEvent) -> None:
        """Take note of one report of the media process."""
        match event:
            case VoiceStarted():
                item = ListenEvent.VOICE_STARTED
            case VoiceStopped():
                item = ListenEvent.VOICE_STOPPED
            case _:
                return
        self._listening.receive(item, now_ns=self._clock.now_ns())
        self._woken.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        async with Tasks(f"ears {self._call_id}") as tasks:
            while True:
                self._listening.handle_timeout(now_ns=self._clock.now_ns())
                for action in self._listening.drain():
                    if isinstance(action, Begin):
                        self._begin(tasks, has_lead=action.has_lead)
                    else:
                        self._end()
                self._feed()
                await self._wait()

    async def _wait(self) -> None:
        """Sleep for one frame while the caller speaks, else until they do."""
        self._woken.clear()
        try:
            async with asyncio.timeout(None if self._listening.deadline_ns is None else _EVERY_S):
                await self._woken.wait()
        except TimeoutError:
            return

    def _begin(self, tasks: Tasks, *, has_lead: bool) -> None:
        lead = self._tap.keep_last(self._rate_hz * _LEAD_MS // 1000 if has_lead else self._rate_hz)
        if (recognition := self._recognizer.listen()) is None:
            return
        began_ns = self._clock.now_ns() - lead * 1_000_000_000 // self._rate_hz
        utterance = self._utterance = _Utterance(
            recognition, rate_hz=self._rate_hz, wanted_hz=self._recognizer.rate_hz, began_ns=began_ns
        )
        tasks.start(self._follow(utterance), name="words")

    def _feed(self) -> None:
        if self._utterance is None:
            return
        while (block := self._tap.read(self._rate_hz)).shape[1]:
            self._utterance.hear(block[0])

    def _end(self) -> None:
        self._feed()
        if self._utterance is not None:
            self._utterance.finish()
        self._utterance = None

    async def _follow(self, utterance: _Utterance) -> None:
        """Hand on what is understood of one utterance, and make the last word of each sentence final."""
        told: CallerWords | None = None
        try:
            async for understanding in utterance.recognition.results():
                if not understanding.text.strip():
                    continue
                if told is None:
                    self._sentences += 1
                number = self._sentences if told is None else told.id
                words = utterance.words(understanding, number, now_ns=self._clock.now_ns())
                self._on_words(words)
                told = None if words.is_final else words
        except RecognitionError as error:
            self._complain(error)
        finally:
            utterance.recognition.cancel()
        if told is not None:
            self._on_words(CallerWords(told.id, told.text, True, told.began_ns, told.ended_ns))

    def _complain(self, error: RecognitionError) -> None:
        """Once a call, and by its code alone: what a service says may repeat what the caller said."""
        if not self._has_complained:
            self._has_complained = True
            _log.warning("call %s: the caller's words are lost: %s", self._call_id, error.code)
