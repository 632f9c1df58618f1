"""The UDP sockets of a SIP endpoint: send, receive, and know our address from each peer."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from bridge.aio.ports_taken import port_taken
from bridge.aio.sip_route import NOWHERE, Families, LocalAddresses, family_of
from bridge.errors import SetupError
from bridge.ports import Clock

__all__ = ["MAX_DATAGRAM_BYTES", "SipWire"]

MAX_DATAGRAM_BYTES = 65535

_SO_RCVBUFFORCE = 33
"""As root, beyond what the system gives everybody."""
_BUFFER_BYTES = 4 << 20

Receive = Callable[[bytes, tuple[str, int]], None]
"""Gets each datagram and where it came from."""

_log = logging.getLogger(__name__)


class SipWire(asyncio.DatagramProtocol):
    """One bound socket, or one of each family of addresses; `add` binds them.

    Args:
        receive: Called on the loop with each datagram. Must not block.
        clock: For the age of addresses.
    """

    def __init__(self, receive: Receive, clock: Clock) -> None:
        self.send_errors: int = 0
        """Datagrams that the kernel refused, or that no socket is there for."""
        self._receive = receive
        self._clock = clock
        # The first one bound comes first.
        self._transports: dict[socket.AddressFamily, asyncio.DatagramTransport] = {}
        self._addresses: dict[socket.AddressFamily, LocalAddresses] = {}

    async def add(self, listen: tuple[str, int], *, advertised_ip: str | None) -> int:
        """Bind the socket of one family of addresses; returns its port.

        Raises:
            SetupError: If the port cannot be had.
        """
        family = family_of(listen[0])
        line = socket.socket(family, socket.SOCK_DGRAM)
        try:
            line.setblocking(False)
            if family == socket.AF_INET6:
                # IPv4 has a socket of its own, and comes by no other way.
                line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            line.bind(listen)
        except OSError as error:
            line.close()
            raise port_taken(listen, "udp", setting="sip.listen", cause=error) from None
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=line)
        # Datagrams of a flood must not push out those of a call while the loop is busy for a moment.
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            with suppress(PermissionError):
                line.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
                break
        # asyncio would allocate 256 KiB for every datagram; other loops have no such knob.
        with suppress(AttributeError):
            transport.max_size = MAX_DATAGRAM_BYTES  # type: ignore[attr-defined]
        self._transports[family] = transport
        self._addresses[family] = LocalAddresses(
            bound_ip=listen[0], advertised_ip=advertised_ip, clock=self._clock
        )
        return _place_of(transport)[1]

    def drop(self, host: str) -> None:
        """Give up the socket of this address's family."""
        family = family_of(host)
        self._transports.pop(family).close()
        del self._addresses[family]

    @property
    def listen(self) -> tuple[str, int]:
        """Address the first socket is bound to."""
        return _place_of(next(iter(self._transports.values())))

    @property
    def families(self) -> Families:
        """Families of addresses that there is a socket of."""
        return frozenset(self._transports)

    @property
    def is_closed(self) -> bool:
        return all(transport.is_closing() for transport in self._transports.values())

    def local_ip(self, peer_ip: str) -> str:
        """Our address as a peer sees it; one of the other family if there is no socket of its own."""
        family = family_of(peer_ip)
        if (addresses := self._addresses.get(family)) is None:
            family, addresses = next(iter(self._addresses.items()))
            peer_ip = NOWHERE[family]
        return addresses.toward(peer_ip)

    def send(self, data: bytes, place: tuple[str, int]) -> bool:
        """Send one datagram to an address; False if the kernel refuses it at once."""
        errors = self.send_errors
        transport = self._transports.get(family_of(place[0]))
        if transport is None:
            self.error_received(SetupError(f"sip.listen has no address of the family of {place[0]}"))
        else:
            transport.sendto(data, place)
        return self.send_errors == errors

    def close(self) -> None:
        """Free the port."""
        for transport in self._transports.values():
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        self.send_errors += 1
        _log.debug("datagram not sent: %s", exc)


def _place_of(transport: asyncio.DatagramTransport) -> tuple[str, int]:
    return cast("tuple[str, int]", transport.get_extra_info("sockname")[:2])
