"""One text spoken over as many tasks as it takes, heard as one.

A task is ended when the text pauses, for the service fails one that gets none for 23 s; the next begins
when there is text again. A task whose service or connection fails is followed by one for what was not
heard. A task that has all the text it may have is followed by the next.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from bridge.aio.patience import PAUSES_S, Patience
from bridge.aio.script import Script
from bridge.cosyvoice.cutting import take_text
from bridge.cosyvoice.failures import CLOSED
from bridge.cosyvoice.limits import TASK_CHARACTERS
from bridge.cosyvoice.parts import Part, Parts
from bridge.errors import ConnectionLostError, SynthesisError
from bridge.ports import Clock, Speech, WordTime
from bridge.text.characters import count_characters

__all__ = ["Narration", "Telling"]

_PIECE_CHARACTERS = 1_000
"""Counted characters handed over at a time, so that the service never has much more than it is to have."""

_SENTENCE_ENDS = re.compile(r"[。！？；…\n]\s*\Z|[.!?]\s+\Z")


@dataclass(frozen=True, slots=True)
class Telling:
    """How texts are spoken."""

    take_speech: Callable[[], Awaitable[Speech]]
    """Gives a task to speak with, started already where that was possible."""
    clock: Clock
    rate: int
    """Sampling frequency of the PCM that the tasks give, in Hz; 0 for another format."""
    pauses_s: tuple[float, ...] = PAUSES_S
    """Before each new try with a service that failed."""
    note_text: Callable[[int], None] = lambda now_ns: None
    """Told when the first text is handed over, in ns."""
    pause_s: float = 12.0
    """A text that pauses for longer ends its task: after 23 s the service would fail it (§1.7)."""
    task_characters: int = TASK_CHARACTERS
    """Counted characters that one task takes."""
    has_words: bool = True
    """Whether the tasks were asked for word times."""
    is_ssml: bool = False
    """Whether texts are SSML, which goes to one task as a whole."""
    is_wav: bool = False
    """Whether every task's sound begins with a header that only the first may have."""


class Narration:
    """What speaks one script.

    Args:
        script: The text; it stays the caller's to close.
        telling: How it is spoken.
    """

    def __init__(self, script: Script, telling: Telling) -> None:
        self.parts: Parts = Parts(telling.rate, is_whole=telling.is_ssml, has_words=telling.has_words)
        self._script = script
        self._telling = telling
        self._first: Speech | None = None
        self._has_text = False
        self._cancelled = asyncio.Event()

    @property
    def words(self) -> list[WordTime]:
        """Word times known so far, in the whole text and from the first sample."""
        return self.parts.words

    @property
    def task_id(self) -> str:
        """Identifier of the latest task; empty before the first."""
        return part.speech.task_id if (part := self.parts.latest) is not None else ""

    @property
    def bound_ns(self) -> int:
        """When the first task had an open connection; 0 while it has none."""
        return self._first.bound_ns if self._first is not None else 0

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """Yield the sound; to be iterated once, and closed where it is left early.

        Raises:
            SynthesisError: If the service fails and patience has run out, or its sound cannot be continued.
            Exception: Whatever the text's source raised; what it gave before was spoken.
        """
        telling = self._telling
        patience = Patience(telling.pauses_s)
        try:
            while await self._has_more() and not self._cancelled.is_set():
                part = await self._begin()
                try:
                    async with aclosing(self._sound_of(part)) as sound:
                        async for data in sound:
                            yield data
                    if rest := self.parts.end():
                        yield rest
                except SynthesisError as error:
                    has_progress = self.parts.position > part.begin
                    if not self.parts.break_off(self._script.text):
                        raise
                    now_ns = telling.clock.now_ns()
                    pause_s = patience.pause_s(error, has_progress=has_progress, now_ns=now_ns)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause_s):
                            await self._cancelled.wait()
        finally:
            await self.cancel()

    async def cancel(self) -> int | None:
        """Abandon the running task, if any, and begin no other; returns when that was written, in ns."""
        self._cancelled.set()
        return await part.speech.cancel() if (part := self.parts.latest) is not None else None

    async def _has_more(self) -> bool:
        offset = self.parts.offset
        if self._telling.is_ssml:
            return len(await self._script.whole()) > offset
        return bool(await self._script.more(offset))

    async def _begin(self) -> Part:
        speech = await self._telling.take_speech()
        self._first = self._first or speech
        part = self.parts.begin(speech)
        if self._cancelled.is_set():
            await part.speech.cancel()
        return part

    async def _sound_of(self, part: Part) -> AsyncGenerator[bytes, None]:
        feeder = asyncio.create_task(self._feed(part), name="feed")
        has_header = self._telling.is_wav and self.parts.count > 1
        try:
            async for data in part.speech.audio():
                handed_on = self.parts.hand_on(_without_header(data) if has_header else data)
                has_header = False
                if handed_on:
                    yield handed_on
            if feeder.done():
                feeder.result()
        finally:
            if not feeder.done():
                feeder.cancel()
                await asyncio.wait({feeder})
            if not feeder.cancelled():
                feeder.exception()  # whoever leaves early does not want to know
        if not part.sent and not self._cancelled.is_set():
            # To begin another at once, and another, would be a storm.
            raise ConnectionLostError(
                "the service ended the task before its text", code=CLOSED, retryable=True
            )

    async def _feed(self, part: Part) -> None:
        """Hand the text over as it is written; end the task when the source pauses, ends or fails."""
        try:
            await self._hand_over(part)
        except TimeoutError:
            pass  # the next task takes what the source may still say
        except SynthesisError:
            pass  # the sound ends with it, or the task has ended and the next takes this text
        except Exception:
            await part.speech.finish()
            raise
        await part.speech.finish()

    async def _hand_over(self, part: Part) -> None:
        telling = self._telling
        while text := await self._script.more(part.text_offset + part.sent, timeout_s=telling.pause_s):
            if not self._has_text:
                self._has_text = True
                telling.note_text(telling.clock.now_ns())
            piece = text if telling.is_ssml else self._piece(part, text)
            if not piece:
                break
            await part.speech.send_text(piece)
            part.sent += len(piece)
            part.counted += count_characters(piece)

    def _piece(self, part: Part, text: str) -> str:
        """The beginning of `text` that goes to this task; empty when the task has all that it may have."""
        room = self._telling.task_characters - part.counted
        piece = take_text(text, min(_PIECE_CHARACTERS, self._telling.task_characters))
        is_near_the_end = part.sent and room < _PIECE_CHARACTERS
        if is_near_the_end and (self._ends_sentence(part) or count_characters(piece) > room):
            return ""
        return piece

    def _ends_sentence(self, part: Part) -> bool:
        return _SENTENCE_ENDS.search(self._script.last(part.text_offset + part.sent)) is not None


def _without_header(data: bytes) -> bytes:
    """Take the RIFF header off the first frame of a WAV stream."""
    at = data.find(b"data", 12) if data.startswith(b"RIFF") else -1
    return data[at + 8 :] if at >= 0 else data
