"""Asks for names without blocking the loop: the hosts file, then DNS, then whatever else this system asks."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from dns.asyncresolver import Resolver as DnsResolver
from dns.exception import DNSException
from dns.nameserver import Do53Nameserver
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.IN.SRV import SRV
from dns.resolver import NXDOMAIN, LifetimeTimeout, NoAnswer, NoNameservers, NoResolverConfiguration

from bridge.aio.answers import Answer, Answers
from bridge.hosts import address_of, is_v6
from bridge.ports import Clock
from bridge.sip.locating import Srv

__all__ = ["HOSTS_FILE", "Resolver"]

HOSTS_FILE = "/etc/hosts"

_TRIES = 3
"""Questions, of one server or of several, within the patience for one name."""
_MOST_AT_ONCE = 32
_NONE_S = 30.0
"""How long it is believed that there is no such record."""
_SYSTEM_S = 30.0
"""How long the system's files, and what it says without a TTL, are believed."""
_S = 1_000_000_000

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Files:
    """What the files of this machine say."""

    hosts: dict[str, tuple[str, ...]]
    dns: DnsResolver | None
    """None where no server is named."""
    until_ns: int


class Resolver:
    """Looks names up, and remembers the answers.

    Args:
        clock: For the age of answers.
        servers: DNS servers, address and port; empty takes those of the system.
        hosts_file: Names that lead where the administrator of this machine says, without DNS.
        patience_s: How long one question may take, all servers and repetitions together.
    """

    def __init__(
        self, *, clock: Clock, servers: Sequence[tuple[str, int]], hosts_file: str, patience_s: float
    ) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._servers = tuple(servers)
        self._hosts_file = hosts_file
        self._files = _Files({}, None, 0)
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        self._services = Answers[Srv](clock)
        self._addresses = {kind: Answers[str](clock) for kind in (RdataType.A, RdataType.AAAA)}
        self._local = Answers[str](clock)

    async def services(self, name: str) -> Answer[Srv]:
        """Find the SRV records of a name."""
        return await self._services.ask(name, lambda: self._query(name, RdataType.SRV, _service))

    async def is_local(self, host: str) -> bool:
        """Whether a host is for this machine or its network to know: DNS is not asked for its services."""
        return "." not in host.rstrip(".") or host.lower() in (await self._present()).hosts

    async def addresses(self, host: str) -> Answer[str]:
        """Find the addresses of a host, those of IPv4 first."""
        if (listed := (await self._present()).hosts.get(host.lower())) is not None:
            return Answer(listed, _SYSTEM_S)
        if not await self.is_local(host):
            both = await asyncio.gather(
                *(
                    known.ask(host, lambda kind=kind: self._query(host, kind, str))  # type: ignore[misc]
                    for kind, known in self._addresses.items()
                )
            )
            if found := [answer for answer in both if answer.records]:
                records = tuple(record for answer in found for record in answer.records)
                return Answer(records, min(answer.ttl_s for answer in found))
            # Where nobody speaks the system would wait for the same servers, and hold a thread.
            if self._servers or any(answer.is_silent for answer in both):
                return both[0]
        return await self._local.ask(host, lambda: _ask_system(host, within_s=self._patience_s))

    async def _query(self, name: str, kind: RdataType, read: Callable[[Rdata], R]) -> Answer[R]:
        dns = (await self._present()).dns
        if dns is None:
            return Answer(ttl_s=_NONE_S)
        async with self._at_once:
            try:
                found = await dns.resolve(name, kind, lifetime=self._patience_s, search=False)
            except (NXDOMAIN, NoAnswer):
                return Answer(ttl_s=_NONE_S)
            except (LifetimeTimeout, NoNameservers, OSError):
                return Answer(is_silent=True)
            except (DNSException, UnicodeError):
                return Answer(ttl_s=_NONE_S)  # no name that DNS could have
        return Answer(tuple(map(read, found)), float(found.rrset.ttl) if found.rrset is not None else _NONE_S)

    async def _present(self) -> _Files:
        """Read this machine's files again now and then: they change with its networks."""
        if self._clock.now_ns() >= self._files.until_ns:
            hosts, dns = await asyncio.to_thread(_read_files, self._hosts_file, self._servers)
            if dns is not None:
                dns.timeout = self._patience_s / _TRIES
            self._files = _Files(hosts, dns, self._clock.now_ns() + round(_SYSTEM_S * _S))
        return self._files


def _read_files(
    hosts_file: str, servers: Sequence[tuple[str, int]]
) -> tuple[dict[str, tuple[str, ...]], DnsResolver | None]:
    try:
        text = Path(hosts_file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    hosts: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        ip, *names = line.partition("#")[0].split() or [""]
        for name in names if address_of(ip) is not None else ():
            hosts[name.lower()] = (*hosts.get(name.lower(), ()), ip)
    ordered = {name: tuple(sorted(ips, key=is_v6)) for name, ips in hosts.items()}
    try:
        dns = DnsResolver(configure=not servers)
    except NoResolverConfiguration:
        return ordered, None
    if servers:
        dns.nameservers = [Do53Nameserver(ip, port) for ip, port in servers]
    return ordered, dns


async def _ask_system(host: str, *, within_s: float) -> Answer[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except TimeoutError:
        return Answer(is_silent=True)
    except (OSError, UnicodeError):
        return Answer(ttl_s=_NONE_S)
    ips = dict.fromkeys(str(place[0]) for *_, place in found)
    return Answer(tuple(sorted(ips, key=is_v6)), _SYSTEM_S)


def _service(record: Rdata) -> Srv:
    srv = cast("SRV", record)
    return Srv(srv.priority, srv.weight, srv.port, srv.target.to_text().rstrip("."))
