"""The UDP socket of a SIP endpoint: sends, receives, and knows our address from each peer."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Self, cast

from bridge.aio.ports_taken import port_taken
from bridge.aio.sip_route import LocalAddresses, Remembered, is_ipv4, resolve
from bridge.aio.tasks import Tasks
from bridge.errors import SetupError
from bridge.ports import Clock
from bridge.sip.layer import Send

__all__ = ["MAX_DATAGRAM_BYTES", "SipWire"]

MAX_DATAGRAM_BYTES = 65535

_SO_RCVBUFFORCE = 33
"""As root, beyond what the system gives everybody."""
_BUFFER_BYTES = 4 << 20
_MAX_LOOKUPS = 4
"""Names asked for at once: each blocks a thread that reading files needs too."""
_MAX_WAITING = 64
"""Datagrams that wait for one name."""

Receive = Callable[[bytes, tuple[str, int]], None]
"""Gets each datagram and where it came from."""

_log = logging.getLogger(__name__)


class SipWire(asyncio.DatagramProtocol):
    """One bound socket; made by `bind`.

    Args:
        receive: Called on the loop with each datagram. Must not block.
        clock: For the age of addresses.
    """

    def __init__(self, receive: Receive, clock: Clock) -> None:
        self.send_errors: int = 0
        """Datagrams that the kernel refused, or whose host name leads nowhere."""
        self._names = Remembered(clock, size=256)
        self._waiting: dict[str, list[Send]] = {}
        """By host name, while it is looked up."""
        self._receive = receive
        self._lookups = Tasks("sip look-up")
        self._transport: asyncio.DatagramTransport
        self._addresses: LocalAddresses

    @classmethod
    async def bind(
        cls, listen: tuple[str, int], *, advertised_ip: str | None, receive: Receive, clock: Clock
    ) -> Self:
        """Bind the socket.

        Raises:
            SetupError: If the port cannot be had.
        """
        loop = asyncio.get_running_loop()
        host, port = listen
        try:
            transport, wire = await loop.create_datagram_endpoint(
                lambda: cls(receive, clock), local_addr=(host, port)
            )
        except OSError as error:
            raise port_taken((host, port), "udp", setting="sip.listen", cause=error) from None
        wire._transport = transport
        # Datagrams of a flood must not push out those of a call while the loop is busy for a moment.
        line = transport.get_extra_info("socket")
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            with suppress(PermissionError):
                line.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
                break
        wire._addresses = LocalAddresses(bound_ip=host, advertised_ip=advertised_ip, clock=clock)
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
        host, port = send.destination
        ip = host if is_ipv4(host) else self._names.get(host)
        waiting = self._waiting.get(host)
        if ip is not None:
            self._transport.sendto(send.data, (ip, port))
        elif waiting is not None and len(waiting) < _MAX_WAITING:
            waiting.append(send)
        elif waiting is None and len(self._waiting) < _MAX_LOOKUPS:
            self._waiting[host] = [send]
            self._lookups.start(self._look_up(host), name=host)
        else:
            self.error_received(SetupError(f"too much waits for names to send to {host}"))

    async def close(self) -> None:
        """Abandon look-ups and free the port."""
        await self._lookups.close()
        self._transport.close()

    async def _look_up(self, host: str) -> None:
        """Find a host, then send what waits for it, in order."""
        try:
            ip, _ = await resolve(host, self._waiting[host][0].destination[1])
        except SetupError as error:
            for _ in self._waiting.pop(host):
                self.error_received(error)
            return
        self._names.put(host, ip)
        for send in self._waiting.pop(host):
            self._transport.sendto(send.data, (ip, send.destination[1]))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        self.send_errors += 1
        _log.debug("datagram not sent: %s", exc)
