"""Honest stand-ins: they do what the real thing does, only predictably."""

import random

MS = 1_000_000


class ManualClock:
    """Time that moves only when a test says so."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, ms: float) -> int:
        self._now_ns += round(ms * MS)
        return self._now_ns


class SeededIds:
    """Identifiers that are the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311  predictable on purpose

    def token(self, nbytes: int = 16) -> str:
        return self._random.randbytes(nbytes).hex()

    def number(self, bits: int) -> int:
        return self._random.getrandbits(bits)
