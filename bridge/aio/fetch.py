"""Fetching a file that an order names: from hosts that are listed, and never from inside our own network.

The name is resolved once, every address that it has is looked at, and the connection goes to one of those; so
a name that is answered differently the second time gains nothing. Each redirect is looked at in the same way.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge.errors import BridgeError

__all__ = ["FetchRefused", "FetchTerms", "LookUp", "fetch", "is_public", "look_up"]

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK_BYTES = 64 * 1024

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, or raises OSError."""


class FetchRefused(BridgeError):  # noqa: N818  an answer to whoever asked
    """A file that is not fetched, or cannot be.

    Attributes:
        fix: What the operator of the bridge may do about it; empty if nothing.
    """

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix: str = fix


@dataclass(frozen=True, slots=True)
class FetchTerms:
    """From where, how much, how long."""

    hosts: tuple[str, ...] = ()
    """``name`` for the usual ports, or ``name:port``. An address that is listed itself may be private."""
    setting: str = "api.play_hosts"
    """Key that the hosts come from, for the errors."""
    most_bytes: int = 10 << 20
    most_redirects: int = 3
    within_s: float = 15.0


async def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a host.

    Raises:
        OSError: If it has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, and not of a network of ours."""
    ip = _unwrapped(address)
    return ip is not None and ip.is_global and not ip.is_multicast


async def fetch(
    url: str,
    terms: FetchTerms,
    *,
    resolve: LookUp = look_up,
    admits: Callable[[str], bool] = is_public,
) -> bytes:
    """Fetch one file.

    Args:
        url: Where it is.
        terms: From where, how much, how long.
        resolve: Asked once for each name.
        admits: Asked about every address that a name leads to.

    Raises:
        FetchRefused: If it may not be fetched, is too large, or does not come in time.
    """
    try:
        async with asyncio.timeout(terms.within_s):
            for _ in range(terms.most_redirects + 1):
                found = await _ask(url, terms, resolve, admits)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
    except TimeoutError:
        raise FetchRefused(f"the file did not come within {terms.within_s:g} s") from None
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        raise FetchRefused(f"the file cannot be fetched: {type(error).__name__}") from error
    raise FetchRefused(f"the file is redirected more than {terms.most_redirects} times")


async def _ask(url: str, terms: FetchTerms, resolve: LookUp, admits: Callable[[str], bool]) -> bytes | str:
    """The body, or where it is to be found instead."""
    parts, port = _admitted(url, terms)
    host = parts.hostname or ""
    addresses = [host] if _is_address(host) else await resolve(host, port)
    if not _is_address(host):
        for address in addresses:
            if not admits(address):
                raise FetchRefused(f"{host} leads to {address}, which is no public address")
    connector = aiohttp.TCPConnector(resolver=_Pinned(addresses), use_dns_cache=False)
    async with (
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # ten megabytes of zeros fit into ten kilobytes
            headers={"Accept-Encoding": "identity"},
        ) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status in _REDIRECTS and (target := answer.headers.get("Location")):
            return target
        if answer.status != 200:
            raise FetchRefused(f"{parts.hostname} answered {answer.status}")
        return await _body(answer, terms.most_bytes)


async def _body(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = answer.content_length or 0
    if size <= most_bytes:
        size = 0
        async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
            size += len(piece)
            if size > most_bytes:
                break
            pieces.append(piece)
    if size > most_bytes:
        raise FetchRefused(f"the file is larger than {most_bytes >> 20} MiB")
    return b"".join(pieces)


def _admitted(url: str, terms: FetchTerms) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise FetchRefused(f"{url!r} is no address of a file") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise FetchRefused("a file is fetched from http:// or https:// addresses only")
    if parts.username is not None or parts.password is not None:
        raise FetchRefused("the address of a file must not carry a name or password")
    host = parts.hostname
    wanted = f"[{host}]" if ":" in host else host
    listed = {entry.lower() for entry in terms.hosts}
    is_usual = port == _PORTS[parts.scheme]
    if f"{wanted}:{port}" not in listed and not (is_usual and wanted in listed):
        place = wanted if is_usual else f"{wanted}:{port}"
        raise FetchRefused(
            f"files are not fetched from {place}", fix=f'add "{place}" to {terms.setting} in the settings'
        )
    if _is_address(host) and not _may_be_listed(host):
        raise FetchRefused(f"files are never fetched from {host}")
    return parts, port


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _may_be_listed(address: str) -> bool:
    """Refuse what is nobody's server: cloud machines keep their secrets on a link-local address."""
    ip = _unwrapped(address)
    return ip is not None and not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved)


def _unwrapped(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that is really reached; None where a translator would decide that."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    is_translated = ip.sixtofour or ip.teredo or ip in _NAT64
    return None if is_translated else ip


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052 §2.1: an IPv4 address, perhaps a private one, behind a translator."""


class _Pinned(AbstractResolver):
    """Answers with addresses that were looked at already."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None: ...
