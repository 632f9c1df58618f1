"""Who may talk to us, and how fast: closed by default."""

import ipaddress
from collections import OrderedDict

from bridge.errors import ConfigError
from bridge.hosts import source_of

__all__ = ["CROWD", "MAX_SOURCES", "Crowd", "Guard", "Networks", "RateLimit"]

MAX_SOURCES = 4096
"""Sources whose rate is remembered; the one heard longest ago is forgotten first."""

CROWD = 5
"""How many sources at their own limit are served at once, if they have no call with us."""

_POLITE_PER_S = 4
_NS = 1_000_000_000


class Networks:
    """A list of networks that addresses are checked against.

    Args:
        networks: ``"10.0.0.0/8"``, ``"192.0.2.7"``, …
        key: Setting they come from, named in errors.

    Raises:
        ConfigError: If one of them is not a network.
    """

    def __init__(self, networks: tuple[str, ...], *, key: str) -> None:
        try:
            self._networks = [ipaddress.ip_network(text, strict=False) for text in networks]
        except ValueError as error:
            raise ConfigError(f"{key}: {error}; write networks like 192.168.0.0/16") from None
        self._known: OrderedDict[str, bool] = OrderedDict()

    def __contains__(self, ip: str) -> bool:
        if (known := self._known.get(ip)) is None:
            known = self._known[ip] = self._holds(ip)
            if len(self._known) > MAX_SOURCES:
                self._known.popitem(last=False)
        return known

    def _holds(self, ip: str) -> bool:
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class RateLimit:
    """A token bucket per source.

    Args:
        per_s: Datagrams per second that a source may send for long.
        holds_s: For how long it may have saved them up.
    """

    def __init__(self, per_s: int, *, holds_s: int = 2) -> None:
        self._per_s = per_s
        self._full = holds_s * per_s * _NS
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def admits(self, ip: str, *, now_ns: int) -> bool:
        """Count one datagram; False if its source is too fast."""
        full = self._full
        level, then_ns = self._buckets.pop(ip, (full, now_ns))
        # A token is _NS long, so that integers stay exact.
        level = min(full, level + (now_ns - then_ns) * self._per_s)
        is_admitted = level >= _NS
        self._buckets[ip] = (level - _NS if is_admitted else level), now_ns
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        return is_admitted


class Crowd:
    """What all sources together may send that have no call with us: scanners and floods use many addresses.

    Half of it is kept for the polite, who send a call's worth now and then: a flood from many
    sources, each within its own limit, leaves room for somebody who wants to call.

    Args:
        per_s: Datagrams per second of all of them.
    """

    def __init__(self, per_s: int) -> None:
        self._all = RateLimit(per_s, holds_s=1)
        self._eager = RateLimit(max(1, per_s // 2), holds_s=1)
        self._polite = RateLimit(_POLITE_PER_S)

    def admits(self, ip: str, *, now_ns: int) -> bool:
        """Count one datagram; False if there are too many."""
        if not self._polite.admits(ip, now_ns=now_ns) and not self._eager.admits("", now_ns=now_ns):
            return False
        return self._all.admits("", now_ns=now_ns)


class Guard:
    """What is asked of every datagram before anybody reads it.

    Args:
        allow: Networks whose requests are served.
        max_requests_per_s: Datagrams of one source; all that have no call may send `CROWD` times as many.

    Raises:
        ConfigError: If one of the networks is none.
    """

    def __init__(self, allow: tuple[str, ...], *, max_requests_per_s: int) -> None:
        self._networks = Networks(allow, key="sip.allow")
        self._rate = RateLimit(max_requests_per_s)
        self._crowd = Crowd(CROWD * max_requests_per_s)
        self._trusted: dict[str, tuple[str, ...]] = {}
        self._trusted_ips: frozenset[str] = frozenset()

    def allows(self, ip: str) -> bool:
        return ip in self._networks or ip in self._trusted_ips

    def trust(self, name: str, ips: tuple[str, ...]) -> None:
        """Serve these addresses as well, instead of those that had this name before."""
        self._trusted[name] = ips
        self._trusted_ips = frozenset(ip for each in self._trusted.values() for ip in each)

    def admits(self, ip: str, *, has_call: bool, now_ns: int) -> bool:
        """Count one datagram of this source; False if it is too fast, or one of too many without a call."""
        source = source_of(ip)
        if not self._rate.admits(source, now_ns=now_ns):
            return False
        return has_call or ip in self._trusted_ips or self._crowd.admits(source, now_ns=now_ns)
