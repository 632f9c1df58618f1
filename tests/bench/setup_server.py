"""A bridge of nothing but signalling and media, whose agent waits: what `bench_setup` calls.

It prints a line of JSON with its port and processes, and ends when its input does. Everything a real call
passes is there: endpoint, exchange, a row and a port in the media process, session, agent.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping

from bridge.aio.sip import SipEndpoint, SipSettings
from bridge.app.server import spare_the_collector
from bridge.call.agent import Call
from bridge.call.exchange import Exchange
from bridge.call.routes import Route
from bridge.call.settings import CallSettings
from bridge.call.trace import CallTrace
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.engine.supervisor import MediaEngine
from bridge.plane.spec import PlaneSettings
from tests.bench.stand import media_settings
from tests.call.fakes import ScriptedVoice
from tests.fakes import ManualClock

_CAPACITY = 1024


class _Nobody:
    """Counts nothing."""

    def call_started(self, trace: CallTrace) -> None: ...
    def call_ended(self, trace: CallTrace) -> None: ...
    def barge_in(self, stages_ms: Mapping[str, float], breached: list[str]) -> None: ...


async def waiting(call: Call) -> None:
    """Say nothing until the caller hangs up."""
    await asyncio.Event().wait()


async def serve() -> None:
    clock, dice = SystemClock(), SystemDice()
    settings = media_settings(_CAPACITY, True, PlaneSettings())
    engine = await MediaEngine.start(settings, clock=clock, dice=dice)
    exchange = Exchange(
        media=engine,
        synthesizer=ScriptedVoice(ManualClock()),
        routes=[Route(agent=waiting)],
        settings=CallSettings(),
        clock=clock,
        dice=dice,
        observer=_Nobody(),
    )
    sip = SipSettings(
        listen=("127.0.0.1", 0),
        max_requests_per_s=1_000_000,
        max_calls_per_source=_CAPACITY,
        max_calls=_CAPACITY,
    )
    endpoint = await SipEndpoint.start(sip, clock=clock, dice=dice, on_call=exchange.answer)
    import gc

    gc.collect()
    gc.freeze()
    spare_the_collector()
    print(json.dumps({"port": endpoint.listen[1], "pid": os.getpid(), "media_pid": engine.pid}), flush=True)
    try:
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps(endpoint.counters), file=sys.stderr)
    finally:
        await endpoint.close()
        await engine.close()


def main() -> None:
    if len(sys.argv) > 1:
        import cProfile

        cProfile.run("asyncio.run(serve())", sys.argv[1])
    else:
        asyncio.run(serve())


if __name__ == "__main__":
    main()
