"""Holds the text of one task and hands out its sentences, as soon as they are complete."""

import asyncio
from collections import deque

from bridge.cosyvoice.task import Begin
from bridge.cosyvoice.voices import MODELS
from bridge.text.hot_fix import HotFix
from bridge.text.passage import Sentence
from bridge.text.reader import Reader, ReadingOptions
from bridge.text.ssml import SsmlError, is_ssml, read_ssml

__all__ = ["Prompter"]


class Prompter:
    """Text in at any time, sentences out in order.

    Args:
        begin: The task: says how its text is to be read.
    """

    def __init__(self, begin: Begin) -> None:
        asked = begin.parameters
        self._options = ReadingOptions(
            markdown=asked.enable_markdown_filter,
            latex=MODELS[begin.model].latex,
            hot_fix=HotFix.from_wire(asked.hot_fix) if asked.hot_fix else None,
            language=asked.language,
        )
        self._reader = Reader(self._options)
        self._reads_ssml = asked.enable_ssml
        self._sentences: deque[Sentence | SsmlError] = deque()
        self._is_ended = False
        self._news = asyncio.Event()

    def push(self, text: str) -> None:
        """Append text; its complete sentences can be had."""
        if not (self._reads_ssml and is_ssml(text)):
            self._queue(self._reader.push(text))
            return
        try:
            self._queue(read_ssml(text, self._options))
        except SsmlError as error:
            self._sentences.append(error)
            self._news.set()

    def flush(self) -> None:
        """Let the incomplete sentence be had too."""
        self._queue(self._reader.flush())

    def end(self) -> None:
        """No more text follows."""
        self._is_ended = True
        self.flush()

    async def next(self) -> Sentence | None:
        """Wait for the next sentence; None after the last.

        Raises:
            SsmlError: If the text is no such markup as is documented.
        """
        while not self._sentences:
            if self._is_ended:
                return None
            self._news.clear()
            await self._news.wait()
        sentence = self._sentences.popleft()
        if isinstance(sentence, SsmlError):
            raise sentence
        return sentence

    def _queue(self, sentences: list[Sentence]) -> None:
        self._sentences.extend(sentences)
        self._news.set()
