"""IPv6 hosts as the plane holds them: by a number, because 128 bits do not fit into a column.

A key is ``number << 16 | port``. Of IPv4 the number is the address, below 2**32. That of an IPv6 address has
bit 46 set; the control plane gives it, and says with it which address is meant (`RowSpec.hosts`).
"""

import secrets
import socket
import struct
from collections import Counter, OrderedDict
from hashlib import blake2b

from bridge.errors import EngineError
from bridge.hosts import is_v6

__all__ = ["FIRST_KEY6", "Hosts6", "host_of", "number6", "told"]

_HOST6 = 1 << 46
_STRANGER = _HOST6 | 1 << 45
"""Bits of a number: an IPv6 host, and one that no row has named."""
FIRST_KEY6 = _HOST6 << 16
"""Keys from here on are of IPv6."""
_SALT = secrets.token_bytes(16)
"""Nobody can look for an address that has the number of another one."""
_ENTRY = struct.Struct("<q16s")
_MOST_STRANGERS = 4096
"""Hosts that no row has named and that are told apart; the one seen longest ago is forgotten first."""


def number6(host: str) -> int:
    """The number of an IPv6 address, the same as long as this control process lives.

    Raises:
        EngineError: If it is none.
    """
    try:
        packed = socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        raise EngineError(f"media peers are IPv4 or IPv6 addresses, not {host!r}") from None
    digest = blake2b(packed, key=_SALT, digest_size=8).digest()
    return _HOST6 | int.from_bytes(digest) >> 19


def told(*hosts: str | None) -> bytes:
    """What a row is told of its peer's IPv6 addresses: number and address of each; others are left out."""
    named = dict.fromkeys(host for host in hosts if host is not None and is_v6(host))
    return b"".join(_ENTRY.pack(number6(host), socket.inet_pton(socket.AF_INET6, host)) for host in named)


def host_of(told_hosts: bytes, number: int) -> str | None:
    """The address that a number stands for, by what a row was told; None if it was not."""
    packed = dict(_ENTRY.iter_unpack(told_hosts)).get(number)
    return None if packed is None else socket.inet_ntop(socket.AF_INET6, packed)


class Hosts6:
    """The IPv6 hosts of all rows of one media process, both ways.

    Hosts that nobody has named have numbers as well, for a while: none of them is believed, but what a
    check of ICE comes from has to be answered.
    """

    def __init__(self) -> None:
        self._told: dict[int, bytes] = {}
        self._uses: Counter[bytes] = Counter()
        self._numbers: dict[bytes, int] = {}
        self._addresses: dict[int, bytes] = {}
        self._strangers: OrderedDict[bytes, int] = OrderedDict()
        self._strange_addresses: dict[int, bytes] = {}
        self._last = 0

    def __len__(self) -> int:
        """Number of rows whose peers are on IPv6."""
        return len(self._told)

    def follow(self, row: int, told_hosts: bytes) -> None:
        """Take what a row is told of its peer's hosts, in place of what it was told before."""
        if told_hosts == self._told.get(row, b""):
            return
        before = self._told.pop(row, b"")
        if told_hosts:
            self._told[row] = told_hosts
        for number, packed in _ENTRY.iter_unpack(told_hosts):
            self._uses[packed] += 1
            self._numbers[packed], self._addresses[number] = number, packed
        for number, packed in _ENTRY.iter_unpack(before):
            self._uses[packed] -= 1
            if not self._uses[packed]:
                del self._uses[packed], self._numbers[packed], self._addresses[number]

    def leave(self, row: int) -> None:
        """Forget a row's; harmless where there are none."""
        self.follow(row, b"")

    def number(self, packed: bytes) -> int:
        """The number of a host that something came from; 16 bytes in network order."""
        known = self._numbers.get(packed)
        return self._stranger(packed) if known is None else known

    def address(self, number: int) -> bytes | None:
        """The host with this number, None if it is not known any more."""
        return self._addresses.get(number) or self._strange_addresses.get(number)

    def _stranger(self, packed: bytes) -> int:
        if (known := self._strangers.get(packed)) is not None:
            self._strangers.move_to_end(packed)
            return known
        self._last = (self._last + 1) % (1 << 45)
        number = _STRANGER | self._last
        self._strangers[packed], self._strange_addresses[number] = number, packed
        if len(self._strangers) > _MOST_STRANGERS:
            _, oldest = self._strangers.popitem(last=False)
            del self._strange_addresses[oldest]
        return number
