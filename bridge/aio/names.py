"""Finds the addresses behind SIP URIs, and remembers which of them failed (RFC 3263)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.aio.resolver import HOSTS_FILE, Resolver
from bridge.aio.sip_route import BOTH, Families, family_of
from bridge.errors import SetupError
from bridge.hosts import address_of
from bridge.ports import Clock, IdSource
from bridge.sip.flow import Address
from bridge.sip.locating import Failures, Wanted, places_of, targets_of

__all__ = ["FAILED_S", "Found", "Names"]

_S = 1_000_000_000
FAILED_S = 60.0
"""How long a target is tried last that has not served us."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where something is."""

    targets: tuple[Address, ...]
    """Addresses to try, in this order; at least one."""
    ttl_s: float | None
    """For how long that holds; None is for ever."""


class Names:
    """Knows where SIP URIs lead.

    Args:
        clock: For the age of answers and failures.
        dice: Chooses among servers of one priority.
        servers: DNS servers, address and port; empty takes those of the system.
        hosts_file: Names that lead where the administrator of this machine says, without DNS.
        patience_s: How long one question may take, all servers and repetitions together.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        dice: IdSource,
        servers: Sequence[tuple[str, int]] = (),
        hosts_file: str = HOSTS_FILE,
        patience_s: float = 4.0,
    ) -> None:
        self._clock = clock
        self._dice = dice
        self._resolver = Resolver(clock=clock, servers=servers, hosts_file=hosts_file, patience_s=patience_s)
        self._failures = Failures()

    async def locate(self, wanted: Wanted, *, families: Families = BOTH) -> Found:
        """Find the addresses to try.

        Args:
            wanted: Whom a request is for.
            families: Those that we have sockets of.

        Raises:
            SetupError: If there is none.
        """
        if address_of(wanted.host) is not None:
            targets = targets_of([wanted.place], {})
            return Found(_reachable(targets, wanted, families), None)
        resolver = self._resolver
        services = () if await resolver.is_local(wanted.host) else wanted.services
        answers = await asyncio.gather(*(resolver.services(service.name) for service in services))
        records = [(service, answer.records) for service, answer in zip(services, answers, strict=True)]
        places = places_of(wanted, records, dice=self._dice)
        hosts = list(dict.fromkeys(host for host, _ in places))
        known = await asyncio.gather(*(resolver.addresses(host) for host in hosts))
        ips = {host: answer.records for host, answer in zip(hosts, known, strict=True)}
        if not (targets := targets_of(places, ips)):
            is_silent = any(answer.is_silent for answer in (*answers, *known))
            why = ": no DNS server answers" if is_silent else ""
            raise SetupError(f"the host {wanted.host} has no address{why}")
        ttl_s = min(answer.ttl_s for answer in (*answers, *known))
        sorted_ = self._failures.sort(_reachable(targets, wanted, families), now_ns=self._clock.now_ns())
        return Found(tuple(sorted_), ttl_s)

    def failed(self, target: Address, *, for_s: float = FAILED_S) -> None:
        """Try this target last for a while.

        Args:
            target: Who did not answer, or had no time.
            for_s: How long; what a 503 says in its Retry-After.
        """
        self._failures.add(target, for_ns=round(for_s * _S), now_ns=self._clock.now_ns())


def _reachable(targets: Sequence[Address], wanted: Wanted, families: Families) -> tuple[Address, ...]:
    found = tuple(target for target in targets if family_of(target[0]) in families)
    if not found:
        raise SetupError(
            f"the host {wanted.host} has only addresses of a family that sip.listen has no address of"
        )
    return found
