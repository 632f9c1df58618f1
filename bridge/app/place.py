"""Where this machine is in its network, and where we keep what is ours."""

import os
import socket
from pathlib import Path

from bridge.aio.sip_route import NOWHERE
from bridge.hosts import is_v6

__all__ = ["route_address", "state_folder"]


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


def state_folder() -> Path:
    """Folder for what outlives us, by the rule of XDG; it need not exist."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "state") / "cosybridge"
