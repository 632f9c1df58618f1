"""An agent that tells what is alive in its bridge, where from its first call on no collector runs."""

import gc
import json
from collections import Counter

from bridge import Call
from tests.e2e.running import RunningBridge

__all__ = ["ALIVE", "failing", "findings", "witness"]

ALIVE = "alive "
"""Begins the line with what was found."""


async def witness(call: Call) -> None:
    """Print how many objects of each of our classes there are, and of exceptions with what they hold."""
    if gc.isenabled():
        gc.collect()
        gc.disable()
    kinds = map(type, gc.get_objects())
    counts = Counter(
        f"{kind.__module__}.{kind.__name__}"
        for kind in kinds
        if kind.__module__.startswith("bridge.") or issubclass(kind, BaseException)
    )
    print(ALIVE + json.dumps(counts), flush=True)
    await call.say("Wait.")


async def failing(call: Call) -> None:
    """Say a word and fail."""
    await call.say("Wait.")
    raise ZeroDivisionError("a bug of the agent's")


def findings(bridge: RunningBridge) -> list[dict[str, int]]:
    """What each call of the witness has found."""
    return [json.loads(line.removeprefix(ALIVE)) for line in bridge.output if line.startswith(ALIVE)]
