"""Holds the text of one task and hands out its sentences, as soon as they are complete."""

import asyncio
from collections import deque

from bridge.cosyvoice.task import Begin
from bridge.cosyvoice.voices import MODELS
from bridge.text.hot_fix import HotFix
from bridge.text.passage import Sentence
from bridge.text.reader import Reader, ReadingOptions
from bridge.text.ssml import is_ssml, read_ssml

__all__ = ["Prompter"]


_SLICE_CHARACTERS = 400
"""Read at one go, in about 2 ms: other connections wait meanwhile."""

_FLUSH = object()


class Prompter:
    """Text in at any time, sentences out in order. Text is read no sooner than its sentences are asked for.

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
        self._unread: deque[str | object] = deque()
        self._sentences: deque[Sentence] = deque()
        self._is_ended = False
        self._news = asyncio.Event()

    def push(self, text: str) -> None:
        """Append text; its complete sentences can be had."""
        self._unread.append(text)
        self._news.set()

    def flush(self) -> None:
        """Let the incomplete sentence be had too."""
        self._unread.append(_FLUSH)
        self._news.set()

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
            if self._unread:
                await self._read()
            elif self._is_ended:
                return None
            else:
                self._news.clear()
                await self._news.wait()
        return self._sentences.popleft()

    async def _read(self) -> None:
        """Read the next bit of what waits."""
        text = self._unread.popleft()
        if not isinstance(text, str):
            self._sentences += self._reader.flush()
        elif self._reads_ssml and is_ssml(text):
            self._sentences += await asyncio.to_thread(read_ssml, text, self._options)
        else:
            if len(text) > _SLICE_CHARACTERS:
                self._unread.appendleft(text[_SLICE_CHARACTERS:])
                await asyncio.sleep(0)
            self._sentences += self._reader.push(text[:_SLICE_CHARACTERS])
