"""What the exchange needs of whoever calls, be it a telephone or a browser."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from bridge.aio.browser_call import BrowserCall
from bridge.call.routes import Route, choose
from bridge.sip.glance import is_behind_nat

__all__ = ["Caller", "Dialogue", "is_hidden", "route_for"]


class Dialogue(Protocol):
    """A call that stands; `bridge.aio.sip_call.SipCall` or `bridge.aio.browser_call.BrowserCall` in life."""

    on_reinvite: Callable[[bytes], bytes] | None
    on_answer: Callable[[bytes], None] | None
    on_key: Callable[[str, int], None] | None

    @property
    def ended(self) -> "asyncio.Future[str]": ...
    async def hangup(self, reason: str = "") -> None: ...
    async def answered_sdp(self) -> bytes: ...
    async def reoffer(self, offer: bytes | Callable[[], bytes]) -> bytes: ...


class Caller(Protocol):
    """A caller who waits; `bridge.aio.sip_call.IncomingCall` or `bridge.aio.browser_call.BrowserCall`."""

    @property
    def call_id(self) -> str: ...
    @property
    def to_user(self) -> str: ...
    @property
    def from_uri(self) -> str: ...
    @property
    def source(self) -> tuple[str, int]: ...
    @property
    def local_ip(self) -> str: ...
    @property
    def sdp(self) -> bytes: ...
    @property
    def nat(self) -> bool: ...
    @property
    def wants_early_offer(self) -> bool: ...
    def ring(self) -> None: ...
    def progress(self, sdp: bytes) -> None: ...
    async def early_answer(self) -> bytes: ...
    async def answer(self, sdp: bytes) -> Dialogue: ...
    def reject(self, status: int, reason: str | None = None) -> None: ...


def is_hidden(caller: Caller) -> bool:
    """Whether a NAT stands between us, so that the address of its media cannot be believed."""
    return caller.nat or is_behind_nat(caller.sdp, source_ip=caller.source[0])


def route_for(routes: Sequence[Route], caller: Caller) -> Route | None:
    """Find who serves a caller, with the voice that a page may have asked for; None for a 404."""
    route = choose(routes, caller.to_user)
    if route is None or not isinstance(caller, BrowserCall):
        return route
    voice = replace(
        route.voice, name=caller.voice or route.voice.name, model=caller.model or route.voice.model
    )
    # An equal route is left as it is: it may have loaded its agent already.
    return route if voice == route.voice else replace(route, voice=voice)
