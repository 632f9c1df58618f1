"""The text of one utterance while it is still being written."""

import asyncio
from collections.abc import AsyncIterable, Iterable
from io import StringIO

__all__ = ["Script", "Text"]

Text = str | AsyncIterable[str] | Iterable[str]
"""A whole text, or what yields it in pieces. What is not async is read on the loop and must not block."""

_AHEAD = 4_000
"""Characters read ahead of those that were asked for: a source without end stops here."""


class Script:
    """Collects an agent's words, so that a new task can start anywhere in them.

    A language model writes while we speak; when the voice service fails half-way, what it had
    been given is still here, and the source has not been disturbed.

    Args:
        source: The text; read no further than `ahead` characters past what was asked for.
        ahead: Says how far.
    """

    def __init__(self, source: Text, *, ahead: int = _AHEAD) -> None:
        self._written = StringIO()
        self._length = 0
        self._ahead = ahead
        self._taken = 0
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        if isinstance(source, str):
            self._write(source)
        else:
            self._reader = asyncio.create_task(self._read(source), name="script")

    @property
    def text(self) -> str:
        """Everything written so far."""
        return self._written.getvalue()

    @property
    def is_complete(self) -> bool:
        """Whether the source has said its last word."""
        return self._reader is None or self._reader.done()

    async def more(self, offset: int, *, timeout_s: float | None = None) -> str:
        """Return the text after `offset`, waiting until there is some; empty at the end.

        Raises:
            TimeoutError: If the source stays silent for `timeout_s`.
            Exception: Whatever the source itself raised.
        """
        self._take(offset)
        while self._length <= offset:
            if self._reader is None:
                return ""
            if self._reader.done():
                self._check()
                break
            await self._change(timeout_s)
        return self._after(offset)

    def last(self, offset: int, *, count: int = 8) -> str:
        """The last characters before `offset`."""
        self._written.seek(max(0, offset - count))
        return self._written.read(min(count, offset))

    async def whole(self) -> str:
        """Return the text once it is complete, however long it is.

        Raises:
            Exception: Whatever the source itself raised.
        """
        while not self.is_complete:
            self._take(self._length)
            await self._change(None)
        self._check()
        return self.text

    async def close(self) -> None:
        """Stop reading the source; the text collected so far stays."""
        if self._reader is not None and not self._reader.done():
            self._reader.cancel()
            await asyncio.wait({self._reader})

    def _check(self) -> None:
        """Raise what the source raised; one that was closed has ended."""
        if self._reader is not None and not self._reader.cancelled():
            self._reader.result()

    def _take(self, offset: int) -> None:
        if offset > self._taken:
            self._taken = offset
            self._changed.set()

    async def _change(self, timeout_s: float | None) -> None:
        self._changed.clear()
        async with asyncio.timeout(timeout_s):
            await self._changed.wait()

    def _after(self, offset: int) -> str:
        self._written.seek(offset)
        return self._written.read()

    def _write(self, piece: str) -> None:
        self._written.seek(self._length)
        self._written.write(piece)
        self._length += len(piece)

    async def _read(self, source: AsyncIterable[str] | Iterable[str]) -> None:
        try:
            if isinstance(source, AsyncIterable):
                async for piece in source:
                    await self._add(piece)
            else:
                for piece in source:
                    await self._add(piece)
                    await asyncio.sleep(0)
        finally:
            self._changed.set()

    async def _add(self, piece: str) -> None:
        self._write(piece)
        self._changed.set()
        while self._length - self._taken > self._ahead:
            await self._change(None)
