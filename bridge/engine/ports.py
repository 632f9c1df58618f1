"""Even UDP ports for RTP, the odd one above each for RTCP (RFC 3550 §11)."""

import contextlib
import errno
import resource
import socket
from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Address

from bridge.engine.hosts6 import FIRST_KEY6, host_of, number6
from bridge.errors import EngineError

__all__ = ["BoundPorts", "PortRange", "host_number", "peer_address", "peer_key", "raise_file_limit"]

_EXPEDITED_FORWARDING = 0xB8
"""DSCP EF in the upper six bits of the TOS byte (RFC 3246): voice goes first."""


def host_number(host: str) -> int:
    """What stands for a host in a key: an IPv4 address itself, of IPv6 its number (`bridge.engine.hosts6`).

    Raises:
        EngineError: If it is no address.
    """
    try:
        return int(IPv4Address(host))
    except ValueError:
        return number6(host)


def peer_key(address: tuple[str, int]) -> int:
    """Pack an address and port as the plane holds them: ``host_number << 16 | port``.

    Raises:
        EngineError: If it is no address or the port is out of range.
    """
    host, port = address
    if not 0 <= port <= 0xFFFF:
        raise EngineError(f"a media port is 0 to 65535, not {port}")
    return host_number(host) << 16 | port


def peer_address(key: int, hosts: bytes = b"") -> tuple[str, int] | None:
    """Undo `peer_key`.

    Args:
        key: What it returned.
        hosts: What the row was told of its IPv6 hosts.

    Returns:
        Address and port; None for an IPv6 host that is not among them.
    """
    if key < FIRST_KEY6:
        return str(IPv4Address(key >> 16 & 0xFFFF_FFFF)), key & 0xFFFF
    host = host_of(hosts, key >> 16)
    return None if host is None else (host, key & 0xFFFF)


@dataclass(slots=True)
class BoundPorts:
    """One call's sockets; the control plane owns them, the media process borrows them."""

    rtp: socket.socket
    rtcp: socket.socket | None
    """None when another program holds the odd port: the call can live without."""

    @property
    def is_ipv6(self) -> bool:
        return self.rtp.family == socket.AF_INET6

    @property
    def port(self) -> int:
        """The even RTP port."""
        return int(self.rtp.getsockname()[1])

    def sockets(self) -> list[socket.socket]:
        """RTP first, then RTCP if there is one."""
        return [self.rtp] if self.rtcp is None else [self.rtp, self.rtcp]

    def close(self) -> None:
        """Give both ports back to the system."""
        for sock in self.sockets():
            sock.close()


class PortRange:
    """Hand out port pairs in rotation.

    A freed port goes to the end of the queue, so that it rests as long as the range
    allows: the last packets of its old call are not the first of a new one.

    Args:
        first: Lowest port; an odd one is rounded up.
        last: Highest port that may be used, RTCP included.
        bind_ip: Local IPv4 address to bind; ``0.0.0.0`` for all.
        bind_ip6: The same of IPv6; ``::`` for all.
        skip: Where in the range to begin, so that a restarted bridge does not step
            into the ports of the calls it has just lost.
    """

    def __init__(self, first: int, last: int, *, bind_ip: str, bind_ip6: str = "::", skip: int = 0) -> None:
        even = range(first + first % 2, last, 2)
        if not even or first < 1 or last > 0xFFFF:
            raise EngineError(
                f"the media port range {first}-{last} holds no even port with its odd neighbour"
            )
        self._first, self._last = first, last
        self._bind_ips = bind_ip, bind_ip6
        self._free: deque[int] = deque(even)
        self._free.rotate(-skip)
        self._taken: set[int] = set()

    def bind(self, *, in_ipv6: bool = False) -> BoundPorts:
        """Bind the pair that has rested longest; ports of other programs are passed over.

        Args:
            in_ipv6: Of IPv6, and of that alone; else of IPv4.

        Raises:
            EngineError: If every pair is in use, by our calls or by other programs, or
                the address is not one of this machine.
        """
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                rtp = self._open(port, in_ipv6)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    self._free.append(port)
                    continue
                self._free.appendleft(port)
                raise EngineError(
                    f"cannot bind a media port on {self._bind_ips[in_ipv6]}: {error.strerror}"
                ) from error
            self._taken.add(port)
            rtcp = None
            with contextlib.suppress(OSError):
                rtcp = self._open(port + 1, in_ipv6)
            return BoundPorts(rtp, rtcp)
        taken, others = len(self._taken), len(self._free)
        raise EngineError(
            f"no media port is left in {self._first}-{self._last}: {taken} in calls, {others} held by other "
            f"programs; widen media.ports or take fewer calls"
        )

    def release(self, ports: BoundPorts) -> None:
        """Close both sockets and let the port rest at the end of the queue."""
        port = ports.port
        ports.close()
        self._taken.discard(port)
        self._free.append(port)

    def _open(self, port: int, in_ipv6: bool) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if in_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if in_ipv6 else (socket.IPPROTO_IP, socket.IP_TOS)
        )
        try:
            sock.setblocking(False)
            with contextlib.suppress(OSError):  # some containers forbid it; voice then queues with the rest
                sock.setsockopt(level, option, _EXPEDITED_FORWARDING)
            if in_ipv6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((self._bind_ips[in_ipv6], port))
        except BaseException:
            sock.close()
            raise
        return sock


def raise_file_limit() -> int:
    """Lift the soft limit of open files to the hard one; return what holds now.

    Every call costs two sockets in both processes, and the usual soft limit is 1024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS names a hard limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
