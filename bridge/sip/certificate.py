"""For whom a certificate vouches in SIP (RFC 5922 §7)."""

from collections.abc import Iterable

from bridge.errors import RemoteProtocolError
from bridge.hosts import address_of, same_host
from bridge.sip.grammar import Uri

__all__ = ["identities_of", "vouches_for"]

Names = Iterable[tuple[str, str]]
"""The subjectAltName of a certificate, as `ssl` reads it: ``("DNS", "pbx.example")``, ``("URI", …)``, …"""


def identities_of(names: Names) -> list[str]:
    """The domains and addresses that a certificate is for (§7.1).

    If it names domains by SIP URIs then its DNS names are for other services. Whose URI names a user is
    not for a domain. The common name says nothing.
    """
    names = tuple(names)
    domains = [domain for kind, value in names if kind == "URI" and (domain := _domain_of(value))]
    hosts = domains or [value for kind, value in names if kind == "DNS"]
    return hosts + [value for kind, value in names if kind == "IP Address"]


def vouches_for(names: Names, host: str) -> bool:
    """Whether a certificate with these names is that of the domain or address that the URI named (§7.2).

    A ``*`` stands for one whole label, the first: RFC 5922 forbids it, and carriers have such certificates.
    """
    return any(_is(identity, host) for identity in identities_of(names))


def _is(identity: str, host: str) -> bool:
    first, dot, rest = identity.partition(".")
    if first != "*" or not dot or address_of(host) is not None:
        return same_host(identity, host)
    return "." in rest and host.partition(".")[2].lower() == rest.lower()


def _domain_of(text: str) -> str:
    try:
        uri = Uri.parse(text)
    except RemoteProtocolError:
        return ""
    return uri.host if uri.scheme == "sip" and "@" not in text else ""
