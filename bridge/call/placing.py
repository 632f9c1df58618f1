"""A call of ours until it is answered, by whomever it is sent on to (RFC 3261 §8.1.3.4)."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from bridge.aio.sip import ANONYMOUS, CallRefused, Identity, SipCall
from bridge.call.outside import Outside, Way
from bridge.errors import ConfigError, SetupError
from bridge.sip.locating import MOST_TARGETS
from bridge.sip.redirect import Redirects

__all__ = ["Listener", "reach"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how a call of ours goes, before it is answered."""

    on_progress: Callable[[int], None]
    """Gets each status from 101 to 199."""
    on_early: Callable[[SipCall, str, bytes], None]
    """Gets what can be heard; see `SipCall.on_early`."""
    is_bound: Callable[[], bool]
    """Whether somebody is heard already: then nobody else is called."""


async def reach(
    way: Way,
    outside: Outside,
    stack: AsyncExitStack,
    *,
    offer: Callable[[str], bytes],
    timeout_s: float,
    listener: Listener,
) -> SipCall:
    """Call, and try where a 3xx sends us, as far as the dial plan and its limit admit.

    Args:
        way: Whom to call.
        outside: Who knows the dial plan.
        stack: Holds what a further way needs, until the call is over.
        offer: Makes our description, given our address toward the callee.
        timeout_s: How long each may ring.
        listener: Who is told how it goes.

    Raises:
        CallRefused: The last refusal there was.
        SetupError: If nobody answers.
    """
    redirects = Redirects(way.uri, limit=outside.max_redirects)
    first = way.identity
    while True:
        try:
            return await _call(way, offer, timeout_s=timeout_s, listener=listener)
        except CallRefused as error:
            redirects.add(error.contacts)
            is_last = error.status >= 600 or listener.is_bound()
            further = None if is_last else await _further(redirects, outside, stack)
            if further is None:
                raise
            way = replace(further, identity=_kept(first, further.identity))


async def _call(way: Way, offer: Callable[[str], bytes], *, timeout_s: float, listener: Listener) -> SipCall:
    """Call at one server after the other, until one serves us (RFC 3263 §4.3)."""
    endpoint = way.endpoint
    # An offer names our address, so those that see us at another one are called with another.
    groups: dict[str, list[tuple[str, int]]] = {}
    for target in (way.targets or await endpoint.find(way.uri))[:MOST_TARGETS]:
        groups.setdefault(endpoint.local_ip(target[0]), []).append(target)
    while True:
        local_ip = next(iter(groups))
        try:
            return await endpoint.call(
                way.uri,
                sdp=offer(local_ip),
                targets=groups.pop(local_ip),
                from_user=way.identity.user,
                from_domain=way.identity.domain,
                credentials=way.identity.credentials,
                headers=way.identity.headers,
                timeout_s=timeout_s,
                on_progress=listener.on_progress,
                on_early=listener.on_early,
            )
        except (CallRefused, SetupError) as error:
            is_served = isinstance(error, CallRefused) and error.status != 503
            if is_served or not groups or listener.is_bound():
                raise


async def _further(redirects: Redirects, outside: Outside, stack: AsyncExitStack) -> Way | None:
    """The next place that may be called, if there is one."""
    while (uri := redirects.take()) is not None:
        try:
            return await stack.enter_async_context(outside.way(uri))
        except (CallRefused, ConfigError, SetupError) as error:
            # Whoever sends us on does not decide whom we may call.
            _log.warning("a call is sent on to where it may not go: %s", type(error).__name__)
    return None


def _kept(first: Identity, other: Identity) -> Identity:
    """Who we are stays; how a trunk is reached, and what we prove there, belongs to that trunk."""
    headers = tuple(field for field in first.headers if field[0].lower() != "route")
    if other == ANONYMOUS:
        return replace(first, credentials=None, headers=headers)
    return replace(other, headers=other.headers + headers)
