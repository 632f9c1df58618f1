"""Where this machine is in its network, and where we keep what is ours."""

import os
import socket
from pathlib import Path

__all__ = ["route_address", "state_folder"]


def route_address() -> str:
    """Address of this machine towards the world, 127.0.0.1 without one; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): never anybody's
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def state_folder() -> Path:
    """Folder for what outlives us, by the rule of XDG; it need not exist."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "state") / "cosybridge"
