"""What comes to a row's port and is no RTP: the control plane answers handshakes and checks (RFC 7983)."""

from collections.abc import Callable

import numpy as np

from bridge.engine.commands import Datagram
from bridge.engine.hosts6 import FIRST_KEY6, Hosts6
from bridge.plane.packets import Arrivals

__all__ = ["Aside"]

_FIRST_NO_STUN, _FIRST_DTLS, _FIRST_NO_DTLS = 4, 20, 64
"""First bytes (RFC 7983 §7)."""
_WINDOW_NS = 1_000_000_000
_MOST_A_WINDOW = 100
"""Datagrams of one kind of source: a handshake has some ten, and checks come twenty times a second."""


class Aside:
    """Takes datagrams out of what has arrived, of rows that asked for it; the others cost nothing.

    What comes to the port for RTCP is thrown away: a peer with two ports begins a second association there
    (RFC 5764 §5.1.2), which is no part of the first one, and checks that must not move the media.

    Their number is bounded, by row, for the address that we send to and for all others together: strangers
    cannot use up what is the peer's.

    Args:
        capacity: Number of rows.
        hosts: Who knows hosts of IPv6.
    """

    def __init__(self, capacity: int, hosts: Hosts6) -> None:
        self.dropped: int = 0
        """Datagrams beyond the bound, or to the port for RTCP."""
        self._hosts = hosts
        self._generations = np.zeros(capacity, np.int64)
        self._rows: set[int] = set()
        self._counts: dict[tuple[int, bool], tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def watch(self, row: int, generation: int) -> None:
        """Take this row's from now on."""
        self._rows.add(row)
        self._generations[row] = generation

    def leave(self, row: int) -> None:
        """Take no more of this row; harmless where none was taken."""
        if row in self._rows:
            self._rows.remove(row)
            self._generations[row] = 0
            self._counts.pop((row, True), None)
            self._counts.pop((row, False), None)

    def take(self, arrivals: Arrivals, destination: Callable[[int], int], *, now_ns: int) -> list[Datagram]:
        """Remove them from `arrivals`, and return those that are to be handed on.

        Args:
            arrivals: What has come, still encrypted.
            destination: Says where a row sends, as a key.
            now_ns: Present time.
        """
        count = arrivals.count
        rows = arrivals.rows[:count]
        first, lengths = arrivals.packets[:count, 0], arrivals.lengths[:count]
        is_either = (first < _FIRST_NO_STUN) | ((first >= _FIRST_DTLS) & (first < _FIRST_NO_DTLS))
        is_whole = (lengths > 0) & (lengths <= arrivals.packets.shape[1])
        found = np.flatnonzero(is_either & is_whole & (self._generations[rows] > 0))
        if not len(found):
            return []
        handed = []
        for at in found.tolist():
            row, source, length = int(rows[at]), int(arrivals.sources[at]), int(arrivals.lengths[at])
            if arrivals.is_rtcp[at] or not self._may_pass((row, source == destination(row)), now_ns):
                self.dropped += 1
                continue
            data = arrivals.packets[at, :length].tobytes()
            host = b"" if source < FIRST_KEY6 else self._hosts.address(source >> 16) or b""
            generation = int(self._generations[row])
            handed.append(Datagram(row, generation, now_ns, source_key=source, data=data, host=host))
        arrivals.remove(found)
        return handed

    def _may_pass(self, who: tuple[int, bool], now_ns: int) -> bool:
        since_ns, count = self._counts.get(who, (now_ns, 0))
        if now_ns - since_ns >= _WINDOW_NS:
            since_ns, count = now_ns, 0
        self._counts[who] = (since_ns, count + 1)
        return count < _MOST_A_WINDOW
