"""A bridge whose media are rows in memory, and telephones it can call, all on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bridge.aio.sip import ANONYMOUS, Identity, IncomingCall, SipCall, SipEndpoint
from bridge.call.agent import Call
from bridge.call.exchange import Exchange
from bridge.call.outside import Way
from bridge.call.routes import Route
from bridge.call.settings import CallSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import ConfigError
from tests.aio.sip_phones import describe, endpoint
from tests.call.fakes import ScriptedVoice
from tests.call.test_exchange import Media, Nobody
from tests.fakes import ManualClock

Fields = tuple[tuple[str, str], ...]
Agent = Callable[[Call], Awaitable[None]]


class Open:
    """Everybody on loopback may be called, but for those who are named."""

    follows_referrals = True
    max_redirects = 3

    def __init__(self, line: SipEndpoint, *, identity: Identity = ANONYMOUS) -> None:
        self.line = line
        self.identity = identity
        self.forbidden: set[str] = set()

    async def address_of(self, target: str) -> str:
        if target in self.forbidden:
            raise ConfigError(f"{target} may not be called")
        return target

    @asynccontextmanager
    async def way(self, target: str) -> AsyncIterator[Way]:
        yield Way(self.line, await self.address_of(target), (), self.identity)


class Switch:
    """One bridge."""

    def __init__(self, line: SipEndpoint, exchange: Exchange, media: Media, outside: Open) -> None:
        self.line = line
        self.exchange = exchange
        self.media = media
        self.outside = outside

    def uri(self, user: str = "hello") -> str:
        return f"sip:{user}@127.0.0.1:{self.line.listen[1]}"

    async def until_calls(self, count: int) -> None:
        """Wait until so many calls stand, no more than there are now."""
        async with asyncio.timeout(5):
            while len(self.exchange) > count:
                self.exchange.ledger.ended_one.clear()
                await self.exchange.ledger.ended_one.wait()


@asynccontextmanager
async def switch(agent: Agent, *, headers: Fields = ()) -> AsyncIterator[Switch]:
    media = Media()
    exchange = Exchange(
        media=media,
        synthesizer=ScriptedVoice(ManualClock()),
        routes=[Route(agent=agent, headers=headers)],
        settings=CallSettings(),
        clock=SystemClock(),
        dice=SystemDice(),
        observer=Nobody(),
    )
    async with endpoint(exchange.answer) as line:
        outside = Open(line)
        exchange.outside = outside
        try:
            yield Switch(line, exchange, media, outside)
        finally:
            await exchange.close()


class Desk:
    """A telephone: answers, and remembers who called."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[IncomingCall] = asyncio.Queue()
        self.calls: asyncio.Queue[SipCall] = asyncio.Queue()
        self.line: SipEndpoint

    async def pick_up(self, incoming: IncomingCall) -> None:
        self.heard.put_nowait(incoming)
        incoming.ring()
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        self.calls.put_nowait(call)
        await call.ended

    def uri(self, user: str = "desk") -> str:
        return f"sip:{user}@127.0.0.1:{self.line.listen[1]}"

    async def dial(self, uri: str, *, headers: Fields = ()) -> SipCall:
        return await self.line.call(uri, sdp=describe().offer(), headers=headers)


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    async with endpoint(made.pick_up) as line:
        made.line = line
        yield made
