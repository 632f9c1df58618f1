"""Endpoints and bare telephones on loopback, for tests of the SIP edge."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from bridge.aio.sip import IncomingCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.sip.offer import Negotiator
from bridge.sip.timers import Timers
from tests.fakes import MS
from tests.sip.messages import OFFER, raw

LOOPBACK = ("127.0.0.1", 0)
FAST = Timers(t1_ns=5 * MS, t2_ns=40 * MS, t4_ns=20 * MS)
"""Timers for a network without distance."""

NOWHERE = "a" * 300
"""A name that no server need be asked about."""

Serve = Callable[[IncomingCall], Awaitable[None]]


def describe(port: int = 40000) -> Negotiator:
    return Negotiator(ip="127.0.0.1", port=port, session_id=7)


async def refuse(incoming: IncomingCall) -> None:
    incoming.reject(486)


async def serve_until_it_ends(incoming: IncomingCall) -> None:
    call = await incoming.answer(describe(50000).answer(incoming.sdp))
    await call.ended


@asynccontextmanager
async def endpoint(
    on_call: Serve = refuse, settings: SipSettings | None = None
) -> AsyncIterator[SipEndpoint]:
    started = await SipEndpoint.start(
        settings or SipSettings(listen=LOOPBACK, close_within_s=0.1),
        clock=SystemClock(),
        dice=SystemDice(),
        on_call=on_call,
    )
    try:
        yield started
    finally:
        await started.close()


class Phone(asyncio.DatagramProtocol):
    """A socket that says exactly what a test wants, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None
        self.peer: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # On 3.11 it is one in all but name.
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.put_nowait(data)

    @property
    def address(self) -> tuple[str, int]:
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")
        return host, port

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.sendto(data, self.peer)

    def invite(self, **parts: object) -> bytes:
        host, port = self.address
        parts = {
            "via": f"SIP/2.0/UDP {host}:{port}",
            "contact": f"<sip:p@{host}:{port}>",
            "body": OFFER,
            **parts,
        }
        return raw("INVITE", **parts)  # type: ignore[arg-type]


@asynccontextmanager
async def phone(peer: SipEndpoint | None = None) -> AsyncIterator[Phone]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(Phone, local_addr=LOOPBACK)
    if peer is not None:
        made.peer = peer.listen
    try:
        yield made
    finally:
        transport.close()


def uri(callee: SipEndpoint | Phone, user: str = "hello") -> str:
    port = callee.listen[1] if isinstance(callee, SipEndpoint) else callee.address[1]
    return f"sip:{user}@127.0.0.1:{port}"
