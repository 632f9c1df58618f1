"""Speaks the text of one task: sentence by sentence, piece by piece, as fast as the client reads."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from bridge.cosyvoice.limits import EMPTY_TEXT, INVALID_PARAMETER, UNKNOWN_VOICE, Refusal
from bridge.cosyvoice.message import Word
from bridge.cosyvoice.task import Begin
from bridge.media.tags import aigc_tags
from bridge.ports import WordTime
from bridge.text.passage import Sentence
from bridge.text.ssml import SsmlError
from bridge.ttsserver.faults import MID_WORD_FRAMES, Fault
from bridge.ttsserver.instruction import style_of
from bridge.ttsserver.prompter import Prompter
from bridge.ttsserver.render import TaskRenderer, append_words
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.studio import Studio, accepts
from bridge.ttsserver.voice import EngineFailedError, UnspeakableError

__all__ = ["Listener", "Speaker"]

_PROPAGATOR = "cosybridge"
"""Where the cloud names the caller's account, and here is none."""


class Listener(Protocol):
    """Who takes what the speaker says; every method is called on the loop."""

    async def room(self) -> None:
        """Wait until more sound can be taken."""
        ...

    def sentence_begin(self, text: str) -> None: ...

    def audio(self, frame: bytes) -> None: ...

    def rest(self, frame: bytes) -> None: ...

    def sentence_end(self, words: tuple[Word, ...]) -> None: ...

    def done(self) -> None: ...

    def fail(self, refusal: Refusal) -> None: ...

    def reset(self) -> None:
        """Reset the connection; only a fault asks for it."""
        ...


class Speaker:
    """One task's text on its way to sound.

    Text is taken at once and at any time; `run` speaks it until `end` was called or it is cancelled.

    Args:
        begin: The task.
        studio: The voices.
        sounds: Sound files that its text may ask for.
        listener: Who takes what it says.
        faults: How it is to misbehave.
    """

    def __init__(
        self, begin: Begin, *, studio: Studio, sounds: Sounds, listener: Listener, faults: frozenset[Fault]
    ) -> None:
        self._begin = begin
        self._studio = studio
        self._sounds = sounds
        self._listener = listener
        self._faults = faults
        self._prompter = Prompter(begin)
        self._frames = 0

    def push(self, text: str) -> None:
        """Append text; its complete sentences are spoken."""
        self._prompter.push(text)

    def flush(self) -> None:
        """Let the incomplete sentence be spoken too."""
        self._prompter.flush()

    def end(self) -> None:
        """No more text follows."""
        self._prompter.end()

    async def run(self) -> None:
        """Speak; ends with `Listener.done` or `Listener.fail`, unless cancelled."""
        try:
            renderer = self._renderer()
            while (sentence := await self._prompter.next()) is not None:
                await self._speak(renderer, sentence)
            if self._frames:
                await self._finish(renderer)
        except (UnspeakableError, SsmlError) as refused:
            self._listener.fail(Refusal(INVALID_PARAMETER, str(refused)))
        except EngineFailedError as failed:
            self._listener.fail(Refusal("InternalError", str(failed)))
        except Exception:
            # The client must get its terminal event whatever happens; the task's owner logs the rest.
            self._listener.fail(Refusal("InternalError", "the voice failed on this text"))
            raise
        else:
            if self._frames:
                self._listener.done()
            else:
                self._listener.fail(EMPTY_TEXT)

    def _renderer(self) -> TaskRenderer:
        asked = self._begin.parameters
        tags: dict[str, str] = {}
        if asked.enable_aigc_tag:
            request_id = self._begin.request_id
            tags = aigc_tags(
                propagator=asked.aigc_propagator or _PROPAGATOR,
                propagate_id=asked.aigc_propagate_id or request_id,
                produce_id=request_id,
            )
        style = style_of(asked.instruction)
        try:
            return TaskRenderer(asked, style=style, sounds=self._sounds, tags=tags)
        except ValueError as error:
            raise UnspeakableError(str(error)) from None

    async def _speak(self, renderer: TaskRenderer, sentence: Sentence) -> None:
        voice = sentence.manner.voice or self._begin.parameters.voice or ""
        if not accepts(self._begin.model, voice):
            raise UnspeakableError(UNKNOWN_VOICE.message)
        parts = renderer.plan(sentence, self._studio.engine(voice))
        if not parts:
            return
        self._listener.sentence_begin(sentence.text)
        words: list[WordTime] = []
        for part in parts:
            await self._listener.room()
            try:
                rendering = await self._studio.render(renderer, part)
            except asyncio.CancelledError:
                renderer.stop.set()
                raise
            await self._send(rendering.frames)
            append_words(words, rendering.words)
        await self._send(renderer.settle())
        self._listener.sentence_end(tuple(map(_word, words)))

    async def _finish(self, renderer: TaskRenderer) -> None:
        for frame in renderer.finish():
            await self._listener.room()
            self._listener.rest(frame)

    async def _send(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            await self._listener.room()
            self._listener.audio(frame)
            self._frames += 1
            if self._frames == MID_WORD_FRAMES and self._faults:
                await self._break_off()

    async def _break_off(self) -> None:
        if Fault.FAIL_MID_WORD in self._faults:
            raise RuntimeError("the fault fail_mid_word was asked for")
        if Fault.DROP_MID_WORD in self._faults:
            self._listener.reset()
        if self._faults & {Fault.STALL, Fault.DROP_MID_WORD}:
            await asyncio.Event().wait()


def _word(word: WordTime) -> Word:
    return Word(word.text, word.begin_index, word.end_index, word.begin_ms, word.end_ms)
