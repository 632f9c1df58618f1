"""The voices that are loaded, and the few threads they speak in."""

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

from bridge.cosyvoice import voices
from bridge.ttsserver.hibari import HibariEngine
from bridge.ttsserver.render import Piece, Rendering, TaskRenderer
from bridge.ttsserver.tone import ToneEngine
from bridge.ttsserver.voice import Engine

__all__ = ["TONE", "Studio", "accepts", "shared_hibari"]

TONE = "tone"
"""Name of the voice for tests; every model has it."""


def accepts(model: str, voice: str) -> bool:
    """Whether a task of `model` may speak with `voice`: what the documents list, and the tone."""
    return voice == TONE or voices.matches(model, voice)


_loading = threading.Lock()


def shared_hibari() -> HibariEngine:
    """The English voice of this process; the first call takes about a second."""
    # The cache alone would let two threads that come at the same time load it twice.
    with _loading:
        return _load_hibari()


@functools.cache
def _load_hibari() -> HibariEngine:
    return HibariEngine()


class Studio:
    """Renders off the event loop, a clause at a time.

    Args:
        threads: How many clauses are rendered at the same time; others wait their turn.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tts-voice")
        self._tone = ToneEngine()

    async def warm(self) -> None:
        """Load the default voice, so that the first task does not pay for it."""
        await asyncio.get_running_loop().run_in_executor(self._pool, shared_hibari)

    async def engine(self, voice: str) -> Engine:
        """Return the engine that speaks as `voice`."""
        if voice == TONE:
            return self._tone
        return await asyncio.get_running_loop().run_in_executor(self._pool, shared_hibari)

    async def render(self, renderer: TaskRenderer, piece: Piece) -> Rendering:
        """Make the sound of one piece in a thread.

        When the caller is cancelled it does not wait: a piece that has begun ends by itself, unheard.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, renderer.render, piece)

    def close(self) -> None:
        """Start no further piece; those that are being rendered end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)
