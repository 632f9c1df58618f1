"""Telephone events: keys pressed during a call (RFC 4733)."""

import struct
from dataclasses import dataclass
from enum import Enum, auto

from bridge.errors import RemoteProtocolError
from bridge.rtp.sequence import TIMESTAMP_TURN, is_newer

__all__ = [
    "DIGITS",
    "Digit",
    "DtmfReceiver",
    "DtmfState",
    "EventPacket",
    "build_event",
    "event_payloads",
    "parse_event",
]

DIGITS = "0123456789*#ABCD"
"""Event codes 0 to 15 in order (RFC 4733 §3.2, table 3)."""

_PAYLOAD = struct.Struct(">BBH")
_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class EventPacket:
    """Payload of one telephone-event packet (§2.3)."""

    event: int
    """Code; below 16 it is an index into `DIGITS`."""
    end: bool
    duration_ticks: int
    """Since the event's timestamp, in ticks."""
    volume: int = 10
    """Power level as dBm0 with the sign dropped: 0 is loudest, 63 faintest."""


@dataclass(frozen=True, slots=True)
class Digit:
    """One key, pressed and released."""

    digit: str
    duration_ticks: int


def parse_event(payload: bytes) -> EventPacket:
    """Read a payload; anything after the first four bytes is a further event and ignored.

    Raises:
        RemoteProtocolError: If it is too short.
    """
    if len(payload) < _PAYLOAD.size:
        raise RemoteProtocolError(f"{len(payload)} bytes are no telephone-event", rule="RFC 4733 §2.3")
    event, flags, duration = _PAYLOAD.unpack_from(payload)
    return EventPacket(event=event, end=bool(flags & 0x80), duration_ticks=duration, volume=flags & 0x3F)


def build_event(packet: EventPacket) -> bytes:
    """Serialise one payload."""
    return _PAYLOAD.pack(packet.event, packet.end << 7 | packet.volume, packet.duration_ticks)


def event_payloads(
    digit: str, *, duration_ms: int, packet_ms: int = 20, clock_rate: int = 8000
) -> list[bytes]:
    """Payloads of one key, one every `packet_ms`, under one timestamp; the end comes three times (§2.5.1.4).

    Raises:
        ValueError: If `digit` is no key or the event is too long for one timestamp.
    """
    if len(digit) != 1 or digit not in DIGITS:
        raise ValueError(f"{digit!r} is no key")
    event, ticks = DIGITS.index(digit), duration_ms * clock_rate // 1000
    if not 0 < ticks < 1 << 16:
        raise ValueError(f"an event of {duration_ms} ms does not fit one timestamp")
    packet_ticks = packet_ms * clock_rate // 1000
    running = [EventPacket(event, False, at) for at in range(packet_ticks, ticks, packet_ticks)]
    return [build_event(packet) for packet in running + [EventPacket(event, True, ticks)] * 3]


class DtmfState(Enum):
    IDLE = auto()
    PRESSED = auto()


class DtmfReceiver:
    """One source's events: however often an update or an end is repeated or lost, one key is one digit.

    Args:
        silence_ms: A key whose updates stop for this long was released and its ends were lost (§2.5.2.2).
    """

    def __init__(self, *, silence_ms: int = 150) -> None:
        self.state: DtmfState = DtmfState.IDLE
        self._silence_ns = silence_ms * _MS
        self._timestamp: int | None = None
        self._event = 0
        self._ticks = 0
        self._deadline_ns = 0
        self._digits: list[Digit] = []

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while no key is pressed."""
        return self._deadline_ns if self.state is DtmfState.PRESSED else None

    def receive(self, item: EventPacket, *, timestamp: int, now_ns: int) -> bool:
        """Take one packet; true if a key was pressed that was not pressed before.

        Args:
            item: The parsed payload. Events that are no keys (fax tones, flash) are ignored.
            timestamp: RTP timestamp of the packet: what tells one event from the next.
            now_ns: Arrival time.
        """
        if item.event >= len(DIGITS):
            return False
        known = self._timestamp
        if known is not None and timestamp != known and not is_newer(timestamp, known, TIMESTAMP_TURN):
            return False  # An older event, overtaken.
        is_new = timestamp != known
        if is_new:
            self._release()
            self.state = DtmfState.PRESSED
            self._timestamp, self._event, self._ticks = timestamp, item.event, 0
        elif self.state is DtmfState.IDLE:
            return False  # A repeated end.
        self._ticks = max(self._ticks, item.duration_ticks)
        self._deadline_ns = now_ns + self._silence_ns
        if item.end:
            self._release()
        return is_new

    def handle_timeout(self, *, now_ns: int) -> None:
        """Release a key that has fallen silent; harmless when early."""
        if self.deadline_ns is not None and now_ns >= self.deadline_ns:
            self._release()

    def restart(self) -> None:
        """Another source sends from now on, with timestamps from elsewhere and no key down."""
        self._release()
        self._timestamp = None

    def drain(self) -> list[Digit]:
        """Keys released since the last call."""
        digits, self._digits = self._digits, []
        return digits

    def _release(self) -> None:
        if self.state is DtmfState.PRESSED:
            self._digits.append(Digit(DIGITS[self._event], self._ticks))
            self.state = DtmfState.IDLE
