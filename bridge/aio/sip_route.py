"""Which of our addresses a peer sees."""

import socket
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from bridge.hosts import is_loopback, is_v6
from bridge.ports import Clock

__all__ = ["BOTH", "NOWHERE", "Families", "LocalAddresses", "Remembered", "family_of"]

Families = frozenset[socket.AddressFamily]
"""IPv4, IPv6 or both."""
BOTH: Families = frozenset({socket.AF_INET, socket.AF_INET6})

_BELIEVED_NS = 30_000_000_000
"""How long an answer is believed: interfaces come and go, names move."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

NOWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""An address in the world at large, for the route to it: never anybody's (RFC 5737, RFC 3849)."""


def family_of(address: str) -> socket.AddressFamily:
    """Which family of sockets reaches an address."""
    return socket.AF_INET6 if is_v6(address) else socket.AF_INET


class Remembered(Generic[K, V]):
    """Answers by what was asked, for half a minute; the oldest is forgotten first.

    Args:
        clock: For their age.
        size: How many there may be.
    """

    def __init__(self, clock: Clock, *, size: int = 1024) -> None:
        self._clock = clock
        self._size = size
        self._known: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, asked: K) -> V | None:
        """The answer that belongs to it, if that is known and not too old."""
        answer, until_ns = self._known.get(asked, (None, 0))
        return answer if self._clock.now_ns() < until_ns else None

    def put(self, asked: K, answer: V) -> None:
        """Remember an answer; a failure is none."""
        self._known.pop(asked, None)
        self._known[asked] = answer, self._clock.now_ns() + _BELIEVED_NS
        if len(self._known) > self._size:
            self._known.popitem(last=False)

    def drop(self, is_wrong: Callable[[V], bool]) -> None:
        """Forget the answers that turned out to be wrong."""
        for asked in [asked for asked, (answer, _) in self._known.items() if is_wrong(answer)]:
            del self._known[asked]


class LocalAddresses:
    """Our address as seen from each peer.

    Args:
        bound_ip: Address the socket is bound to; ``0.0.0.0`` and ``::`` ask the routing table.
        advertised_ip: Said to everybody outside this machine, e.g. the public side of a NAT.
        clock: For the age of what the routing table said.
        ask: Returns our address toward a peer, or None without a route; for tests.
    """

    def __init__(
        self,
        *,
        bound_ip: str,
        advertised_ip: str | None,
        clock: Clock,
        ask: Callable[[str], str | None] | None = None,
    ) -> None:
        self._bound_ip = bound_ip
        self._advertised_ip = advertised_ip
        self._routes: Remembered[str, str] = Remembered(clock)
        self._ask = ask or _routed

    def toward(self, peer_ip: str) -> str:
        """Address to name in Via, Contact and SDP for this peer."""
        # A peer on this machine could not come back through the NAT that is advertised.
        if self._advertised_ip is not None and not is_loopback(peer_ip):
            return self._advertised_ip
        if self._bound_ip not in ("0.0.0.0", "::"):
            return self._bound_ip
        if (known := self._routes.get(peer_ip)) is not None:
            return known
        if (found := self._ask(peer_ip)) is None:
            # No route now may be one in a moment: nothing to remember.
            return "::1" if is_v6(peer_ip) else "127.0.0.1"
        self._routes.put(peer_ip, found)
        return found


def _routed(peer_ip: str) -> str | None:
    """Ask the routing table; connecting a UDP socket sends nothing."""
    with socket.socket(family_of(peer_ip), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer_ip, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
