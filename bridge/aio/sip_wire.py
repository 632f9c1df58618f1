"""The UDP socket of a SIP endpoint: sends, receives, and knows our address from each peer."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Self, cast

from bridge.aio.ports_taken import port_taken
from bridge.aio.sip_route import LocalAddresses, is_ipv4, resolve
from bridge.aio.tasks import Tasks
from bridge.errors import SetupError
from bridge.sip.layer import Send

__all__ = ["MAX_DATAGRAM_BYTES", "SipWire"]

MAX_DATAGRAM_BYTES = 65535

Receive = Callable[[bytes, tuple[str, int]], None]
"""Gets each datagram and where it came from."""

_log = logging.getLogger(__name__)


class SipWire(asyncio.DatagramProtocol):
    """One bound socket; made by `bind`.

    Args:
        receive: Called on the loop with each datagram. Must not block.
    """

    def __init__(self, receive: Receive) -> None:
        self.send_errors: int = 0
        """Datagrams that the kernel refused, or whose host name leads nowhere."""
        self._receive = receive
        self._lookups = Tasks("sip look-up")
        self._transport: asyncio.DatagramTransport
        self._addresses: LocalAddresses

    @classmethod
    async def bind(cls, listen: tuple[str, int], *, advertised_ip: str | None, receive: Receive) -> Self:
        """Bind the socket.

        Raises:
            SetupError: If the port cannot be had.
        """
        loop = asyncio.get_running_loop()
        host, port = listen
        try:
            transport, wire = await loop.create_datagram_endpoint(
                lambda: cls(receive), local_addr=(host, port)
            )
        except OSError as error:
            raise port_taken((host, port), "udp", setting="sip.listen", cause=error) from None
        wire._transport = transport
        wire._addresses = LocalAddresses(bound_ip=host, advertised_ip=advertised_ip)
        # asyncio would allocate 256 KiB for every datagram; other loops have no such knob.
        with suppress(AttributeError):
            transport.max_size = MAX_DATAGRAM_BYTES  # type: ignore[attr-defined]
        return wire

    @property
    def listen(self) -> tuple[str, int]:
        """Address the socket is bound to."""
        return cast("tuple[str, int]", self._transport.get_extra_info("sockname")[:2])

    @property
    def is_closed(self) -> bool:
        return self._transport.is_closing()

    def local_ip(self, peer_ip: str) -> str:
        """Our address as a peer sees it."""
        return self._addresses.toward(peer_ip)

    def send(self, send: Send) -> None:
        """Send one datagram; a host name is looked up first, in the background."""
        if is_ipv4(send.destination[0]):
            self._transport.sendto(send.data, send.destination)
        else:
            self._lookups.start(self._send_by_name(send), name=send.destination[0])

    async def close(self) -> None:
        """Abandon look-ups and free the port."""
        await self._lookups.close()
        self._transport.close()

    async def _send_by_name(self, send: Send) -> None:
        try:
            destination = await resolve(*send.destination)
        except SetupError as error:
            self.error_received(error)
            return
        self._transport.sendto(send.data, destination)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        self.send_errors += 1
        _log.debug("datagram not sent: %s", exc)
