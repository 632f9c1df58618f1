"""Ports that several calls share: a thousand calls on a handful of sockets (`media.ports_shared`)."""

import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.engine.hosts6 import FIRST_KEY6
from bridge.engine.ports import BoundPorts, PortRange
from bridge.errors import EngineError

__all__ = ["SharedPorts", "Spot"]

_CROWD = 256
"""Calls on a port before the next one is opened: more would strain one socket's buffer in a busy moment."""
_REST_NS = 10_000_000_000
"""So long no new call follows another of one address on one port: its last packets may be on their way."""


_BUFFER_BYTES = 4 << 20
"""A tenth of a second of a crowd's packets, by the kernel's way of counting them."""
_SO_RCVBUFFORCE = 33
"""Not in the socket module; the number is the same on all Linux systems that we run on."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A call's place on a shared port; it is told from its neighbours by where its packets come from."""

    number: int
    """Which shared port."""
    key: int
    """The peer's address, as the plane holds it."""
    nat_ip: int
    """The peer is behind this address, on any port; 0 = it is not."""


@dataclass(slots=True)
class _SharedPort:
    ports: BoundPorts
    keys: set[int] = field(default_factory=set)
    nat_ips: set[int] = field(default_factory=set)
    resting: "OrderedDict[int, int]" = field(default_factory=OrderedDict)
    """When a key that was left is free again, oldest first."""

    def has_room(self, key: int, nat_ip: int, now_ns: int) -> bool:
        while self.resting and next(iter(self.resting.values())) <= now_ns:
            self.resting.popitem(last=False)
        # Two calls from behind one address cannot be told apart before each has been heard.
        return not (key in self.keys or key in self.resting or (nat_ip != 0 and nat_ip in self.nat_ips))


class SharedPorts:
    """Places on a small pool of ports; opened one after the other as calls come.

    Args:
        ports: Where new pairs come from.
        size: Most ports that are shared, of each family of addresses.
    """

    def __init__(self, ports: PortRange, *, size: int) -> None:
        self._range = ports
        self._size = size
        self.on_open: Callable[[int, BoundPorts], None] = _keep_to_ourselves
        """Called with number and sockets of each new shared port, before its first place is taken."""
        self._shared: list[_SharedPort] = []

    @property
    def opened(self) -> list[BoundPorts]:
        """Every shared port, by its number."""
        return [shared.ports for shared in self._shared]

    def take(self, key: int, nat_ip: int, *, now_ns: int) -> tuple[Spot, BoundPorts] | None:
        """Find a place for a peer; None if there is none: the call then takes a port of its own.

        Args:
            key: Where the peer's packets will come from, by its description (`bridge.engine.ports.peer_key`).
            nat_ip: Or from this address, on any port, because it is behind NAT; 0 = it is not.
            now_ns: Present time.
        """
        in_ipv6 = key >= FIRST_KEY6
        kin = [number for number, shared in enumerate(self._shared) if shared.ports.is_ipv6 is in_ipv6]
        fits = [number for number in kin if self._shared[number].has_room(key, nat_ip, now_ns)]
        number = min(fits, key=lambda number: len(self._shared[number].keys), default=-1)
        if (number < 0 or len(self._shared[number].keys) >= _CROWD) and len(kin) < self._size:
            opened = self._open(in_ipv6=in_ipv6)
            number = opened if opened >= 0 else number
        if number < 0:
            return None
        shared = self._shared[number]
        shared.keys.add(key)
        if nat_ip:
            shared.nat_ips.add(nat_ip)
        return Spot(number, key, nat_ip), shared.ports

    def leave(self, spot: Spot, *, now_ns: int) -> None:
        """Give a place back."""
        shared = self._shared[spot.number]
        shared.keys.discard(spot.key)
        shared.nat_ips.discard(spot.nat_ip)
        shared.resting[spot.key] = now_ns + _REST_NS
        shared.resting.move_to_end(spot.key)

    def close(self) -> None:
        """Give all ports back to the system."""
        for shared in self._shared:
            self._range.release(shared.ports)
        self._shared.clear()

    def _open(self, *, in_ipv6: bool) -> int:
        """Open one more; below 0 if no port is left."""
        try:
            ports = self._range.bind(in_ipv6=in_ipv6)
        except EngineError:
            return -1
        for sock in ports.sockets():
            _widen(sock)
        number = len(self._shared)
        self._shared.append(_SharedPort(ports))
        self.on_open(number, ports)
        return number


def _keep_to_ourselves(number: int, ports: BoundPorts) -> None:
    """No process carries anything yet; it is told of all ports when it begins."""


def _widen(sock: socket.socket) -> None:
    """Make room for the packets of hundreds of calls that come while we sleep or are kept from running."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    except OSError:  # without CAP_NET_ADMIN the system's own limit holds
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
