import asyncio

from bridge.aio.sip import IncomingCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from tests.bench.setup_phones import Phones
from tests.sip.desk import BRIDGE_SDP


async def test_every_call_is_answered_ended_and_timed() -> None:
    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(BRIDGE_SDP)
        await call.ended

    settings = SipSettings(listen=("127.0.0.1", 0))
    endpoint = await SipEndpoint.start(settings, clock=SystemClock(), dice=SystemDice(), on_call=answer)
    try:
        phones = Phones(target=endpoint.listen[1], rate=20, seconds=0.5)
        told = await asyncio.to_thread(phones.run)
    finally:
        await endpoint.close()

    assert (told["calls"], told["good"], told["failed"], told["unexpected"]) == (10, 10, 0, 0)
    assert 0 < told["p50_ms"] <= told["p99_ms"] <= told["max_ms"]


async def test_a_refused_call_has_failed() -> None:
    async def refuse(incoming: IncomingCall) -> None:
        incoming.reject(486)

    settings = SipSettings(listen=("127.0.0.1", 0))
    endpoint = await SipEndpoint.start(settings, clock=SystemClock(), dice=SystemDice(), on_call=refuse)
    try:
        told = await asyncio.to_thread(Phones(target=endpoint.listen[1], rate=20, seconds=0.2).run)
    finally:
        await endpoint.close()

    assert (told["good"], told["failed"], told["p50_ms"]) == (0, 4, None)
