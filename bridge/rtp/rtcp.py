"""RTCP: sender and receiver reports, source descriptions, goodbyes, and compounds of them (RFC 3550 §6).

Packets of other types are skipped, for more of them are invented every year; lengths that lie are refused.
What is no compound, because it has no report, is read all the same: phones keep a NAT open with a lone APP
packet, and RFC 5506 allows lone feedback.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.errors import RemoteProtocolError

__all__ = [
    "CNAME",
    "MAX_BLOCKS",
    "Goodbye",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "build",
    "middle_of",
    "ntp_of",
    "parse",
]

CNAME = 1
"""SDES item that ties a source's streams together (§6.5.1); the only one that is mandatory."""
MAX_BLOCKS = 31
"""Report blocks, chunks or sources that the count of one packet can tell."""

_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION, _GOODBYE = 200, 201, 202, 203
_HEADER = struct.Struct(">BBH")
_WORD = struct.Struct(">I")
_SENDER = struct.Struct(">IQIII")
_BLOCK = struct.Struct(">IIIIII")
_NS = 1_000_000_000
_NTP_EPOCH_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970 (RFC 5905, figure 4)."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source is received (§6.4.1)."""

    ssrc: int
    """The source that is spoken of."""
    fraction_lost: int
    """Of the packets since the last report, in 1/256."""
    cumulative_lost: int
    """Since the beginning; negative when duplicates outweigh what was lost. 24 bits."""
    highest_sequence: int
    """Sequence number extended by its cycles: 32 bits."""
    jitter_ticks: int
    last_sr: int
    """Middle 32 bits of the NTP time of the last sender report received; 0 = none yet."""
    delay_since_last_sr: int
    """Time since then, in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """Of a source that sends (§6.4.1)."""

    ssrc: int
    ntp: int
    """Wall time of this report as 64-bit NTP time: seconds since 1900 and their fraction."""
    rtp_timestamp: int
    """The same instant on the clock of the stream."""
    packets: int
    octets: int
    """Of payload."""
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """Of a source that only listens (§6.4.2)."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Who a source is (§6.5); a packet of several chunks is read as several of these."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...]
    """Type and text, e.g. ``(CNAME, b"…")``; text up to 255 bytes of UTF-8."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """These sources are gone (§6.6)."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""
    """At most 255 bytes of UTF-8."""


RtcpPacket: TypeAlias = SenderReport | ReceiverReport | SourceDescription | Goodbye


def ntp_of(unix_ns: int) -> int:
    """64-bit NTP time of an instant in nanoseconds since 1970 (§4)."""
    seconds, rest_ns = divmod(unix_ns, _NS)
    return (seconds + _NTP_EPOCH_S & 0xFFFF_FFFF) << 32 | (rest_ns << 32) // _NS


def middle_of(ntp: int) -> int:
    """Middle 32 bits of an NTP time, in 1/65536 s: what reports send back to measure round trips."""
    return ntp >> 16 & 0xFFFF_FFFF


def parse(data: bytes) -> list[RtcpPacket]:
    """Read one datagram; only what this module knows is returned, in its order (§6.1, §A.2).

    Raises:
        RemoteProtocolError: If it is no RTCP of version 2, or a length in it lies.
    """
    found: list[RtcpPacket] = []
    at, size = 0, len(data)
    if not size:
        raise RemoteProtocolError("an empty datagram is no RTCP", rule="RFC 3550 §6.1")
    while at < size:
        if at + _HEADER.size > size:
            raise RemoteProtocolError(f"{size - at} bytes are no RTCP header", rule="RFC 3550 §6.4.1")
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2:
            raise RemoteProtocolError(f"RTCP version {first >> 6} is not 2", rule="RFC 3550 §6.4.1")
        if end > size:
            raise RemoteProtocolError(
                f"an RTCP packet of {end - at} bytes, {size - at} are left", rule="RFC 3550 §A.2"
            )
        content_end = end
        if first & 0x20:
            if end < size:
                raise RemoteProtocolError("padding before the last packet", rule="RFC 3550 §6.4.1")
            content_end -= _padding(data[end - 1], end - at - _HEADER.size)
        _read(kind, first & 0x1F, data[at + _HEADER.size : content_end], found)
        at = end
    return found


def build(packets: Iterable[RtcpPacket]) -> bytes:
    """Serialise a compound packet; what its order must be is the caller's to know (§6.1).

    Raises:
        ValueError: If a field does not fit its bits, or there are more entries than a packet can count.
    """
    try:
        return b"".join(_written(packet) for packet in packets)
    except struct.error as error:
        raise ValueError(f"a field does not fit its bits: {error}") from None


def _padding(count: int, room: int) -> int:
    # §6.4.1: the last octet counts itself, and all of it is whole words.
    if count == 0 or count % 4 or count > room:
        raise RemoteProtocolError(f"padding of {count} bytes in {room}", rule="RFC 3550 §6.4.1")
    return count


def _read(kind: int, count: int, body: bytes, found: list[RtcpPacket]) -> None:
    match kind:
        case 200:
            if len(body) < _SENDER.size:
                raise RemoteProtocolError(f"a sender report of {len(body)} bytes", rule="RFC 3550 §6.4.1")
            ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
            blocks = _blocks(body, _SENDER.size, count)
            found.append(SenderReport(ssrc, ntp, timestamp, packets, octets, blocks))
        case 201:
            found.append(ReceiverReport(_word(body, 0), _blocks(body, _WORD.size, count)))
        case 202:
            _read_chunks(count, body, found)
        case 203:
            found.append(_goodbye(count, body))
        case _:
            pass  # APP, feedback (RFC 4585), extended reports (RFC 3611): nothing that we asked for.


def _word(body: bytes, at: int) -> int:
    if at + _WORD.size > len(body):
        raise RemoteProtocolError(f"a source is missing in {len(body)} bytes", rule="RFC 3550 §6")
    return int(_WORD.unpack_from(body, at)[0])


def _blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    if at + count * _BLOCK.size > len(body):
        raise RemoteProtocolError(f"{count} report blocks in {len(body)} bytes", rule="RFC 3550 §6.4.1")
    # What follows them is a profile's own (§6.4.3).
    return tuple(_block(body, at + number * _BLOCK.size) for number in range(count))


def _block(body: bytes, at: int) -> ReportBlock:
    ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, at)
    lost = loss & 0xFF_FFFF
    return ReportBlock(ssrc, loss >> 24, lost - ((lost & 0x80_0000) << 1), highest, jitter, last_sr, delay)


def _read_chunks(count: int, body: bytes, found: list[RtcpPacket]) -> None:
    at = 0
    for _ in range(count):
        ssrc = _word(body, at)
        at += _WORD.size
        items: list[tuple[int, bytes]] = []
        while True:
            if at >= len(body):
                raise RemoteProtocolError("a description without its end", rule="RFC 3550 §6.5")
            if body[at] == 0:
                break
            # A length octet that is missing reads as one that runs over the end.
            end = at + 2 + (body[at + 1] if at + 1 < len(body) else 0)
            if end > len(body):
                raise RemoteProtocolError("a description runs over the end", rule="RFC 3550 §6.5")
            items.append((body[at], body[at + 2 : end]))
            at = end
        # At least one null octet, up to the next word.
        at += 4 - at % 4
        found.append(SourceDescription(ssrc, tuple(items)))


def _goodbye(count: int, body: bytes) -> Goodbye:
    ssrcs = tuple(_word(body, 4 * number) for number in range(count))
    at = 4 * count
    reason = b""
    if at < len(body):
        reason = body[at + 1 : at + 1 + body[at]]
        if len(reason) < body[at]:
            raise RemoteProtocolError("the reason runs over the end", rule="RFC 3550 §6.6")
    return Goodbye(ssrcs, reason)


def _written(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            head = _SENDER.pack(packet.ssrc, packet.ntp, packet.rtp_timestamp, packet.packets, packet.octets)
            return _framed(_SENDER_REPORT, len(packet.blocks), head + _written_blocks(packet.blocks))
        case ReceiverReport():
            head = _WORD.pack(packet.ssrc)
            return _framed(_RECEIVER_REPORT, len(packet.blocks), head + _written_blocks(packet.blocks))
        case SourceDescription():
            items = b"".join(struct.pack("BB", kind, len(text)) + text for kind, text in packet.items)
            chunk = _WORD.pack(packet.ssrc) + items
            return _framed(_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))
    # What is left is a goodbye.
    body = b"".join(_WORD.pack(ssrc) for ssrc in packet.ssrcs)
    if packet.reason:
        reason = struct.pack("B", len(packet.reason)) + packet.reason
        body += reason + bytes(-len(reason) % 4)
    return _framed(_GOODBYE, len(packet.ssrcs), body)


def _written_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(map(_written_block, blocks))


def _written_block(block: ReportBlock) -> bytes:
    # A loss beyond 24 bits stays at the border: it must not turn into its opposite (§A.3).
    lost = min(max(block.cumulative_lost, -0x80_0000), 0x7F_FFFF) & 0xFF_FFFF
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest_sequence,
        block.jitter_ticks,
        block.last_sr,
        block.delay_since_last_sr,
    )


def _framed(kind: int, count: int, body: bytes) -> bytes:
    if count > MAX_BLOCKS:
        raise ValueError(f"{count} entries, at most {MAX_BLOCKS} fit one packet")
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
