"""DTLS-SRTP in a session description: fingerprint, roles, and when a new association begins.

RFC 5763 and 8842 for what is said, RFC 8122 for fingerprints, RFC 4145 for roles. The keys themselves never
are in the description: the handshake makes them, and the fingerprint says whose it must be.
"""

import re
from dataclasses import dataclass

from bridge.errors import NegotiationError
from bridge.ports import IdSource
from bridge.sip.sdp import Attributes, Media

__all__ = ["DtlsParty", "DtlsTerms"]

_HASH_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Hashes that nobody can forge a certificate for, weakest first (RFC 8122 §5.1 forbids MD2 and MD5)."""
_FINGERPRINT = re.compile(r"([A-Za-z0-9-]+) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*)")
_TLS_ID = re.compile(r"[A-Za-z0-9+/_-]{20,255}")
_IS_CLIENT = {"actpass": False, "active": False, "passive": True}
"""Whether we are, by what the peer says. Of both we wait: behind NAT only the peer can begin."""


@dataclass(frozen=True, slots=True)
class DtlsTerms:
    """One association as both descriptions have it; another one of these is another association."""

    is_client: bool
    """We send the first word; else we wait for it."""
    fingerprints: tuple[tuple[str, str], ...]
    """Hash function, and hash of the peer's certificate in lower-case hexadecimal; any may match."""
    peer_id: str = ""
    """The peer's tls-id; empty where it has none."""


class DtlsParty:
    """Our end of a call's associations.

    Args:
        fingerprint: Of our certificate, by SHA-256: ``AB:CD:…``.
        ids: Where the names of associations come from.
    """

    def __init__(self, fingerprint: str, ids: IdSource) -> None:
        self._fingerprint = fingerprint
        self._ids = ids
        self._id = ids.token(16)  # 128 bits: RFC 8842 §4 asks for 120.
        self._terms: DtlsTerms | None = None

    def takes(self, media: Media) -> bool:
        """Whether a stream has a fingerprint that we can check, and a role that leaves one to us."""
        return bool(_fingerprints(media)) and _setup(media, "active") in _IS_CLIENT

    def offer(self) -> Attributes:
        """What an offer of ours says; within an association its name stays, and with it the keys."""
        return self._attributes("actpass", with_id=True)

    def answer(self, media: Media) -> tuple[DtlsTerms, Attributes]:
        """Answer a stream that is taken."""
        setup = _setup(media, "active")
        terms = DtlsTerms(_IS_CLIENT[setup], _fingerprints(media), _tls_id(media))
        now = self._terms
        # Roles stay within an association, even where its offerer leaves them to us again (RFC 8842 §5.3).
        if now is not None and setup == "actpass" and _is_same(now, terms):
            terms = now
        elif now is not None and terms != now:
            self._id = self._ids.token(16)  # A new association has new names on both sides (§5.3).
        self._terms = terms
        setup = "active" if terms.is_client else "passive"
        return terms, self._attributes(setup, with_id=bool(terms.peer_id))

    def accept(self, media: Media) -> DtlsTerms:
        """Read the answer to an offer of ours.

        Raises:
            NegotiationError: If it has no fingerprint that can be checked, or leaves the role to us again.
        """
        setup = _setup(media, "passive")
        found = _fingerprints(media)
        if not found or setup not in ("active", "passive"):
            raise NegotiationError("the answer has no usable fingerprint or role for DTLS (RFC 8842 §5.4)")
        self._terms = DtlsTerms(setup == "passive", found, _tls_id(media))
        return self._terms

    def _attributes(self, setup: str, *, with_id: bool) -> Attributes:
        told = [("fingerprint", f"sha-256 {self._fingerprint}"), ("setup", setup)]
        return tuple([*told, ("tls-id", self._id)] if with_id else told)


def _is_same(one: DtlsTerms, other: DtlsTerms) -> bool:
    return (one.fingerprints, one.peer_id) == (other.fingerprints, other.peer_id)


def _fingerprints(media: Media) -> tuple[tuple[str, str], ...]:
    """Those by the strongest function that we know: the others prove less (RFC 8122 §5)."""
    found = []
    for name, value in media.attributes:
        match = _FINGERPRINT.fullmatch(value or "") if name == "fingerprint" else None
        if match is not None:
            function, digest = match[1].lower(), match[2].replace(":", "").lower()
            if len(digest) == 2 * _HASH_BYTES.get(function, 0):
                found.append((function, digest))
    best = next((name for name in reversed(_HASH_BYTES) if any(each[0] == name for each in found)), "")
    return tuple(each for each in found if each[0] == best)


def _setup(media: Media, absent: str) -> str:
    value = media.attribute("setup")
    return absent if value is None else value.lower()


def _tls_id(media: Media) -> str:
    value = media.attribute("tls-id") or ""
    return value if _TLS_ID.fullmatch(value) else ""
