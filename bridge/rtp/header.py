"""One RTP packet at a time: parse and build (RFC 3550 §5.1, §5.3.1). The plane does the same for batches."""

import struct
from dataclasses import dataclass

from bridge.errors import RemoteProtocolError

__all__ = ["RtpPacket", "build", "parse"]

_FIXED = struct.Struct(">BBHII")
_EXTENSION = struct.Struct(">HH")


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """Header and payload; CSRCs, extension and padding are understood and dropped."""

    payload_type: int
    sequence: int
    """Modulo 2**16."""
    timestamp: int
    """In ticks of the payload's clock, modulo 2**32."""
    ssrc: int
    payload: bytes
    marker: bool = False
    """For audio: the first packet after a silence (RFC 3551 §4.1)."""


def parse(data: bytes) -> RtpPacket:
    """Read one datagram.

    Raises:
        RemoteProtocolError: If it is no RTP of version 2 or its lengths lie.
    """
    if len(data) < _FIXED.size:
        raise RemoteProtocolError(f"{len(data)} bytes are no RTP header", rule="RFC 3550 §5.1")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    if first >> 6 != 2:
        raise RemoteProtocolError(f"RTP version {first >> 6} is not 2", rule="RFC 3550 §5.1")
    begin, end = _FIXED.size + 4 * (first & 0x0F), len(data)
    if first & 0x10:
        if begin + _EXTENSION.size > end:
            raise RemoteProtocolError("the header extension is cut off", rule="RFC 3550 §5.3.1")
        _profile, words = _EXTENSION.unpack_from(data, begin)
        begin += _EXTENSION.size + 4 * words
    if first & 0x20:
        padding = data[-1]
        if padding == 0:
            raise RemoteProtocolError("padding of 0 bytes cannot hold its own length", rule="RFC 3550 §5.1")
        end -= padding
    if begin > end:
        raise RemoteProtocolError(f"the header takes {begin} of {end} bytes", rule="RFC 3550 §5.1")
    return RtpPacket(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=data[begin:end],
        marker=bool(second & 0x80),
    )


def build(packet: RtpPacket) -> bytes:
    """Serialise with the fixed header only.

    Raises:
        ValueError: If a field does not fit.
    """
    if not 0 <= packet.payload_type < 128:
        raise ValueError(f"payload type {packet.payload_type} does not fit 7 bits")
    second = packet.marker << 7 | packet.payload_type
    try:
        head = _FIXED.pack(0x80, second, packet.sequence, packet.timestamp, packet.ssrc)
    except struct.error as error:
        raise ValueError(f"a field does not fit its bits: {error}") from None
    return head + packet.payload
