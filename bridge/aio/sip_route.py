"""Which of our addresses a peer sees, and where a host name leads."""

import asyncio
import ipaddress
import socket
from collections import OrderedDict

from bridge.errors import SetupError

__all__ = ["LocalAddresses", "is_ipv4", "resolve"]

_REMEMBERED = 1024


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


class LocalAddresses:
    """Our address as seen from each peer.

    Args:
        bound_ip: Address the socket is bound to; ``0.0.0.0`` asks the routing table.
        advertised_ip: Said to everybody outside this machine, e.g. the public side of a NAT.
    """

    def __init__(self, *, bound_ip: str, advertised_ip: str | None) -> None:
        self._bound_ip = bound_ip
        self._advertised_ip = advertised_ip
        self._known: OrderedDict[str, str] = OrderedDict()

    def toward(self, peer_ip: str) -> str:
        """Address to name in Via, Contact and SDP for this peer."""
        # A peer on this machine could not come back through the NAT that is advertised.
        if self._advertised_ip is not None and not peer_ip.startswith("127."):
            return self._advertised_ip
        if self._bound_ip != "0.0.0.0":
            return self._bound_ip
        if peer_ip not in self._known:
            self._known[peer_ip] = _routed(peer_ip)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[peer_ip]


def _routed(peer_ip: str) -> str:
    """Ask the routing table; connecting a UDP socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer_ip, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
