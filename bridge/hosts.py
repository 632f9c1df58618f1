"""Hosts as SIP and sockets write them: IPv4, IPv6 with or without brackets, names (RFC 3261 §25.1)."""

import ipaddress
from functools import lru_cache

__all__ = ["address_of", "bracketed", "is_loopback", "is_v6", "same_host", "source_of", "spot"]

_REMEMBERED = 4096
"""Hosts read lately: every message names the same few again."""


@lru_cache(maxsize=_REMEMBERED)
def address_of(host: str) -> str | None:
    """The address that a host is, in the one spelling that sockets use; None for a name.

    An IPv4 address inside an IPv6 one (RFC 4291 §2.5.5.2) is that IPv4 address: it goes the same way, so
    it must be held to the same rules.
    """
    try:
        found = ipaddress.ip_address(host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


def is_v6(address: str) -> bool:
    """Whether it is an IPv6 address; asked of addresses only."""
    return ":" in address


def bracketed(host: str) -> str:
    """The host as it stands in a URI, a Via or before a port."""
    return f"[{host}]" if ":" in host and host[:1] != "[" else host


def spot(host: str, port: int) -> str:
    """Host and port in one text, ``[::1]:5060``."""
    return f"{bracketed(host)}:{port}"


def same_host(one: str, other: str) -> bool:
    """Whether two hosts are one, however their addresses are spelt (RFC 3261 §19.1.4)."""
    return one == other or (address_of(one) or one.lower()) == (address_of(other) or other.lower())


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine that nobody else can reach."""
    found = address_of(address)
    return found is not None and ipaddress.ip_address(found).is_loopback


def source_of(address: str) -> str:
    """Whom a sender's address counts for where senders are limited.

    One network of 64 bits is the least that a site has, and a host may use every address of it (RFC 7934
    §3): they are one sender.
    """
    if not is_v6(address):
        return address
    return _network_of(address)


@lru_cache(maxsize=_REMEMBERED)
def _network_of(address: str) -> str:
    return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
