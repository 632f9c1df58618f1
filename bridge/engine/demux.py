"""Whose packet is it, on a port that several calls share: told by the address it comes from."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.plane.masks import somewhere
from bridge.plane.spec import RowSpec

__all__ = ["NOBODY", "Demux"]

NOBODY = -1
"""In place of a row: the packet belongs to no call."""
_PORT_BITS = 16


@dataclass(slots=True)
class _Guest:
    """One row on a shared port, and where its packets may come from."""

    port: int
    spec: RowSpec
    learnt_key: int = 0
    """Where they were seen to come from, behind NAT."""

    @property
    def media_keys(self) -> set[int]:
        return {key for key in (self.spec.remote_key, self.learnt_key) if key}

    @property
    def ips(self) -> set[int]:
        return {key >> _PORT_BITS for key in self.media_keys} | ({self.spec.latch_ip} - {0})


class _Table:
    """Rows by address, as sorted columns: a dictionary of so many calls does not stay in the cache."""

    def __init__(self) -> None:
        # The last entry is above every address, so that a search always ends on one.
        self._keys = np.full(1, np.iinfo(np.int64).max)
        self._rows = np.full(1, NOBODY, np.intp)
        self._waiting: dict[int, list[int]] = {}

    def get(self, key: int) -> int:
        """Whose address it is, or `NOBODY`."""
        at = int(self._keys.searchsorted(key))
        return int(self._rows[at]) if self._keys[at] == key else NOBODY

    def add(self, key: int, row: int) -> None:
        """Whoever has the address already keeps it while he is here: a later call cannot take his voice."""
        at = int(self._keys.searchsorted(key))
        if self._keys[at] == key:
            self._waiting.setdefault(key, []).append(row)
        else:
            self._keys, self._rows = np.insert(self._keys, at, key), np.insert(self._rows, at, row)

    def remove(self, key: int, row: int) -> None:
        """Forget that this row claims an address; the next one that does has it then."""
        at = int(self._keys.searchsorted(key))
        if self._keys[at] != key:
            return
        waiting = self._waiting.get(key, [])
        if self._rows[at] != row:
            if row in waiting:
                waiting.remove(row)
        elif waiting:
            self._rows[at] = waiting.pop(0)
        else:
            self._keys, self._rows = np.delete(self._keys, at), np.delete(self._rows, at)
        if not waiting:
            self._waiting.pop(key, None)

    def find(self, keys: NDArray[np.int64]) -> NDArray[np.intp]:
        at = self._keys.searchsorted(keys)
        return np.where(self._keys[at] == keys, self._rows[at], NOBODY)


@dataclass(slots=True)
class _Port:
    """The guests of one port, by what their packets show."""

    by_key: _Table = field(default_factory=_Table)
    by_rtcp_key: _Table = field(default_factory=_Table)
    by_ip: dict[int, list[int]] = field(default_factory=dict)


class Demux:
    """Rows by port and source address.

    What comes from a signalled or learnt address is known by one look into a table. Anything else may be a
    peer behind NAT or one whose NAT has moved it: then the row is found by IP address and, where several
    calls come from one, by SSRC. Whether it is believed decides the plane, as on a port of its own.

    Args:
        peer_ssrc: The SSRC that a row listens to; below 0 while it is unknown.
    """

    def __init__(self, peer_ssrc: Callable[[int], int]) -> None:
        self._peer_ssrc = peer_ssrc
        self._ports: dict[int, _Port] = {}
        self._guests: dict[int, _Guest] = {}

    def __len__(self) -> int:
        return len(self._guests)

    def seat(self, row: int, port: int, spec: RowSpec) -> None:
        """Expect a row's packets on a port."""
        self.remove(row)
        self._guests[row] = _Guest(port, spec)
        self._enter(row)

    def update(self, row: int, spec: RowSpec) -> None:
        """Follow a re-INVITE; a row on a port of its own is none of our business."""
        if (guest := self._guests.get(row)) is not None:
            self._leave(row)
            guest.spec, guest.learnt_key = spec, 0
            self._enter(row)

    def learn(self, row: int, key: int) -> None:
        """The row's packets come from here from now on."""
        if (guest := self._guests.get(row)) is not None:
            if guest.learnt_key in (0, key) and self._ports[guest.port].by_key.get(key) == row:
                guest.learnt_key = key  # They came from where signalling said: most do.
                return
            self._leave(row)
            guest.learnt_key = key
            self._enter(row)

    def remove(self, row: int) -> None:
        """Expect nothing more; harmless for a row that is not here."""
        if row in self._guests:
            self._leave(row)
            del self._guests[row]

    def find(
        self, port: int, keys: NDArray[np.int64], ssrc_at: Callable[[int], int], *, is_rtcp: bool
    ) -> NDArray[np.intp]:
        """The row of each packet, or `NOBODY`.

        Args:
            port: Number of the shared port on which they came.
            keys: Where each came from, ``ip << 16 | port``.
            ssrc_at: Reads the SSRC of the packet at an index; asked about unknown sources only.
            is_rtcp: They came on the RTCP port.
        """
        guests = self._ports.get(port)
        if guests is None:
            return np.full(len(keys), NOBODY, np.intp)
        rows = (guests.by_rtcp_key if is_rtcp else guests.by_key).find(keys)
        unknown = rows == NOBODY
        if somewhere(unknown):
            for at in unknown.nonzero()[0].tolist():
                rows[at] = self._guess(guests, int(keys[at]), at, ssrc_at)
        return rows

    def _guess(self, guests: _Port, key: int, at: int, ssrc_at: Callable[[int], int]) -> int:
        candidates = guests.by_ip.get(key >> _PORT_BITS, ())
        if len(candidates) > 1:
            ssrc = ssrc_at(at)
            same = [row for row in candidates if self._peer_ssrc(row) == ssrc]
            # Who has not been heard yet cannot be told by SSRC; only one of them may be meant.
            candidates = same or [row for row in candidates if self._peer_ssrc(row) < 0]
        return candidates[0] if len(candidates) == 1 else NOBODY

    def _enter(self, row: int) -> None:
        guest = self._guests[row]
        port = self._ports.setdefault(guest.port, _Port())
        for key in guest.media_keys:
            port.by_key.add(key, row)
        if guest.spec.rtcp_key:
            port.by_rtcp_key.add(guest.spec.rtcp_key, row)
        for ip in guest.ips:
            port.by_ip.setdefault(ip, []).append(row)

    def _leave(self, row: int) -> None:
        guest = self._guests[row]
        port = self._ports[guest.port]
        for key in guest.media_keys:
            port.by_key.remove(key, row)
        port.by_rtcp_key.remove(guest.spec.rtcp_key, row)
        for ip in guest.ips:
            port.by_ip[ip].remove(row)
            if not port.by_ip[ip]:
                del port.by_ip[ip]
