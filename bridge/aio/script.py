"""The text of one utterance while it is still being written."""

import asyncio
from collections.abc import AsyncIterator

__all__ = ["Script"]


class Script:
    """Collects an agent's words, so that a new task can start anywhere in them.

    A language model writes while we speak; when the voice service fails half-way, what it had
    been given is still here, and the source has not been disturbed.

    Args:
        source: The whole text, or an iterator that yields it in pieces.
    """

    def __init__(self, source: str | AsyncIterator[str]) -> None:
        self.text: str = source if isinstance(source, str) else ""
        """Everything written so far."""
        self._grown = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        if not isinstance(source, str):
            self._reader = asyncio.create_task(self._read(source), name="script")

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
        while len(self.text) <= offset:
            if self._reader is None:
                return ""
            if self._reader.done():
                self._reader.result()
                return self.text[offset:]
            self._grown.clear()
            async with asyncio.timeout(timeout_s):
                await self._grown.wait()
        return self.text[offset:]

    async def close(self) -> None:
        """Stop reading the source; the text collected so far stays."""
        if self._reader is not None and not self._reader.done():
            self._reader.cancel()
            await asyncio.wait({self._reader})

    async def _read(self, source: AsyncIterator[str]) -> None:
        try:
            async for piece in source:
                self.text += piece
                self._grown.set()
        finally:
            self._grown.set()
