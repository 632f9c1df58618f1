"""Calls that are handed on: by us, and by peers who want us to call somebody."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from bridge.aio.sip import CallRefused, SipCall
from bridge.aio.sip_transfer import Referral, TransferResult
from bridge.aio.tasks import Tasks
from bridge.call.outside import Outside, Way
from bridge.call.routes import Route
from bridge.errors import CallEnded, ConfigError, EngineError, NegotiationError, SetupError
from bridge.ports import Clock
from bridge.sip.guard import RateLimit

__all__ = ["Followed", "Followers", "Place", "hand_over"]

_FAREWELL_S = 2.0
"""How long who sent us on may take to hang up."""
_MOST = 16
"""Calls that are being placed for peers at a time."""
_MOST_PER_S = 1
"""Calls that one address may have us place for long; a proxy or PBX asks for all its phones."""
_SAVED_S = 10
"""For how long it may have saved them up."""

_log = logging.getLogger(__name__)


class Followed(Protocol):
    """A call whose peer sends us on; `bridge.call.session.Session` in life."""

    @property
    def route(self) -> Route: ...
    def end(self, reason: str) -> None: ...


class Place(Protocol):
    """Places a call and serves it to its end; tells each status up to 200."""

    def __call__(self, way: Way, route: Route, on_status: Callable[[int], None]) -> Awaitable[object]: ...


async def hand_over(
    sip: SipCall,
    uri: str,
    *,
    replacing: SipCall | None,
    timeout_s: float,
    on_progress: Callable[[int], None] = lambda status: None,
) -> TransferResult:
    """Ask a peer to call somebody else, and wait for the last word about it.

    Args:
        sip: Whose peer is asked.
        uri: Whom it is to call; empty is whoever `replacing` is with.
        replacing: The call whose place it is to take.
        timeout_s: How long that may take; 408 is the result when it is over.
        on_progress: Gets each status before the last: 202, 100, 180, …

    Returns:
        487, if the call ends before.

    Raises:
        LocalProtocolError: If another transfer of the call is under way.
    """
    result = TransferResult(408, "", is_over=False)
    try:
        async with asyncio.timeout(timeout_s), aclosing(sip.refer(uri, replaces=replacing)) as progress:
            async for result in progress:
                if not result.is_over:
                    on_progress(result.status)
    except CallEnded:
        return TransferResult(487, "the call ended first")
    except TimeoutError:
        return TransferResult(408, f"nothing came of it within {timeout_s:g} s")
    return result


class Followers:
    """Calls that peers have us place, one task each, with the agent that served the peer.

    Args:
        place: Who places them.
        clock: For how often an address asks.
    """

    def __init__(self, place: Place, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._rate = RateLimit(_MOST_PER_S, holds_s=_SAVED_S)
        self._tasks = Tasks("followed calls")
        self._placing = 0

    async def close(self) -> None:
        """Give up what is being placed, and end what came of it."""
        await self._tasks.close()

    def referred(self, session: Followed, sip: SipCall, outside: Outside, referral: Referral) -> None:
        """Take a peer's request; refused unless the settings and the dial plan admit it."""
        if not outside.follows_referrals:
            referral.refuse(403)
        elif self._placing >= _MOST or not self._rate.admits(referral.source[0], now_ns=self._clock.now_ns()):
            _log.warning("a transfer is refused: too many are asked for")
            referral.refuse(503)
        else:
            self._tasks.start(self._follow(session, sip, outside, referral), name=sip.call_id)

    async def _follow(self, session: Followed, sip: SipCall, outside: Outside, referral: Referral) -> None:
        self._placing += 1
        has_stood = False

        def told(status: int) -> None:
            nonlocal has_stood
            referral.tell(status)
            if status >= 200 and not has_stood:
                has_stood = True
                self._placing -= 1
                self._tasks.start(self._part(session, sip), name=f"farewell {sip.call_id}")

        status = 480
        try:
            async with outside.way(referral.target) as way:
                referral.accept()
                await self._place(_referred(way, referral), session.route, told)
        except CallRefused as error:
            status = error.status
        except ConfigError as error:
            _log.warning("a transfer is refused: %s", type(error).__name__)
            status = 403
        except NegotiationError:
            status = 488
        except EngineError:
            status = 503
        except SetupError:
            status = 408
        finally:
            if not has_stood:
                self._placing -= 1
                # One of them is what it asks for: the other finds nothing to do.
                referral.refuse(status)
                referral.tell(status)

    async def _part(self, session: Followed, sip: SipCall) -> None:
        """Who sent us on hangs up; if not, we do: the one call is in the place of the other."""
        await asyncio.wait([sip.ended], timeout=_FAREWELL_S)
        session.end("transferred")


def _referred(way: Way, referral: Referral) -> Way:
    """Say in the INVITE whose place the call takes, and who wants it so (RFC 3891 §4, RFC 3892 §3)."""
    headers = way.identity.headers
    if referral.replaces:
        headers += (("Replaces", referral.replaces), ("Require", "replaces"))
    if referral.referred_by:
        headers += (("Referred-By", referral.referred_by),)
    return replace(way, identity=replace(way.identity, headers=headers))
