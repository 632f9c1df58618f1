"""Where a SIP URI leads: which names to ask for, and in which order to try the answers (RFC 3263, RFC 2782).

There is no NAPTR: the transport is what the URI says, else what has SRV records, else UDP.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from bridge.hosts import address_of
from bridge.ports import IdSource
from bridge.sip.flow import Address
from bridge.sip.grammar import DEFAULT_PORTS, Uri

__all__ = ["MOST_TARGETS", "Failures", "Service", "Srv", "Wanted", "places_of", "targets_of"]

MOST_TARGETS = 8
"""Addresses that are tried for one request, the first of those that were found."""
_MOST_SERVERS = 32
_MOST_REMEMBERED = 1024
_LOT_BITS = 32

_SERVICES = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}
"""What stands before the domain in a question for SRV records (RFC 3263 §4.2)."""
_UNSAID = ("UDP", "TCP")
"""What is asked for where the URI says nothing, the preferred first (RFC 3263 §4.1)."""


@dataclass(frozen=True, slots=True)
class Service:
    """A question for SRV records."""

    name: str
    transport: str
    """By what its servers are talked to."""


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    host: str
    """Without the final dot; empty where the service is decidedly not offered."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a request is for."""

    host: str
    port: int | None = None
    """None where none was named: then the domain's SRV records say it."""
    transport: str = ""
    """One of `bridge.sip.flow.TRANSPORTS`; empty where none was named."""

    @classmethod
    def of(cls, uri: Uri) -> "Wanted":
        """Read what a URI says, and what it leaves open."""
        is_said = uri.scheme == "sips" or uri.parameter("transport") is not None
        # The dot after a name that is whole already is no part of it (RFC 1034 §3.1).
        return cls(uri.host.rstrip("."), uri.port, uri.transport if is_said else "")

    @classmethod
    def at(cls, address: tuple[str, int]) -> "Wanted":
        """Read the same from an address that a URI or a route was made into."""
        if not isinstance(address, Address):
            return cls(*address, "UDP")
        return cls(address[0], address[1] if address.has_port else None, address.transport)

    @property
    def services(self) -> tuple[Service, ...]:
        """The questions for SRV records; none if the host is an address or its port is known (§4.2)."""
        if self.port is not None or address_of(self.host) is not None:
            return ()
        transports = (self.transport,) if self.transport else _UNSAID
        return tuple(
            Service(_SERVICES[transport] + self.host, transport)
            for transport in transports
            if transport in _SERVICES
        )

    @property
    def place(self) -> Address:
        """Where it is without SRV records."""
        transport = self.transport or "UDP"
        return Address(self.host, self.port or DEFAULT_PORTS[transport], transport, name=self.host)


def places_of(
    wanted: Wanted, answers: Iterable[tuple[Service, Sequence[Srv]]], *, dice: IdSource
) -> list[Address]:
    """Hosts and ports to try, in order; the hosts may be names.

    Args:
        wanted: Whom the request is for.
        answers: What each of its `services` said, in their order.
        dice: Spreads the load over servers of one priority.

    Returns:
        Those of the first transport that is offered. Empty if the domain offers none of them.
    """
    is_known = False
    for service, records in answers:
        is_known = is_known or bool(records)
        offered = [record for record in records if record.host]
        if offered:
            chosen = _ordered(offered, dice=dice)[:_MOST_SERVERS]
            # The certificate belongs to the domain, not to the server that it named (RFC 5922 §4).
            return [
                Address(each.host, each.port, service.transport, name=wanted.host)
                for each in chosen
                if each.port
            ]
    return [] if is_known else [wanted.place]


def targets_of(places: Iterable[Address], addresses: Mapping[str, Sequence[str]]) -> list[Address]:
    """Addresses to try, in order.

    Args:
        places: What `places_of` found.
        addresses: IPv4 and IPv6 addresses of each host that is a name.
    """
    found: dict[tuple[str, int, str], Address] = {}
    for place in places:
        host, port = place
        for each in (host,) if address_of(host) is not None else addresses.get(host, ()):
            ip = address_of(each) or each
            target = Address(ip, port, place.transport, name=place.name)
            found.setdefault((ip, port, place.transport), target)
    return list(found.values())


def _ordered(records: Sequence[Srv], *, dice: IdSource) -> list[Srv]:
    """Put records in order of priority, and by lot within one, heavier ones more often first (RFC 2782)."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        # Those without weight stand first, so that the lot can fall on them at all.
        left = sorted((each for each in records if each.priority == priority), key=lambda each: each.weight)
        while left:
            sums = list(accumulate(each.weight for each in left))
            lot = dice.number(_LOT_BITS) * (sums[-1] + 1) >> _LOT_BITS
            ordered.append(left.pop(bisect_left(sums, lot)))
    return ordered


class Failures:
    """Targets that failed a moment ago: they are tried last for a while (RFC 3263 §4.3)."""

    def __init__(self) -> None:
        self._until_ns: OrderedDict[tuple[str, int, str], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until_ns)

    def add(self, target: Address, *, for_ns: int, now_ns: int) -> None:
        """Remember that a target did not serve; the oldest memory goes first."""
        key = *target, target.transport
        self._until_ns.pop(key, None)
        self._until_ns[key] = now_ns + for_ns
        if len(self._until_ns) > _MOST_REMEMBERED:
            self._until_ns.popitem(last=False)

    def sort(self, targets: Iterable[Address], *, now_ns: int) -> list[Address]:
        """Put targets that failed behind the others, the longest ago first."""

        def failed_ns(target: Address) -> int:
            until_ns = self._until_ns.get((*target, target.transport), 0)
            return until_ns if until_ns > now_ns else 0

        return sorted(targets, key=failed_ns)
