"""What a phone sent and received, packet by packet, with the instants that count."""

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["IDLE_CODES", "ReceivedPacket", "SentPacket", "Tape", "is_silent", "read_packet"]

IDLE_CODES: dict[int, bytes] = {0: b"\xff\x7f", 8: b"\xd5\x55"}
"""Both codes of a zero sample, by payload type (RFC 3551 table 4): G.711 has two zeros."""

_FIXED_HEADER = struct.Struct("!BBHII")
_PACKETS_MAX = 250_000
"""Over an hour of one call; what comes later is counted, not kept."""


@dataclass(frozen=True, slots=True)
class ReceivedPacket:
    arrival_ns: int
    """When the kernel took it in, on the monotonic clock."""
    sequence: int
    timestamp: int
    payload_type: int
    marker: bool
    ssrc: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class SentPacket:
    due_ns: int
    """The instant its last sample had been spoken."""
    sent_ns: int
    """When the kernel was asked to send it."""
    sequence: int
    timestamp: int
    payload_type: int
    payload: bytes


def is_silent(payload: bytes, payload_type: int) -> bool:
    """Tell whether every sample is an encoded zero; anything else may be heard."""
    return not payload.strip(IDLE_CODES[payload_type])


def read_packet(data: bytes, *, arrival_ns: int) -> ReceivedPacket | None:
    """Take one datagram apart (RFC 3550 §5.1); None when it is not RTP version 2.

    A phone of our own, so that the bridge's parser is not measured with itself.
    """
    if len(data) < _FIXED_HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED_HEADER.unpack_from(data)
    begin = _FIXED_HEADER.size + 4 * (first & 0x0F)
    end = len(data)
    if first >> 6 != 2 or begin > end:
        return None
    if first & 0x10:
        if begin + 4 > end:
            return None
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    if first & 0x20:
        end -= data[-1]
    if begin > end:
        return None
    return ReceivedPacket(
        arrival_ns=arrival_ns,
        sequence=sequence,
        timestamp=timestamp,
        payload_type=second & 0x7F,
        marker=bool(second & 0x80),
        ssrc=ssrc,
        payload=data[begin:end],
    )


class Tape:
    """Both directions of one call; written by the phone's thread, read by anyone.

    Args:
        packets_max: Packets kept for each direction; the rest is only counted.
    """

    def __init__(self, *, packets_max: int = _PACKETS_MAX) -> None:
        self.overflow: int = 0
        """Packets of either direction that found the tape full."""
        self.malformed: int = 0
        """Datagrams that were not RTP."""
        self.strangers: int = 0
        """Datagrams from elsewhere than the address in the answer."""
        self._packets_max = packets_max
        self._received: list[ReceivedPacket] = []
        self._sent: list[SentPacket] = []
        self._lock = threading.Lock()

    def add_received(self, packet: ReceivedPacket) -> None:
        with self._lock:
            if len(self._received) < self._packets_max:
                self._received.append(packet)
            else:
                self.overflow += 1

    def add_sent(self, packet: SentPacket) -> None:
        with self._lock:
            if len(self._sent) < self._packets_max:
                self._sent.append(packet)
            else:
                self.overflow += 1

    @property
    def received(self) -> Sequence[ReceivedPacket]:
        """A copy, in order of arrival."""
        with self._lock:
            return tuple(self._received)

    @property
    def sent(self) -> Sequence[SentPacket]:
        """A copy, in order of sending."""
        with self._lock:
            return tuple(self._sent)

    def latest(self, count: int) -> Sequence[ReceivedPacket]:
        """The last `count` packets received, for whoever waits on what comes in."""
        with self._lock:
            return tuple(self._received[-count:])
