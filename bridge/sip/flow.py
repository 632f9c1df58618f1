"""Where a message came from or goes to: an address, and by what it travels (RFC 3261 §18)."""

from collections.abc import Mapping
from typing import Self

from bridge.hosts import is_v6

__all__ = ["RELIABLE", "TRANSPORTS", "Address", "connection_of", "is_reliable", "port_of", "transport_of"]

TRANSPORTS = ("UDP", "TCP", "TLS", "WS", "WSS")
"""As the Via writes them; WS and WSS are RFC 7118."""
RELIABLE = frozenset(TRANSPORTS) - {"UDP"}


class Address(tuple[str, int]):
    """Host and port, as any such pair, that also knows its transport and, if it has one, its connection.

    It is equal to the plain pair: whoever asks for a place gets what sockets want.
    """

    transport: str
    """One of `TRANSPORTS`."""
    connection: int
    """Number of an open connection; 0 is none in particular."""
    name: str
    """Whom a certificate must name there; empty is the host."""
    has_port: bool
    """Whether the port was named; if not, it is the usual one, and SRV records may know better (RFC 3263)."""

    def __new__(
        cls,
        host: str,
        port: int,
        transport: str = "UDP",
        connection: int = 0,
        name: str = "",
        *,
        has_port: bool = True,
    ) -> Self:
        made = super().__new__(cls, (host, port))
        made.transport = transport
        made.connection = connection
        made.name = name or host
        made.has_port = has_port
        return made

    def __repr__(self) -> str:
        return f"Address({self[0]}:{self[1]} {self.transport} {self.connection})"


def transport_of(address: tuple[str, int]) -> str:
    """Return the transport of an address; a plain pair is one of UDP."""
    return address.transport if isinstance(address, Address) else "UDP"


def connection_of(address: tuple[str, int]) -> int:
    """Return the number of the connection that an address is the other end of; 0 without one."""
    return address.connection if isinstance(address, Address) else 0


def is_reliable(address: tuple[str, int]) -> bool:
    """Whether what is sent there arrives, or is known not to."""
    return transport_of(address) in RELIABLE


def port_of(ports: Mapping[str, int], transport: str, local_ip: str, *, otherwise: int) -> int:
    """Where we listen for a peer.

    Args:
        ports: By transport; with a 6 behind it, ``UDP6``, that of IPv6.
        transport: By what that peer and we talk.
        local_ip: Our address as it sees it.
        otherwise: The port, if none is known.
    """
    usual = ports.get(transport, otherwise)
    return ports.get(f"{transport}6", usual) if is_v6(local_ip) else usual
