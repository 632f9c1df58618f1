"""A recogniser that remembers what it heard and understands what it is told to."""

import asyncio
from collections.abc import AsyncIterator

from bridge.errors import RecognitionError
from bridge.ports import Recognition, Understanding

__all__ = ["ScriptedRecognition", "ScriptedRecognizer"]


class ScriptedRecognition:
    """Remembers what it heard, says what it is told to."""

    def __init__(self) -> None:
        self.heard = b""
        self.is_finished = False
        self.was_cancelled = False
        self.says: asyncio.Queue[Understanding | RecognitionError | None] = asyncio.Queue()

    def hear(self, pcm: bytes) -> None:
        self.heard += pcm

    def finish(self) -> None:
        self.is_finished = True

    def cancel(self) -> None:
        self.was_cancelled = True

    async def results(self) -> AsyncIterator[Understanding]:
        while (told := await self.says.get()) is not None:
            if isinstance(told, RecognitionError):
                raise told
            yield told


class ScriptedRecognizer:
    def __init__(self, rate_hz: int = 8000) -> None:
        self.rate_hz = rate_hz
        self.has_room = True
        self.recognitions: list[ScriptedRecognition] = []

    def listen(self) -> Recognition | None:
        if not self.has_room:
            return None
        self.recognitions.append(ScriptedRecognition())
        return self.recognitions[-1]
