"""Ears that are predictable: sound that says its words by its level, and a recogniser that reads them off."""

import asyncio
import sys

import numpy as np
from numpy.typing import NDArray

from bridge.ttsserver.whisper import HEAR_HZ, Recogniser

__all__ = ["ECHO", "ScriptedRecogniser", "silence", "voice"]

ECHO = (
    sys.executable,
    "-c",
    "import json, sys\n"
    "while line := sys.stdin.buffer.readline():\n"
    "    asked = json.loads(line)\n"
    "    pcm = sys.stdin.buffer.read(asked['bytes'])\n"
    "    print(json.dumps({'text': asked['language'] + ' ' + pcm[:4].decode()}), flush=True)\n",
)
"""A recogniser that says what it was asked."""


def voice(ms: int, level: int = 3000, rate: int = HEAR_HZ) -> NDArray[np.int16]:
    """A hum."""
    hum: NDArray[np.int16] = (np.sin(np.arange(rate * ms // 1000) * 0.2) * level).astype(np.int16)
    return hum


def silence(ms: int, rate: int = HEAR_HZ) -> NDArray[np.int16]:
    return np.zeros(rate * ms // 1000, np.int16)


class ScriptedRecogniser(Recogniser):
    """Understands how long it was spoken to; waits, or fails, where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_ms: list[int] = []
        self.languages: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: Exception | None = None

    async def understand(self, pcm: bytes, language: str) -> str:
        self.waiting += 1
        try:
            await self.may_answer.wait()
        finally:
            self.waiting -= 1
        if self.failure is not None:
            raise self.failure
        self.languages.append(language)
        self.heard_ms.append(len(pcm) // 2 * 1000 // HEAR_HZ)
        loud = np.abs(np.frombuffer(pcm, "<i2").astype(int)).max(initial=0)
        return f"{self.heard_ms[-1]} ms" if loud > 500 else ""
