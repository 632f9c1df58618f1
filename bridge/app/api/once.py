"""An order that arrives twice under one key is carried out once."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from bridge.app.api.problem import Problem
from bridge.ports import Clock

__all__ = ["Once"]

_LASTS_NS = 600_000_000_000
_MOST = 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: bytes
    until_ns: int
    outcome: asyncio.Future[object]


class Once:
    """Remembers, for ten minutes, what was done under each key; of 1024 keys the oldest is forgotten.

    Args:
        clock: For their age.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    async def do(self, key: str, fingerprint: bytes, work: Callable[[], Awaitable[T]]) -> T:
        """Do it, or return what came of it when it was done under this key; who comes meanwhile waits.

        A failure is not kept: then it may be tried again.

        Args:
            key: Chosen by whoever asks.
            fingerprint: Of what is asked; the same key for something else is refused.
            work: What to do.

        Raises:
            Problem: If the key was used for something else.
        """
        now_ns = self._clock.now_ns()
        while self._kept and next(iter(self._kept.values())).until_ns <= now_ns:
            self._kept.popitem(last=False)
        if (kept := self._kept.get(key)) is not None:
            if kept.fingerprint != fingerprint:
                raise Problem(422, "this Idempotency-Key was used for another order", fix="use a new key")
            # The same key and the same work: of the same type, then.
            return cast("T", await asyncio.shield(kept.outcome))
        outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._kept[key] = _Kept(fingerprint, now_ns + _LASTS_NS, outcome)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        try:
            done = await work()
        except BaseException as error:
            self._kept.pop(key, None)
            outcome.set_exception(error if isinstance(error, Exception) else Problem(503, "given up"))
            outcome.exception()  # nobody need be waiting for it
            raise
        outcome.set_result(done)
        return done
