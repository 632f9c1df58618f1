"""How the loop reaches the network: one contract, and its portable form on plain sockets."""

import os
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.engine.demux import NOBODY, Demux
from bridge.engine.hosts6 import FIRST_KEY6, Hosts6
from bridge.engine.ports import peer_address
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.spec import RowSpec

__all__ = ["FOREVER_NS", "OWN_PORT", "LegSockets", "PlainSockets", "assign_rows", "forget_backlog"]

FOREVER_NS = int(np.iinfo(np.int64).max)
"""A deadline that never comes; also what `Plane.due_ns` holds for a row without a slot."""

_TRUNC = int(socket.MSG_TRUNC) if sys.platform.startswith("linux") else 0
"""Lengths are those of the wire, so that what was too long is known; elsewhere the flag says nothing."""
OWN_PORT = -1
"""In place of a shared port's number: the row has a port of its own."""
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
    strangers: int
    """Packets on shared ports that belong to no call."""
    has_more: bool
    """Whether the last `receive` left packets in a socket that had had its share."""
    is_crowded: bool
    """Whether that was one that calls share."""
    hosts: Hosts6
    """IPv6 addresses of the rows; `remove` forgets a row's."""

    def watch(self, link: socket.socket) -> None:
        """Name the command pipe: `wait` returns early when it can be read."""
        ...

    def add(self, row: int, fds: Sequence[int]) -> None:
        """Take over a row's descriptors, RTP, then RTCP if there is one, without what waits in them."""
        ...

    def share(self, port: int, fds: Sequence[int]) -> None:
        """Take over the descriptors of a port that rows will share; its number is new."""
        ...

    def seat(self, row: int, port: int, spec: RowSpec) -> None:
        """Let a row hear its peer on a shared port, and send from there."""
        ...

    def expect(self, row: int, spec: RowSpec) -> None:
        """Follow a re-INVITE: a shared port tells its rows by where they come from."""
        ...

    def learn(self, row: int, key: int) -> None:
        """The row's packets come from this address, a key."""
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


def assign_rows(
    demux: Demux, arrivals: Arrivals, port: int, begin: int, end: int, *, is_rtcp: bool
) -> NDArray[np.intp]:
    """Give the packets ``[begin, end)`` of a shared port to their rows; return where nobody's are.

    Sources are set already.
    """
    headers, packets = arrivals.headers, arrivals.packets

    def ssrc_at(at: int) -> int:
        if is_rtcp:
            return int.from_bytes(packets[begin + at, 4:8].tobytes())
        return int(headers["ssrc"][begin + at])

    rows = demux.find(port, arrivals.sources[begin:end], ssrc_at, is_rtcp=is_rtcp)
    arrivals.rows[begin:end] = rows
    arrivals.is_rtcp[begin:end] = is_rtcp
    return np.flatnonzero(rows == NOBODY) + begin


class _SharedName(NamedTuple):
    """What a shared socket is called in the selector."""

    port: int
    is_rtcp: bool


class PlainSockets:
    """`LegSockets` for systems without recvmmsg: the standard library only, a call per packet.

    Args:
        arrivals: Where `receive` puts packets.
        demux: Whose packets are whose on shared ports.
    """

    def __init__(self, arrivals: Arrivals, *, demux: Demux) -> None:
        self.rtcp_packets = 0
        self.errors = 0
        self.strangers = 0
        self.has_more = self.is_crowded = False  # Whatever waits is read, as far as there is room.
        self.hosts = Hosts6()
        self._arrivals = arrivals
        self._demux = demux
        self._views = [memoryview(packet) for packet in arrivals.packets]
        self._selector = selectors.DefaultSelector()
        self._pipe = selectors.DefaultSelector()
        self._link: socket.socket | None = None
        # An RTCP socket goes by the name ~row.
        self._sockets: dict[int, socket.socket] = {}
        self._shared: dict[int, tuple[socket.socket, ...]] = {}
        self._seats: dict[int, int] = {}

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

    def share(self, port: int, fds: Sequence[int]) -> None:
        self._shared[port] = tuple(socket.socket(fileno=fd) for fd in fds)
        for sock, is_rtcp in zip(self._shared[port], (False, True), strict=False):
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, _SharedName(port, is_rtcp))

    def seat(self, row: int, port: int, spec: RowSpec) -> None:
        self.remove(row)
        self._seats[row] = port
        self._demux.seat(row, port, spec)

    def expect(self, row: int, spec: RowSpec) -> None:
        self._demux.update(row, spec)

    def learn(self, row: int, key: int) -> None:
        self._demux.learn(row, key)

    def remove(self, row: int) -> None:
        self._seats.pop(row, None)
        self._demux.remove(row)
        self.hosts.leave(row)
        for name in (row, ~row):
            if (sock := self._sockets.pop(name, None)) is not None:
                self._selector.unregister(sock)
                sock.close()

    def wait(self, until_ns: int, *, for_packets: bool) -> bool:
        timeout = None if until_ns == FOREVER_NS else max(0.0, (until_ns - time.monotonic_ns()) / 1e9)
        ready = (self._selector if for_packets else self._pipe).select(timeout)
        return any(key.fileobj is self._link for key, _ in ready)

    def receive(self) -> int:
        arrivals = self._arrivals
        arrivals.count = 0
        for key, _ in self._selector.select(0):
            sock, name = key.fileobj, key.data
            if name is None or not isinstance(sock, socket.socket):
                continue
            begin = arrivals.count
            is_rtcp = name.is_rtcp if isinstance(name, _SharedName) else name < 0
            self._read(sock, at_most=_RTCP_DRAIN if is_rtcp else arrivals.capacity)
            end = arrivals.count
            self.rtcp_packets += (end - begin) * is_rtcp
            if isinstance(name, _SharedName):
                lost = assign_rows(self._demux, arrivals, name.port, begin, end, is_rtcp=is_rtcp)
                self.strangers += len(lost)
                arrivals.remove(lost)
            else:
                arrivals.rows[begin:end] = ~name if is_rtcp else name
                arrivals.is_rtcp[begin:end] = is_rtcp
        return arrivals.count

    def _read(self, sock: socket.socket, *, at_most: int) -> None:
        """Append what waits in one socket."""
        arrivals = self._arrivals
        end = min(arrivals.count + at_most, arrivals.capacity)
        while arrivals.count < end:
            try:
                length, source = sock.recvfrom_into(self._views[arrivals.count], 0, _TRUNC)
            except BlockingIOError:
                return
            except OSError:
                self.errors += 1
                return
            arrivals.lengths[arrivals.count] = length
            arrivals.sources[arrivals.count] = self._host_number(source[0]) << 16 | source[1]
            arrivals.count += 1

    def _host_number(self, host: str) -> int:
        if ":" not in host:
            return int.from_bytes(socket.inet_aton(host))
        return self.hosts.number(socket.inet_pton(socket.AF_INET6, host.partition("%")[0]))

    def _place(self, key: int) -> tuple[str, int] | None:
        """Where a key points to; None for an IPv6 host that is not known."""
        if key < FIRST_KEY6:
            return peer_address(key)
        packed = self.hosts.address(key >> 16)
        return None if packed is None else (socket.inet_ntop(socket.AF_INET6, packed), key & 0xFFFF)

    def _socket_of(self, name: int) -> socket.socket | None:
        """Where a row sends from; ``~row`` is its RTCP."""
        if (port := self._seats.get(max(name, ~name), OWN_PORT)) == OWN_PORT:
            return self._sockets.get(name)
        sockets = self._shared[port]
        return sockets[0] if name >= 0 else next(iter(sockets[1:]), None)

    def send(self, departures: Departures) -> None:
        for packet, length, row, key in zip(
            departures.packets,
            departures.lengths.tolist(),
            departures.rows.tolist(),
            departures.destinations.tolist(),
            strict=False,
        ):
            sock, place = self._socket_of(row), self._place(key)
            if sock is None:
                continue
            if place is None:
                self.errors += 1
                continue
            try:
                sock.sendto(packet[:length], place)
            except OSError:
                self.errors += 1

    def close(self) -> None:
        for name in list(self._sockets):
            if name >= 0:
                self.remove(name)
        for sockets in self._shared.values():
            for sock in sockets:
                sock.close()
        self._selector.close()
        self._pipe.close()
