"""One utterance in the making: text becomes speech, speech goes into the leg's ring.

It may take several tasks at the voice service: a second one follows where a service failed or the
text's source paused for long. All positions are sample indices of the leg's playout.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.aio.patience import PAUSES_S, Patience
from bridge.aio.script import Script
from bridge.call.trace import UtteranceRecord
from bridge.errors import CallEnded, SynthesisError
from bridge.plane.events import Flushed
from bridge.plane.ring import PlayoutWriter
from bridge.ports import Clock, Speech, WordTime
from bridge.speech.heard import Heard, heard

__all__ = ["Utterance", "Workshop"]

_LOW_WATER_S = 2.0
"""Refill the ring (4 s) when this much is left: two wake-ups a second, and a second to be late by."""
_PATIENCE_S = 12.0
"""The service gives up on a task after 23 s without text (§1.7); we end the task well before."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the making of an utterance needs."""

    writer: PlayoutWriter
    rate: int
    """Of the leg, in Hz."""
    clock: Clock
    take_speech: Callable[[], Awaitable[Speech]]
    """Gives a task to speak with, started already where that was possible."""
    note_text: Callable[[int], None]
    """Told when the first text is handed over, in ns."""
    is_closed: Callable[[], bool]
    """Whether the call is over."""
    retry_pauses_s: tuple[float, ...] = PAUSES_S


@dataclass(slots=True)
class _Part:
    """One task's share of an utterance."""

    speech: Speech
    text_offset: int
    start_sample: int
    sent: int = 0
    spoken: int | None = None
    """How many of its characters count, if it failed; the rest was asked for again."""


class Utterance:
    """What holds the floor; made by `bridge.call.turns.Speaker`.

    Args:
        workshop: What its making needs.
        epoch: Epoch of the row when it began: everything is written under it.
        record: What becomes known of it.
    """

    def __init__(self, workshop: Workshop, *, epoch: int, record: UtteranceRecord) -> None:
        loop = asyncio.get_running_loop()
        self.epoch: int = epoch
        self.record: UtteranceRecord = record
        self.flushed: asyncio.Future[Flushed] = loop.create_future()
        """Done when the floor was taken from it."""
        self.idle: asyncio.Future[None] = loop.create_future()
        """Done when its last sample was sent."""
        self.is_written: bool = False
        """Whether all of its sound is in the ring."""
        self.written: int = record.start_sample
        """Index after the last sample written."""
        self._workshop = workshop
        self._parts: list[_Part] = []

    @property
    def is_pending(self) -> bool:
        """Whether samples of it wait in the ring to be played."""
        writer = self._workshop.writer
        return writer.is_current(self.epoch) and writer.played < self.written

    @property
    def bound_ns(self) -> int | None:
        """When its first task had an open connection."""
        return self._parts[0].speech.bound_ns or None if self._parts else None

    async def cancel(self) -> int | None:
        """Cancel the running task, if any; returns when that was written. Harmless when it has ended."""
        return await self._parts[-1].speech.cancel() if self._parts else None

    async def speak(self, script: Script) -> None:
        """Put all of `script` into the ring.

        Raises:
            SynthesisError: If the service fails and patience has run out.
            CallEnded: If nobody is on the line any more.
            Exception: Whatever the text's source raised; what it gave before is in the ring.
        """
        workshop = self._workshop
        offset = 0
        patience = Patience(workshop.retry_pauses_s)
        while await script.more(offset):
            part = await self._begin_part(offset)
            try:
                await self._stream(script, part)
                offset += part.sent
            except SynthesisError as error:
                part.spoken = self._delivered(script, part)
                offset += part.spoken
                now_ns = workshop.clock.now_ns()
                pause_s = patience.pause_s(error, has_progress=part.spoken > 0, now_ns=now_ns)
                await asyncio.sleep(pause_s)

    async def put(self, samples: NDArray[np.int16]) -> None:
        """Write samples as the ring has room for them; returns early after a flush.

        Raises:
            CallEnded: If nobody is on the line any more.
        """
        writer = self._workshop.writer
        while samples.size:
            if self._workshop.is_closed():
                raise CallEnded("nobody is on the line")
            accepted = writer.write(samples, epoch=self.epoch)
            self.written = self.record.end_sample = writer.write_index
            samples = samples[accepted:]
            if samples.size:
                if writer.epoch != self.epoch:
                    return  # flushed; the event is on its way
                ahead_s = (writer.write_index - writer.played) / self._workshop.rate
                await asyncio.sleep(max(0.02, ahead_s - _LOW_WATER_S))

    def heard(self, text: str, position: int) -> Heard:
        """Split `text` at the last word that was played before the sample `position`."""
        start, rate = self.record.start_sample, self._workshop.rate
        return heard(
            text,
            self._words(),
            played_ms=(position - start) * 1000 // rate,
            finished=False,
            total_ms=(self.written - start) * 1000 // rate if self.is_written else None,
        )

    async def _begin_part(self, offset: int) -> _Part:
        speech = await self._workshop.take_speech()
        part = _Part(speech, offset, self._workshop.writer.write_index)
        self._parts.append(part)
        self.record.task_id = speech.task_id
        return part

    async def _stream(self, script: Script, part: _Part) -> None:
        feeder = asyncio.create_task(self._feed(script, part), name="feed")
        try:
            async for data in part.speech.audio():
                await self.put(np.frombuffer(data, "<i2"))
            await feeder
        finally:
            if not feeder.done():
                feeder.cancel()
                await asyncio.wait({feeder})

    async def _feed(self, script: Script, part: _Part) -> None:
        """Hand the text over as it is written; end the task when the source pauses, ends or fails."""
        try:
            while text := await script.more(part.text_offset + part.sent, timeout_s=_PATIENCE_S):
                if self.record.first_text_ns is None:
                    self.record.first_text_ns = self._workshop.clock.now_ns()
                    self._workshop.note_text(self.record.first_text_ns)
                part.sent += len(text)
                await part.speech.send_text(text)
        except TimeoutError:
            pass  # `speak` begins a new task for what the source may still say
        finally:
            await part.speech.finish()

    def _delivered(self, script: Script, part: _Part) -> int:
        """Count the characters of a failed part that are already in the ring."""
        played_ms = (self.written - part.start_sample) * 1000 // self._workshop.rate
        text = script.text[part.text_offset : part.text_offset + part.sent]
        if not played_ms:
            return 0
        return len(heard(text, part.speech.words, played_ms=played_ms, finished=False, total_ms=None).heard)

    def _words(self) -> list[WordTime]:
        """Word times of all parts, counted from the utterance's own start."""
        out: list[WordTime] = []
        for part in self._parts:
            shift_ms = (part.start_sample - self.record.start_sample) * 1000 // self._workshop.rate
            out += [
                WordTime(
                    text=word.text,
                    begin_index=word.begin_index + part.text_offset,
                    end_index=word.end_index + part.text_offset,
                    begin_ms=word.begin_ms + shift_ms,
                    end_ms=word.end_ms + shift_ms,
                )
                for word in part.speech.words
                if part.spoken is None or word.end_index <= part.spoken
            ]
        return out
