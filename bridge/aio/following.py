"""Follows a name for as long as somebody cares where it leads."""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.aio.names import Found
from bridge.errors import SetupError
from bridge.sip.locating import Wanted

__all__ = ["follow"]

_LONGEST_S = 300.0
_LOST_S = 30.0


async def follow(
    locate: Callable[[Wanted], Awaitable[Found]],
    wanted: Wanted,
    *,
    on_found: Callable[[Found], None],
    on_lost: Callable[[SetupError], None],
    shortest_s: float = 5.0,
) -> None:
    """Look a name up, and again whenever the time of its answers is over; an address only once.

    Args:
        locate: Finds it.
        wanted: What is looked up.
        on_found: Gets each answer.
        on_lost: Told when there is none; it is asked for again all the same.
        shortest_s: Pause between two questions, if the TTL is shorter.
    """
    while True:
        try:
            found = await locate(wanted)
        except SetupError as error:
            pause_s = _LOST_S
            on_lost(error)
        else:
            on_found(found)
            if found.ttl_s is None:
                return
            pause_s = min(max(found.ttl_s, shortest_s), _LONGEST_S)
        await asyncio.sleep(pause_s)
