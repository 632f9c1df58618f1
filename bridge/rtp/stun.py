"""STUN messages as values and as bytes (RFC 8489), as far as checks of connectivity need them (RFC 8445)."""

import hashlib
import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass

from bridge.errors import RemoteProtocolError

__all__ = [
    "BINDING_ERROR",
    "BINDING_REQUEST",
    "BINDING_SUCCESS",
    "ERROR_CODE",
    "ICE_CONTROLLED",
    "ICE_CONTROLLING",
    "MESSAGE_INTEGRITY",
    "PRIORITY",
    "UNKNOWN_ATTRIBUTES",
    "USERNAME",
    "USE_CANDIDATE",
    "XOR_MAPPED_ADDRESS",
    "StunMessage",
    "error_code",
    "has_integrity",
    "is_stun",
    "xor_address",
]

BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0101, 0x0111
USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES = 0x0006, 0x0008, 0x0009, 0x000A
XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE = 0x0020, 0x0024, 0x0025
FINGERPRINT, ICE_CONTROLLED, ICE_CONTROLLING = 0x8028, 0x8029, 0x802A

_COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_INTEGRITY_BYTES, _FINGERPRINT_BYTES = 4 + 20, 4 + 4
_FINGERPRINT_XOR = 0x5354554E
_MOST_ATTRIBUTES = 64
"""More than any honest message has; each costs time on the call loop."""


@dataclass(frozen=True, slots=True)
class StunMessage:
    """One message."""

    kind: int
    """Method and class, such as `BINDING_REQUEST` (§5)."""
    transaction: bytes
    """96 bits; an answer repeats those of its request."""
    attributes: tuple[tuple[int, bytes], ...] = ()
    """Types and values in their order, up to the integrity, which covers no further ones (§14.5)."""
    is_signed: bool = False
    """It has a MESSAGE-INTEGRITY; whether that is right says `has_integrity`."""

    @classmethod
    def parse(cls, data: bytes) -> "StunMessage":
        """Read one datagram.

        Raises:
            RemoteProtocolError: If it is malformed, or its fingerprint is wrong.
        """
        if len(data) < _HEADER.size:
            raise RemoteProtocolError(f"a STUN message of {len(data)} bytes", rule="RFC 8489 §5")
        kind, length, cookie, transaction = _HEADER.unpack_from(data)
        if kind >> 14 or cookie != _COOKIE or length % 4 or length != len(data) - _HEADER.size:
            raise RemoteProtocolError("no header of a STUN message", rule="RFC 8489 §5")
        found: list[tuple[int, bytes]] = []
        is_signed = False
        for name, at, size in _positions(data):
            if name == FINGERPRINT:
                if size != 4 or at + 4 != len(data) or data[at:] != _fingerprint(data[: at - 4]):
                    raise RemoteProtocolError("a STUN fingerprint is wrong", rule="RFC 8489 §14.7")
            elif name == MESSAGE_INTEGRITY:
                is_signed = True
            elif not is_signed:
                found.append((name, data[at : at + size]))
        return cls(kind, transaction, tuple(found), is_signed)

    def attribute(self, name: int) -> bytes | None:
        """Value of the first attribute of that type (§14)."""
        return next((value for key, value in self.attributes if key == name), None)

    def signed(self, key: bytes) -> bytes:
        """As bytes, with integrity under this key and a fingerprint."""
        body = self._body()
        body += _ATTRIBUTE.pack(MESSAGE_INTEGRITY, 20) + _integrity(
            self._header(len(body) + _INTEGRITY_BYTES) + body, key
        )
        return self._finished(body)

    def __bytes__(self) -> bytes:
        """Without integrity, with a fingerprint."""
        return self._finished(self._body())

    def _finished(self, body: bytes) -> bytes:
        data = self._header(len(body) + _FINGERPRINT_BYTES) + body
        return data + _ATTRIBUTE.pack(FINGERPRINT, 4) + _fingerprint(data)

    def _header(self, length: int) -> bytes:
        return _HEADER.pack(self.kind, length, _COOKIE, self.transaction)

    def _body(self) -> bytes:
        return b"".join(
            _ATTRIBUTE.pack(name, len(value)) + value + bytes(-len(value) % 4)
            for name, value in self.attributes
        )


def is_stun(data: bytes) -> bool:
    """Whether a datagram beside RTP is STUN, by its first byte (RFC 7983 §7)."""
    return len(data) > 0 and data[0] < 4


def has_integrity(data: bytes, key: bytes) -> bool:
    """Whether a message that could be parsed is signed with this key (§14.5)."""
    at = next(
        at for name, at, _ in [*_positions(data), (MESSAGE_INTEGRITY, 0, 0)] if name == MESSAGE_INTEGRITY
    )
    if not at:
        return False
    # The length that was hashed is that of a message which ends with the integrity.
    covered = data[:2] + struct.pack("!H", at + 20 - _HEADER.size) + data[4 : at - 4]
    return hmac.compare_digest(data[at : at + 20], _integrity(covered, key))


def xor_address(address: tuple[str, int], transaction: bytes) -> bytes:
    """Value of an XOR-MAPPED-ADDRESS (§14.2), of IPv4 or IPv6."""
    place = ipaddress.ip_address(address[0])
    mask = struct.pack("!I", _COOKIE) + transaction
    family = 1 if place.version == 4 else 2
    masked = bytes(one ^ other for one, other in zip(place.packed, mask, strict=False))
    return struct.pack("!xBH", family, address[1] ^ _COOKIE >> 16) + masked


def error_code(code: int, reason: str) -> bytes:
    """Value of an ERROR-CODE, 300 to 699 (§14.8)."""
    return struct.pack("!xxBB", code // 100, code % 100) + reason.encode()


def _positions(data: bytes) -> list[tuple[int, int, int]]:
    """Type of each attribute, where its value begins, and how long that is."""
    positions: list[tuple[int, int, int]] = []
    at = _HEADER.size
    while at < len(data):
        name, size = _ATTRIBUTE.unpack_from(data, at)
        at += _ATTRIBUTE.size
        if at + size > len(data) or len(positions) >= _MOST_ATTRIBUTES:
            raise RemoteProtocolError("a STUN attribute runs over the end", rule="RFC 8489 §14")
        if name == MESSAGE_INTEGRITY and size != 20:
            raise RemoteProtocolError(f"an integrity of {size} bytes", rule="RFC 8489 §14.5")
        positions.append((name, at, size))
        at += size + -size % 4
    return positions


def _integrity(covered: bytes, key: bytes) -> bytes:
    return hmac.new(key, covered, hashlib.sha1).digest()


def _fingerprint(covered: bytes) -> bytes:
    return struct.pack("!I", zlib.crc32(covered) ^ _FINGERPRINT_XOR)
