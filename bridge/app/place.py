"""Where this machine is in its network, and where we keep what is ours."""

import os
import socket
from pathlib import Path

from bridge.aio.sip_route import NOWHERE

__all__ = ["route_address", "state_folder"]


def route_address(*, in_ipv6: bool = False) -> str:
    """Address of this machine towards the world, that of the loopback without one; no packet is sent."""
    family = socket.AF_INET6 if in_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((NOWHERE[family], 9))
        except OSError:
            return "::1" if in_ipv6 else "127.0.0.1"
        return str(probe.getsockname()[0])


def state_folder() -> Path:
    """Folder for what outlives us, by the rule of XDG; it need not exist."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "state") / "cosybridge"
