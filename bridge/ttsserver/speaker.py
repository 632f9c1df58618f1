"""Speaks the text of one task: sentence by sentence, piece by piece, as fast as the client reads."""

import asyncio
from collections import deque
from typing import Protocol

from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.limits import EMPTY_TEXT, INVALID_PARAMETER, Refusal
from bridge.cosyvoice.message import Word
from bridge.ports import WordTime
from bridge.text.sentence import SentenceSplitter
from bridge.ttsserver.faults import MID_WORD_FRAMES, Fault
from bridge.ttsserver.render import TaskRenderer, UnsupportedFormatError
from bridge.ttsserver.script import is_speakable
from bridge.ttsserver.studio import Studio
from bridge.ttsserver.voice import UnspeakableError

__all__ = ["Listener", "Speaker"]

_NO_SSML = "SSML text is not supported at the moment!"


class Listener(Protocol):
    """Who takes what the speaker says; every method is called on the loop."""

    async def room(self) -> None:
        """Wait until more sound can be taken."""
        ...

    def sentence_begin(self, text: str) -> None: ...

    def audio(self, frame: bytes) -> None: ...

    def sentence_end(self, words: tuple[Word, ...]) -> None: ...

    def done(self) -> None: ...

    def fail(self, refusal: Refusal) -> None: ...

    def reset(self) -> None:
        """Reset the connection; only a fault asks for it."""
        ...


class Speaker:
    """One task's text on its way to sound.

    Text is taken at once and at any time; `run` speaks it until `end` was called or it is cancelled.
    """

    def __init__(
        self, parameters: TaskParameters, *, studio: Studio, listener: Listener, faults: frozenset[Fault]
    ) -> None:
        self._parameters = parameters
        self._studio = studio
        self._listener = listener
        self._faults = faults
        self._splitter = SentenceSplitter()
        self._sentences: deque[str] = deque()
        self._is_ended = False
        self._frames = 0
        self._news = asyncio.Event()

    def push(self, text: str) -> None:
        """Append text; its complete sentences are spoken."""
        self._queue(self._splitter.push(text))

    def flush(self) -> None:
        """Let the incomplete sentence be spoken too."""
        self._queue(self._splitter.flush())

    def end(self) -> None:
        """No more text follows."""
        self._is_ended = True
        self.flush()

    async def run(self) -> None:
        """Speak; ends with `Listener.done` or `Listener.fail`, unless cancelled."""
        try:
            engine = await self._studio.engine(self._parameters.voice or "")
            renderer = TaskRenderer(engine, self._parameters)
            while (sentence := await self._next()) is not None:
                await self._speak(renderer, sentence)
        except (UnspeakableError, UnsupportedFormatError) as refused:
            self._listener.fail(Refusal(INVALID_PARAMETER, str(refused)))
        except Exception:
            # The client must get its terminal event whatever happens; the task's owner logs the rest.
            self._listener.fail(Refusal("InternalError", "the voice failed on this text"))
            raise
        else:
            if self._frames:
                self._listener.done()
            else:
                self._listener.fail(EMPTY_TEXT)

    async def _speak(self, renderer: TaskRenderer, sentence: str) -> None:
        if sentence.lstrip().startswith("<speak"):
            raise UnspeakableError(_NO_SSML)
        if not is_speakable(sentence):
            return
        pieces = renderer.plan(sentence)
        self._listener.sentence_begin(sentence)
        words: list[WordTime] = []
        for piece in pieces:
            await self._listener.room()
            rendering = await self._studio.render(renderer, piece)
            for frame in rendering.frames:
                await self._listener.room()
                self._listener.audio(frame)
                self._frames += 1
                if self._frames == MID_WORD_FRAMES and self._faults:
                    await self._break_off()
            words += rendering.words
        self._listener.sentence_end(tuple(map(_word, words)))

    async def _break_off(self) -> None:
        if Fault.FAIL_MID_WORD in self._faults:
            raise RuntimeError("the fault fail_mid_word was asked for")
        if Fault.DROP_MID_WORD in self._faults:
            self._listener.reset()
        if self._faults & {Fault.STALL, Fault.DROP_MID_WORD}:
            await asyncio.Event().wait()

    async def _next(self) -> str | None:
        while not self._sentences:
            if self._is_ended:
                return None
            self._news.clear()
            await self._news.wait()
        return self._sentences.popleft()

    def _queue(self, sentences: list[str]) -> None:
        self._sentences.extend(sentences)
        self._news.set()


def _word(word: WordTime) -> Word:
    return Word(word.text, word.begin_index, word.end_index, word.begin_ms, word.end_ms)
