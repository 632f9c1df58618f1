"""The lite end of ICE: it answers checks and goes where the peer nominates (RFC 8445 §2.5, §7.3)."""

import struct
from collections import Counter
from dataclasses import dataclass, field

from bridge.errors import RemoteProtocolError
from bridge.rtp.stun import (
    BINDING_ERROR,
    BINDING_REQUEST,
    BINDING_SUCCESS,
    ERROR_CODE,
    ICE_CONTROLLED,
    PRIORITY,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    StunMessage,
    error_code,
    has_integrity,
    xor_address,
)

__all__ = ["IceLite", "IceTerms"]

_UNDERSTOOD = (USERNAME, PRIORITY, USE_CANDIDATE)
"""Attributes below 0x8000 must be understood, or the request is refused (RFC 8489 §14)."""
_OPTIONAL = 0x8000
_MOST_SOURCES = 16
"""Addresses of a peer that are remembered: the last of more candidates than any phone has."""


@dataclass(frozen=True, slots=True)
class IceTerms:
    """What both descriptions say of ICE."""

    ufrag: str
    """Ours: it begins the user name of every check that we take."""
    password: str = field(repr=False)
    """Ours: checks and their answers are signed with it."""
    peer_ufrag: str = ""
    is_peer_lite: bool = False
    """Nobody checks anything then: both go by the descriptions."""


class IceLite:
    """Answers the checks of one peer, which alone decides which pair is used.

    Args:
        terms: Names and secrets.
    """

    def __init__(self, terms: IceTerms) -> None:
        self.terms: IceTerms = terms
        self.nominated: tuple[str, int] | None = None
        """Where the peer wants its media, of all places that it has proven to hold."""
        self.counters: Counter[str] = Counter()
        """Requests, by what became of them."""
        self._sources: dict[tuple[str, int], None] = {}

    def knows(self, source: tuple[str, int]) -> bool:
        """Whether a check with the right credentials has come from there."""
        return source in self._sources

    def answer(self, data: bytes, source: tuple[str, int]) -> bytes:
        """Answer a datagram of STUN; empty if it deserves none."""
        try:
            request = StunMessage.parse(data)
        except RemoteProtocolError:
            self.counters["malformed"] += 1
            return b""
        if request.kind != BINDING_REQUEST:
            self.counters["ignored"] += 1  # We ask nothing, so answers are not for us; indications need none.
            return b""
        if (refusal := self._objection(request, data)) is not None:
            return refusal
        self.counters["answered"] += 1
        self._sources.pop(source, None)
        self._sources[source] = None
        if len(self._sources) > _MOST_SOURCES:
            del self._sources[next(iter(self._sources))]
        if request.attribute(USE_CANDIDATE) is not None:
            self.nominated = source
        mapped = xor_address(source, request.transaction)
        success = StunMessage(BINDING_SUCCESS, request.transaction, ((XOR_MAPPED_ADDRESS, mapped),))
        return success.signed(self.terms.password.encode())

    def _objection(self, request: StunMessage, data: bytes) -> bytes | None:
        """Why a request moves nothing (RFC 8489 §9.1.3, RFC 8445 §7.3)."""
        name = request.attribute(USERNAME)
        if not request.is_signed or name is None:
            return self._refusal(request, 400, "Bad Request")
        is_ours = name.partition(b":")[0] == self.terms.ufrag.encode()
        if not is_ours or not has_integrity(data, self.terms.password.encode()):
            return self._refusal(request, 401, "Unauthenticated")
        strange = [key for key, _ in request.attributes if key < _OPTIONAL and key not in _UNDERSTOOD]
        if strange:
            listed = (UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(strange)}H", *strange))
            return self._refusal(request, 420, "Unknown Attribute", listed, is_trusted=True)
        if request.attribute(ICE_CONTROLLED) is not None:
            # A lite end never decides (§6.1.1): whoever thinks it does must change its mind.
            return self._refusal(request, 487, "Role Conflict", is_trusted=True)
        return None

    def _refusal(
        self, request: StunMessage, code: int, reason: str, *more: tuple[int, bytes], is_trusted: bool = False
    ) -> bytes:
        self.counters[f"refused with {code}"] += 1
        attributes = ((ERROR_CODE, error_code(code, reason)), *more)
        refusal = StunMessage(BINDING_ERROR, request.transaction, attributes)
        # Without the right credentials nothing is signed (RFC 8489 §9.1.3).
        return refusal.signed(self.terms.password.encode()) if is_trusted else bytes(refusal)
