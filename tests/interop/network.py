"""A network of its own for a peer: a namespace joined to ours by a pair of virtual cables."""

import os
import subprocess
from collections.abc import Iterator

import pytest

__all__ = ["OURS", "THEIRS", "network"]

# A net of four addresses for each process: two runs side by side do not meet.
_NET = os.getpid() % 16_384 * 4
OURS, THEIRS = (f"10.213.{(_NET + at) // 256}.{(_NET + at) % 256}" for at in (1, 2))


@pytest.fixture
def network(peer: str) -> Iterator[str]:
    """Make it and yield the name of the namespace, in which `THEIRS` is the one address."""
    name = f"cosy{os.getpid()}"
    link = f"cb{os.getpid()}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    made_links: list[str] = []
    ip("netns", "add", name)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "veth0", "netns", name)
        made_links.append(link)
        ip("addr", "add", f"{OURS}/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "addr", "add", f"{THEIRS}/30", "dev", "veth0")
        ip("-n", name, "link", "set", "veth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        # A phone may look which address it has towards the world; nothing goes there.
        ip("-n", name, "route", "add", "default", "via", OURS)
        yield name
    finally:
        for made in made_links:
            ip("link", "del", made)  # with its namespace it would go in its own time
        ip("netns", "del", name)
