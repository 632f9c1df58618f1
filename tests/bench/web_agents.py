"""Agents of the bridge that benchmarks call; routes name them ``tests.bench.web_agents:NAME``."""

import asyncio
import os
import threading
import time
from contextlib import suppress

from bridge import Call
from tests.bench.ear_file import EarFile

__all__ = ["EAR_FILE", "listener", "talker", "turn_taker"]

EAR_FILE = "BENCH_WEBRTC_EAR"
"""Names the file that `listener` writes."""
_LOOK_S = 0.002
_PRIORITY = 10


async def talker(call: Call) -> None:
    """Talk until the caller hangs up; when interrupted, listen first."""
    while True:
        said = await call.say("The service says what it has ready.")
        if said.interrupted:
            await call.quiet(lasting_ms=400)


async def turn_taker(call: Call) -> None:
    """Talk for about half of the time until the caller hangs up."""
    while True:
        begun_s = time.monotonic()
        await call.say("The service says what it has ready.")
        await asyncio.sleep(time.monotonic() - begun_s)


async def listener(call: Call) -> None:
    """Say nothing, and keep what is heard, as soon as it is there."""
    leg = call._session._leg  # a bench may look where an agent has no business
    await leg.opened()
    ear, file, is_over = leg.capture(), EarFile(os.environ[EAR_FILE], leg.rate_hz), threading.Event()

    def listen() -> None:
        """In a thread as urgent as the engine: its sound is to be judged, and not this process."""
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        while not is_over.wait(_LOOK_S):
            file.take(ear.read(leg.rate_hz)[0])
        file.save()

    listening = asyncio.get_running_loop().run_in_executor(None, listen)
    try:
        await asyncio.Event().wait()
    finally:
        is_over.set()
        await listening
