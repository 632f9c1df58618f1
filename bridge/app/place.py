"""Where this machine is in its network, and where we keep what is ours."""

import os
import socket
from ipaddress import IPv6Address
from pathlib import Path

from bridge.aio.sip_route import NOWHERE
from bridge.hosts import is_v6

__all__ = ["own_names", "route_address", "state_folder"]

_PASSING = 0x01 | 0x20 | 0x40
"""Temporary (RFC 8981), deprecated or tentative: with them, our names would change every day."""


def route_address(peer_ip: str | None = None, *, in_ipv6: bool = False) -> str:
    """Address of this machine towards a peer, that of the loopback without a route; no packet is sent.

    Args:
        peer_ip: Its address; None for the world at large.
        in_ipv6: Which of them, then.
    """
    in_ipv6 = in_ipv6 if peer_ip is None else is_v6(peer_ip)
    family = socket.AF_INET6 if in_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((NOWHERE[family] if peer_ip is None else peer_ip, 9))
        except OSError:
            return "::1" if in_ipv6 else "127.0.0.1"
        return str(probe.getsockname()[0])


def own_names(table: Path = Path("/proc/net/if_inet6")) -> list[str]:
    """Names and addresses by which a browser may ask for this machine, those of the loopback included.

    Args:
        table: The kernel's list of IPv6 addresses: 32 hexadecimal digits, three columns, flags.
    """
    try:
        lines = table.read_text().splitlines()
    except OSError:  # a machine without IPv6
        lines = []
    rows = [line.split() for line in lines]
    six = {str(IPv6Address(int(row[0], 16))) for row in rows if not int(row[4], 16) & _PASSING}
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", route_address(), *sorted(six)]))


def state_folder() -> Path:
    """Folder for what outlives us, by the rule of XDG; it need not exist."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "state") / "cosybridge"
