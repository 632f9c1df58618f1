"""Which of our addresses a peer sees, and where a host name leads."""

import asyncio
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Callable

from bridge.errors import SetupError
from bridge.ports import Clock

__all__ = ["LocalAddresses", "Remembered", "is_ipv4", "resolve"]

_BELIEVED_NS = 30_000_000_000
"""How long an answer is believed: interfaces come and go, names move."""


def is_ipv4(host: str) -> bool:
    """Whether `host` is an address that needs no look-up."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


async def resolve(host: str, port: int) -> tuple[str, int]:
    """Find the IPv4 address of a host, without blocking the loop.

    Raises:
        SetupError: If it has none.
    """
    if is_ipv4(host):
        return host, port
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise SetupError(f"{host} has no IPv4 address: {error}") from None
    return str(found[0][4][0]), port


class Remembered:
    """Addresses by what was asked, for half a minute; the oldest is forgotten first.

    Args:
        clock: For their age.
        size: How many there may be.
    """

    def __init__(self, clock: Clock, *, size: int = 1024) -> None:
        self._clock = clock
        self._size = size
        self._known: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def get(self, asked: str) -> str | None:
        """The address that belongs to it, if that is known and not too old."""
        ip, until_ns = self._known.get(asked, (None, 0))
        return ip if self._clock.now_ns() < until_ns else None

    def put(self, asked: str, ip: str) -> None:
        """Remember an answer; a failure is none."""
        self._known.pop(asked, None)
        self._known[asked] = ip, self._clock.now_ns() + _BELIEVED_NS
        if len(self._known) > self._size:
            self._known.popitem(last=False)


class LocalAddresses:
    """Our address as seen from each peer.

    Args:
        bound_ip: Address the socket is bound to; ``0.0.0.0`` asks the routing table.
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
        self._routes = Remembered(clock)
        self._ask = ask or _routed

    def toward(self, peer_ip: str) -> str:
        """Address to name in Via, Contact and SDP for this peer."""
        # A peer on this machine could not come back through the NAT that is advertised.
        if self._advertised_ip is not None and not peer_ip.startswith("127."):
            return self._advertised_ip
        if self._bound_ip != "0.0.0.0":
            return self._bound_ip
        if (known := self._routes.get(peer_ip)) is not None:
            return known
        if (found := self._ask(peer_ip)) is None:
            # No route now may be one in a moment: nothing to remember.
            return "127.0.0.1"
        self._routes.put(peer_ip, found)
        return found


def _routed(peer_ip: str) -> str | None:
    """Ask the routing table; connecting a UDP socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer_ip, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
