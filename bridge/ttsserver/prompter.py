"""Holds the text of one task and hands out its sentences, as soon as they are complete."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bridge.cosyvoice.task import Begin
from bridge.cosyvoice.voices import MODELS
from bridge.text.hot_fix import OvergrownError
from bridge.text.passage import Sentence
from bridge.text.reader import Reader, ReadingOptions
from bridge.text.ssml import is_ssml, read_ssml
from bridge.ttsserver.voice import UnspeakableError

__all__ = ["Prompter"]


_SLICE_CHARACTERS = 400
"""Read at one go, in about 2 ms: other connections wait meanwhile."""

_FLUSH = object()

_READERS = ThreadPoolExecutor(2, thread_name_prefix="read")
"""Of all tasks: what takes longer, markup and hot fixes, is read here, a sentence at a time, so that nobody
waits for more than a step of each of the others."""

_T = TypeVar("_T")


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
            hot_fix=asked.hot_fix,
            language=asked.language,
        )
        self._reader = Reader(self._options)
        self._reads_ssml = asked.enable_ssml
        self._unread: deque[str | object] = deque()
        self._sentences: deque[Sentence] = deque()
        self._document: Iterator[Sentence] | None = None
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
            UnspeakableError: If a hot fix makes too much of a sentence.
        """
        while not self._sentences:
            if self._document is not None:
                await self._read_on(self._document)
            elif self._unread:
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
            self._sentences += await self._step(self._reader.flush)
        elif self._reads_ssml and is_ssml(text):
            self._document = read_ssml(text, self._options)
        else:
            if len(text) > _SLICE_CHARACTERS:
                self._unread.appendleft(text[_SLICE_CHARACTERS:])
                await asyncio.sleep(0)
            self._sentences += await self._step(lambda: self._reader.push(text[:_SLICE_CHARACTERS]))

    async def _read_on(self, document: Iterator[Sentence]) -> None:
        """Read the next sentence of a document."""
        sentence = await self._aside(lambda: next(document, None))
        if sentence is None:
            self._document = None
        else:
            self._sentences.append(sentence)

    async def _step(self, read: Callable[[], _T]) -> _T:
        """Read plain text; here and now if that is cheap."""
        return read() if self._options.hot_fix is None else await self._aside(read)

    async def _aside(self, read: Callable[[], _T]) -> _T:
        """Read in a thread of its own."""
        try:
            return await asyncio.get_running_loop().run_in_executor(_READERS, read)
        except OvergrownError as error:
            raise UnspeakableError(str(error)) from None
