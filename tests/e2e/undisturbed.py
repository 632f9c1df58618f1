"""Tests of what time tells, on a machine that is not theirs alone."""

import inspect
import itertools
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

__all__ = ["undisturbed"]

_ATTEMPTS = 3
_MOST_CORES = 0.5
"""Others that use more have kept the bridge, or its callers, from their time."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")

T = TypeVar("T", bound=Callable[..., Any])


def undisturbed(test: T, *, others: Callable[[], Callable[[], float]] | None = None) -> T:
    """Repeat a test that failed while others had the machine; on a machine of its own it fails at once.

    Args:
        test: A function or a coroutine function; what it is given must bear a second attempt.
        others: Begins to watch them; what it returns says how many cores they have used since.
    """
    watch = others or _watched

    def may_repeat(attempt: int, used: Callable[[], float]) -> bool:
        cores = used()
        print(f"\nattempt {attempt} failed while others used {cores:.1f} cores")
        return cores > _MOST_CORES and attempt < _ATTEMPTS

    @wraps(test)
    def repeated(*args: object, **kwargs: object) -> object:
        for attempt in itertools.count(1):
            used = watch()
            try:
                return test(*args, **kwargs)
            except AssertionError:
                if not may_repeat(attempt, used):
                    raise
        return None

    @wraps(test)
    async def repeated_on_a_loop(*args: object, **kwargs: object) -> object:
        for attempt in itertools.count(1):
            used = watch()
            try:
                return await test(*args, **kwargs)
            except AssertionError:
                if not may_repeat(attempt, used):
                    raise
        return None

    return cast("T", repeated_on_a_loop if inspect.iscoroutinefunction(test) else repeated)


def _watched() -> Callable[[], float]:
    """Watch whoever is neither this process nor a child of it."""
    began_s, busy_s, own_s = _uptime_s(), _busy_s(), _own_s()

    def used() -> float:
        taken_s = (_busy_s() - busy_s) - (_own_s() - own_s)
        return taken_s / max(0.01, _uptime_s() - began_s)

    return used


def _uptime_s() -> float:
    return float((_PROC / "uptime").read_text().split()[0])


def _busy_s() -> float:
    """Of all cores, in programs and for them; interrupts are whoever's."""
    user, nice, system = (_PROC / "stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / _TICKS


def _own_s() -> float:
    """Of this process and its children, those that have ended included."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[int(folder.name)] = int(fields[1])
            used[int(folder.name)] = sum(map(int, fields[11:15]))
    ours, found = {os.getpid()}, {os.getpid()}
    while found:
        found = {pid for pid, parent in parents.items() if parent in found}
        ours |= found
    return sum(used.get(pid, 0) for pid in ours) / _TICKS
