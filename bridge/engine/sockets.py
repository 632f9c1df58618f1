"""How the loop reaches the network: one contract, and its portable form on plain sockets."""

import os
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from bridge.engine.ports import peer_address
from bridge.plane.packets import Arrivals, Departures

__all__ = ["FOREVER_NS", "LegSockets", "PlainSockets", "forget_backlog"]

FOREVER_NS = int(np.iinfo(np.int64).max)
"""A deadline that never comes; also what `Plane.due_ns` holds for a row without a slot."""

_TRUNC = int(socket.MSG_TRUNC) if sys.platform.startswith("linux") else 0
"""Lengths are those of the wire, so that what was too long is known; elsewhere the flag says nothing."""
_RTCP_DRAIN = 16
"""RTCP packets taken from one socket per turn; a flood of them must not hold up voice."""
_BACKLOG = 1024
"""More than the usual receive buffer holds; a flood of packets must not hold up the other calls."""


def forget_backlog(fd: int) -> None:
    """Drop what waits in a socket without blocking.

    What came before the row was opened, such as the ringing tone of a call that we placed, is seconds old:
    heard now, it would be heard under what comes next.
    """
    for _ in range(_BACKLOG):
        try:
            os.read(fd, 1)
        except BlockingIOError:
            return
        except OSError:
            continue  # An ICMP message about an earlier packet (RFC 1122 §4.1.3.3): more may follow.


class LegSockets(Protocol):
    """All legs' sockets, read and written together.

    The media process holds duplicates: closing them here does not free the port, and
    the port is not free before they are closed.
    """

    rtcp_packets: int
    """Packets read from RTCP sockets."""
    errors: int
    """System errors on sockets (ICMP refusals included); never fatal, always counted."""

    def watch(self, link: socket.socket) -> None:
        """Name the command pipe: `wait` returns early when it can be read."""
        ...

    def add(self, row: int, fds: Sequence[int]) -> None:
        """Take over a row's descriptors, RTP, then RTCP if there is one, without what waits in them."""
        ...

    def remove(self, row: int) -> None:
        """Close a row's descriptors; harmless for a row that has none."""
        ...

    def wait(self, until_ns: int, *, for_packets: bool) -> bool:
        """Sleep until an absolute time, a command, or a packet if asked to; true when commands wait."""
        ...

    def receive(self) -> int:
        """Fill the Arrivals this was built with; packets that found no room wait for the next call."""
        ...

    def send(self, departures: Departures) -> None:
        """Send one packet per entry from its row's RTP socket, or RTCP socket where it says ``~row``."""
        ...

    def close(self) -> None:
        """Close every descriptor that was taken over."""
        ...


class PlainSockets:
    """`LegSockets` for systems without recvmmsg: the standard library only, a call per packet.

    Args:
        arrivals: Where `receive` puts packets.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self.rtcp_packets = 0
        self.errors = 0
        self._arrivals = arrivals
        self._views = [memoryview(packet) for packet in arrivals.packets]
        self._selector = selectors.DefaultSelector()
        self._pipe = selectors.DefaultSelector()
        self._link: socket.socket | None = None
        # An RTCP socket goes by the name ~row.
        self._sockets: dict[int, socket.socket] = {}

    def watch(self, link: socket.socket) -> None:
        self._link = link
        self._pipe.register(link, selectors.EVENT_READ)
        self._selector.register(link, selectors.EVENT_READ)

    def add(self, row: int, fds: Sequence[int]) -> None:
        self.remove(row)
        for fd, name in zip(fds, (row, ~row), strict=False):
            self._sockets[name] = sock = socket.socket(fileno=fd)
            sock.setblocking(False)
            forget_backlog(fd)
            self._selector.register(sock, selectors.EVENT_READ, name)

    def remove(self, row: int) -> None:
        for name in (row, ~row):
            if (sock := self._sockets.pop(name, None)) is not None:
                self._selector.unregister(sock)
                sock.close()

    def wait(self, until_ns: int, *, for_packets: bool) -> bool:
        timeout = None if until_ns == FOREVER_NS else max(0.0, (until_ns - time.monotonic_ns()) / 1e9)
        ready = (self._selector if for_packets else self._pipe).select(timeout)
        return any(key.fileobj is self._link for key, _ in ready)

    def receive(self) -> int:
        arrivals, count = self._arrivals, 0
        for key, _ in self._selector.select(0):
            sock, name = key.fileobj, key.data
            if name is None or not isinstance(sock, socket.socket):
                continue
            is_rtcp = name < 0
            most = count + _RTCP_DRAIN if is_rtcp else len(self._views)
            while count < min(most, len(self._views)):
                try:
                    length, (host, port) = sock.recvfrom_into(self._views[count], 0, _TRUNC)
                except BlockingIOError:
                    break
                except OSError:
                    self.errors += 1
                    break
                arrivals.lengths[count] = length
                arrivals.rows[count] = ~name if is_rtcp else name
                arrivals.is_rtcp[count] = is_rtcp
                self.rtcp_packets += is_rtcp
                arrivals.sources[count] = int.from_bytes(socket.inet_aton(host)) << 16 | port
                count += 1
        arrivals.count = count
        return count

    def send(self, departures: Departures) -> None:
        for packet, length, row, key in zip(
            departures.packets,
            departures.lengths.tolist(),
            departures.rows.tolist(),
            departures.destinations.tolist(),
            strict=False,
        ):
            sock = self._sockets.get(row)
            if sock is None:
                continue
            try:
                sock.sendto(packet[:length], peer_address(key))
            except OSError:
                self.errors += 1

    def close(self) -> None:
        for name in list(self._sockets):
            if name >= 0:
                self.remove(name)
        self._selector.close()
        self._pipe.close()
