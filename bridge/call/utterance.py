"""One utterance in the making: text becomes speech, speech goes into the leg's ring.

It may take several tasks at the voice service (`bridge.aio.narration`). All positions are sample
indices of the leg's playout.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from weakref import proxy

import numpy as np
from numpy.typing import NDArray

from bridge.aio.narration import Narration, Telling
from bridge.aio.patience import PAUSES_S
from bridge.aio.script import Script
from bridge.call.opus_speech import Packets
from bridge.call.trace import UtteranceRecord
from bridge.errors import CallEnded
from bridge.plane.events import Flushed
from bridge.plane.ring import PlayoutWriter
from bridge.ports import Clock, Speech
from bridge.speech.heard import Heard, heard

__all__ = ["Utterance", "Workshop"]

_LOW_WATER_S = 2.0
"""Refill the ring (4 s) when this much is left: two wake-ups a second, and a second to be late by."""


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
    packets: Packets | None = None
    """Opus packets of the speech, where the leg can pass them on."""
    retry_pauses_s: tuple[float, ...] = PAUSES_S


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
        self.is_stopped: bool = False
        """Whether we have ordered its flush ourselves."""
        self.written: int = record.start_sample
        """Index after the last sample written."""
        self.script: Script | None = None
        """What is said; None of a file that is played."""
        self._workshop = workshop
        self._narration: Narration | None = None

    @property
    def is_pending(self) -> bool:
        """Whether samples of it wait in the ring to be played."""
        writer = self._workshop.writer
        return writer.is_current(self.epoch) and writer.played < self.written

    @property
    def bound_ns(self) -> int | None:
        """When its first task had an open connection."""
        return self._narration.bound_ns or None if self._narration is not None else None

    async def cancel(self) -> int | None:
        """Cancel the running task, if any; returns when that was written. Harmless when it has ended."""
        return await self._narration.cancel() if self._narration is not None else None

    async def speak(self, script: Script) -> None:
        """Put all of `script` into the ring.

        Raises:
            SynthesisError: If the service fails and patience has run out.
            CallEnded: If nobody is on the line any more.
            Exception: Whatever the text's source raised; what it gave before is in the ring.
        """
        workshop, self.script = self._workshop, script
        # Weakly, as in `bridge.call.turns.Speaker`: whoever is over goes at once.
        me: Utterance = proxy(self)
        telling = Telling(
            lambda: me._take_speech(),  # noqa: PLW0108
            workshop.clock,
            workshop.rate,
            pauses_s=workshop.retry_pauses_s,
            note_text=lambda now_ns: me._note_text(now_ns),  # noqa: PLW0108
        )
        self._narration = Narration(script, telling)
        async with aclosing(self._narration.audio()) as audio:
            async for data in audio:
                await self.put(np.frombuffer(data, "<i2"))

    async def put(self, samples: NDArray[np.int16]) -> None:
        """Write samples as the ring has room for them; returns early after a flush.

        Raises:
            CallEnded: If nobody is on the line any more.
        """
        writer, packets = self._workshop.writer, self._workshop.packets
        payload = packets.take(samples) if packets is not None else None
        while samples.size:
            if self._workshop.is_closed():
                raise CallEnded("nobody is on the line")
            if payload is None:
                accepted = writer.write(samples, epoch=self.epoch)
            else:
                # The whole packet, or nothing yet.
                accepted = writer.write_packet(payload, samples, epoch=self.epoch)
            self.written = self.record.end_sample = writer.write_index
            samples = samples[accepted:]
            if samples.size:
                if writer.epoch != self.epoch:
                    return  # flushed; the event is on its way
                ahead_s = writer.ahead / self._workshop.rate
                await asyncio.sleep(max(0.02, ahead_s - _LOW_WATER_S))

    def heard(self, text: str, position: int) -> Heard:
        """Split `text` at the last word that was played before the sample `position`."""
        start, rate = self.record.start_sample, self._workshop.rate
        return heard(
            text,
            self._narration.words if self._narration is not None else [],
            played_ms=(position - start) * 1000 // rate,
            finished=False,
            total_ms=(self.written - start) * 1000 // rate if self.is_written else None,
        )

    async def _take_speech(self) -> Speech:
        speech = await self._workshop.take_speech()
        self.record.task_id = speech.task_id
        return speech

    def _note_text(self, now_ns: int) -> None:
        self.record.first_text_ns = now_ns
        self._workshop.note_text(now_ns)
