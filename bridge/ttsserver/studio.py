"""The voices that are loaded, and the few threads they speak in."""

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

from bridge.cosyvoice import voices
from bridge.ttsserver.cache import CachedEngine, RenderedCache
from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.espeak import EspeakEngine, EspeakProcess
from bridge.ttsserver.hibari import BREATH, HibariEngine
from bridge.ttsserver.japanese import japanese_sounds, require_readable
from bridge.ttsserver.kokoro import KokoroEngine, KokoroNetwork
from bridge.ttsserver.polyglot import Polyglot
from bridge.ttsserver.render import Part, Rendering, TaskRenderer
from bridge.ttsserver.script import require_latin
from bridge.ttsserver.tone import ToneEngine
from bridge.ttsserver.upstream import Upstream, UpstreamEngine
from bridge.ttsserver.voice import Delivery, Engine, Rendered

__all__ = ["TONE", "LocalEnsemble", "Studio", "accepts", "shared_hibari", "shared_kokoro"]

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


def shared_kokoro() -> KokoroNetwork:
    """The network of the Chinese and Japanese voices; the first call takes about a second."""
    with _loading:
        return _load_kokoro()


@functools.cache
def _load_hibari() -> HibariEngine:
    return HibariEngine()


@functools.cache
def _load_kokoro() -> KokoroNetwork:
    return KokoroNetwork()


class _English:
    """The English voice, loaded when it first speaks."""

    def check(self, text: str) -> None:
        require_latin(text)

    def breath(self, text: str) -> tuple[int, int]:
        return BREATH

    def render(self, text: str, delivery: Delivery) -> Rendered:
        return shared_hibari().render(text, delivery)


class LocalEnsemble:
    """The voices of this machine. Each is loaded when it first speaks: asking for it costs nothing."""

    def __init__(self) -> None:
        self._cache = RenderedCache()
        self._espeak = EspeakProcess()

    def english(self) -> Engine:
        return _English()

    def mandarin(self, style: str) -> Engine:
        return CachedEngine(KokoroEngine(shared_kokoro, style), f"zh:{style}", self._cache)

    def japanese(self, style: str) -> Engine:
        engine = KokoroEngine(shared_kokoro, style, japanese_sounds, require_readable)
        return CachedEngine(engine, f"ja:{style}", self._cache)

    def other(self, *, is_female: bool) -> Engine:
        return EspeakEngine(self._espeak, is_female=is_female)

    def close(self) -> None:
        """End the process of espeak-ng, if it runs."""
        self._espeak.close()


class Studio:
    """Renders off the event loop, a clause at a time.

    Args:
        threads: How many clauses are rendered at the same time; others wait their turn.
        upstream: A server that speaks instead of the voices of this machine.
    """

    def __init__(self, threads: int, upstream: Upstream | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tts-voice")
        # Two threads make the slow voice no faster, and would leave the quick one none.
        self._slow_pool = ThreadPoolExecutor(1, thread_name_prefix="tts-slow-voice")
        self._upstream = upstream
        self._ensemble = LocalEnsemble()

    async def warm(self, *, chinese: bool = False) -> None:
        """Load the English voice, and the Chinese one if asked: the first task will not pay for it."""
        if self._upstream is None:
            run = asyncio.get_running_loop().run_in_executor
            await run(self._pool, shared_hibari)
            if chinese:
                engine = self._ensemble.mandarin(cast_of("").mandarin)
                await run(self._slow_pool, engine.render, "您好", Delivery())

    def engine(self, voice: str) -> Engine:
        """Return the engine that speaks as `voice`; costs nothing."""
        if voice == TONE:
            return ToneEngine()
        if self._upstream is not None:
            return UpstreamEngine(self._upstream, voice)
        return Polyglot(cast_of(voice), self._ensemble)

    async def render(self, renderer: TaskRenderer, part: Part) -> Rendering:
        """Make the sound of one piece in a thread.

        When the caller is cancelled it does not wait: a piece that has begun ends by itself, unheard.
        """
        pool = self._slow_pool if part.is_slow else self._pool
        return await asyncio.get_running_loop().run_in_executor(pool, renderer.render, part)

    def close(self) -> None:
        """Start no further piece; those that are being rendered end by themselves."""
        for pool in (self._pool, self._slow_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        self._ensemble.close()
