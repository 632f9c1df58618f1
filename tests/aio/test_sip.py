import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bridge.aio.sip import CallRefused, IncomingCall, SipCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.sip.offer import Negotiator

LOOPBACK = ("127.0.0.1", 0)


def describe(port: int = 40000) -> Negotiator:
    return Negotiator(ip="127.0.0.1", port=port, session_id=7)


async def refuse(incoming: IncomingCall) -> None:
    incoming.reject(486)


@asynccontextmanager
async def endpoint(
    on_call: Callable[[IncomingCall], Awaitable[None]] = refuse, settings: SipSettings | None = None
) -> AsyncIterator[SipEndpoint]:
    started = await SipEndpoint.start(
        settings or SipSettings(listen=LOOPBACK), clock=SystemClock(), dice=SystemDice(), on_call=on_call
    )
    try:
        yield started
    finally:
        await started.close()


def uri(callee: SipEndpoint, user: str = "hello") -> str:
    return f"sip:{user}@127.0.0.1:{callee.listen[1]}"


async def test_a_call_is_answered_and_hung_up_by_the_caller() -> None:
    served: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        assert incoming.to_user == "hello"
        assert incoming.local_ip == "127.0.0.1"
        incoming.ring()
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        await call.confirmed()
        served.put_nowait(call)
        await call.ended

    async with endpoint(answer) as callee, endpoint() as caller:
        ours = describe()
        call = await caller.call(uri(callee), sdp=ours.offer())
        assert ours.accept(call.remote_sdp).remote == ("127.0.0.1", 50000)
        theirs = await served.get()
        assert theirs.call_id == call.call_id

        await call.hangup()

        assert await theirs.ended == "caller hung up"
        assert call.ended.result() == "hung up"


async def test_a_call_is_hung_up_by_the_callee() -> None:
    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        await call.confirmed()
        await call.hangup("said goodbye")

    async with endpoint(answer) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=describe().offer())

        assert await call.ended == "callee hung up"


async def test_a_refusal_reaches_the_caller_with_its_status() -> None:
    async with endpoint(refuse) as callee, endpoint() as caller:
        with pytest.raises(CallRefused, match="486 Busy Here") as caught:
            await caller.call(uri(callee), sdp=describe().offer())

        assert caught.value.status == 486
