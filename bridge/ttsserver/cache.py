"""Keeps what a slow voice has said, so that a prompt that comes again is there at once."""

import threading
from collections import OrderedDict
from dataclasses import replace

from bridge.ttsserver.voice import Delivery, Engine, Rendered

__all__ = ["CachedEngine", "RenderedCache"]

_LIMIT_BYTES = 32 << 20
"""About eleven minutes of speech."""
_ENTRY_BYTES = 1024  # of the key, the words and the rest, roughly

Key = tuple[str, str, Delivery]


class RenderedCache:
    """The pieces asked for last, up to a number of bytes; for several threads at once."""

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, Rendered] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """Held at present."""
        return self._bytes

    def get(self, key: Key) -> Rendered | None:
        """What was said for `key`, if it is still here."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: Key, rendered: Rendered) -> None:
        """Keep `rendered`, whose samples nobody may change any more; the oldest make room for it."""
        size = _size(rendered)
        if size > self._limit_bytes:
            return
        rendered.samples.setflags(write=False)
        with self._lock:
            if key not in self._entries:
                self._entries[key] = rendered
                self._bytes += size
            while self._bytes > self._limit_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= _size(oldest)


class CachedEngine:
    """Another engine, asked only for what is not in the cache.

    Args:
        engine: Who speaks.
        name: Of the engine and its voice; two that sound different need two names.
        cache: May be shared.
    """

    def __init__(self, engine: Engine, name: str, cache: RenderedCache) -> None:
        self._engine = engine
        self._name = name
        self._cache = cache

    def check(self, text: str) -> None:
        self._engine.check(text)

    def breath(self, text: str) -> tuple[int, int]:
        return self._engine.breath(text)

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Speak `text`, or find it spoken; word times cost nothing and are always there."""
        key = (self._name, text, replace(delivery, with_words=True))
        found = self._cache.get(key)
        if found is None:
            found = self._engine.render(text, key[2])
            self._cache.put(key, found)
        return found


def _size(rendered: Rendered) -> int:
    return rendered.samples.nbytes + _ENTRY_BYTES + 128 * len(rendered.words)
