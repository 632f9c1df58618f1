"""Remembers what names lead to for as long as it may be believed, and asks only once at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from bridge.ports import Clock

__all__ = ["Answer", "Answers"]

_S = 1_000_000_000
_LONGEST_S, _SHORTEST_S = 3600.0, 1.0
"""Bounds of how long an answer is believed, whatever its TTL says."""
_STALE_NS = 86_400 * _S
_SILENCE_S = 5.0

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Answer(Generic[R_co]):
    """What a question was answered with."""

    records: tuple[R_co, ...] = ()
    """Empty: there is none."""
    ttl_s: float = _SILENCE_S
    """For how long that may be believed."""
    is_silent: bool = False
    """Nobody answered: whether there is none is not known."""


@dataclass(frozen=True, slots=True)
class _Known(Generic[R]):
    answer: Answer[R]
    until_ns: int
    stale_ns: int
    """Until when it is better than nothing."""


class Answers(Generic[R]):
    """The answers to questions of one kind, by name.

    While nobody answers, the last answer is used on for up to a day (RFC 8767): calls go on.

    Args:
        clock: For their age.
        size: How many are remembered; the one asked for longest ago is forgotten first.
    """

    def __init__(self, clock: Clock, *, size: int = 512) -> None:
        self._clock = clock
        self._size = size
        self._known: OrderedDict[str, _Known[R]] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._known)

    async def ask(self, name: str, look_up: Callable[[], Awaitable[Answer[R]]]) -> Answer[R]:
        """Return what is known, or look it up; those who ask for the same name meanwhile wait for it.

        Args:
            name: What is asked for; letters are the same in both cases.
            look_up: Asks for it, in bounded time. Never raises.
        """
        name = name.lower()
        async with self._asking.setdefault(name, asyncio.Lock()):
            known, now_ns = self._known.get(name), self._clock.now_ns()
            if known is not None and now_ns < known.until_ns:
                self._known.move_to_end(name)
                return Answer(known.answer.records, (known.until_ns - now_ns) / _S, known.answer.is_silent)
            answer, stale_ns = await look_up(), 0
            if not answer.is_silent:
                stale_ns = self._clock.now_ns() + _STALE_NS
            elif known is not None and now_ns < known.stale_ns:
                answer, stale_ns = Answer(known.answer.records, _SILENCE_S), known.stale_ns
            return self._remember(name, answer, stale_ns)

    def _remember(self, name: str, answer: Answer[R], stale_ns: int) -> Answer[R]:
        ttl_s = min(max(answer.ttl_s, _SHORTEST_S), _LONGEST_S)
        until_ns = self._clock.now_ns() + round(ttl_s * _S)
        self._known.pop(name, None)
        self._known[name] = _Known(answer, until_ns, stale_ns)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return Answer(answer.records, ttl_s, answer.is_silent)
