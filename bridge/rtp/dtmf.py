"""Telephone events: keys pressed during a call (RFC 4733)."""

import struct
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from bridge.errors import RemoteProtocolError
from bridge.rtp.sequence import TIMESTAMP_TURN, is_newer, step

__all__ = [
    "DIGITS",
    "MAX_SEGMENT_TICKS",
    "DtmfReceiver",
    "DtmfState",
    "EventPacket",
    "KeyDown",
    "KeyUp",
    "build_event",
    "event_payloads",
    "parse_event",
]

DIGITS = "0123456789*#ABCD"
"""Event codes 0 to 15 in order (RFC 4733 §3.2, table 3)."""

MAX_SEGMENT_TICKS = 0xFFFF
"""Longest duration that one timestamp can carry; what lasts longer goes on in the next segment (§2.5.1.3)."""

_PAYLOAD = struct.Struct(">BBH")
_MS = 1_000_000
_REMEMBERED = 16
"""Timestamps of past events that are known again."""
_OVERTAKEN_S = 2
"""A packet of a key that was pressed longer ago is no key that was overtaken, but a stray."""


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
class KeyDown:
    digit: str


@dataclass(frozen=True, slots=True)
class KeyUp:
    """A key was released; without a `KeyDown` before it, a whole press that the next key overtook."""

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
    """One source's events: however often an update or an end is repeated or lost, one key is one press.

    Args:
        silence_ms: A key whose updates stop for this long was released and its ends were lost (§2.5.2.2).
        clock_rate: Ticks of the RTP timestamp per second, in Hz.
    """

    def __init__(self, *, silence_ms: int = 150, clock_rate: int = 8000) -> None:
        self.state: DtmfState = DtmfState.IDLE
        self._silence_ns = silence_ms * _MS
        self._overtaken_ticks = _OVERTAKEN_S * clock_rate
        self._seen: deque[int] = deque(maxlen=_REMEMBERED)
        self._event = 0
        self._ticks = 0
        self._earlier_ticks = 0
        self._is_ended = False
        self._deadline_ns = 0
        self._steps: list[KeyDown | KeyUp] = []

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while no key is pressed."""
        return self._deadline_ns if self.state is DtmfState.PRESSED else None

    def receive(self, item: EventPacket, *, timestamp: int, now_ns: int) -> bool:
        """Take one packet; false if it is about no key, or about one that was pressed for no time at all.

        Args:
            item: The parsed payload. Events that are no keys (fax tones, flash) are ignored.
            timestamp: RTP timestamp of the packet: what tells one event from the next.
            now_ns: Arrival time.
        """
        if item.event >= len(DIGITS) or (item.end and not item.duration_ticks):
            return False
        if not self._seen or is_newer(timestamp, self._seen[-1], TIMESTAMP_TURN):
            if self._goes_on(item, timestamp):
                self._earlier_ticks += step(self._seen[-1], timestamp, TIMESTAMP_TURN)
            else:
                self._release()
                self._press(item)
            self._ticks = 0
            self._seen.append(timestamp)
        elif timestamp != self._seen[-1]:
            self._take_older(item, timestamp)
            return True
        if self.state is DtmfState.PRESSED:
            self._ticks = max(self._ticks, item.duration_ticks)
            self._deadline_ns = now_ns + self._silence_ns
            if item.end:
                self._is_ended = True
                self._release()
        return True

    def handle_timeout(self, *, now_ns: int) -> None:
        """Release a key that has fallen silent; harmless when early."""
        if self.deadline_ns is not None and now_ns >= self.deadline_ns:
            self._release()

    def restart(self) -> None:
        """Another source sends from now on, with timestamps from elsewhere and no key down."""
        self._release()
        self._seen.clear()

    def drain(self) -> list[KeyDown | KeyUp]:
        """What keys did since the last call, in order."""
        steps, self._steps = self._steps, []
        return steps

    def _goes_on(self, item: EventPacket, timestamp: int) -> bool:
        """Whether a new timestamp begins the next segment of the key that is down (§2.5.1.3)."""
        if not self._seen or self._is_ended or item.event != self._event:
            return False
        # It begins where the last one ended, of which the last word may be lost.
        return step(self._seen[-1], timestamp, TIMESTAMP_TURN) in (self._ticks, MAX_SEGMENT_TICKS)

    def _take_older(self, item: EventPacket, timestamp: int) -> None:
        """A packet of a key from before the present one: known, or overtaken as a whole."""
        age = step(timestamp, self._seen[-1], TIMESTAMP_TURN)
        if timestamp not in self._seen and age <= self._overtaken_ticks:
            if len(self._seen) == _REMEMBERED:
                self._seen.popleft()
            self._seen.insert(len(self._seen) - 1, timestamp)
            self._steps.append(KeyUp(DIGITS[item.event], item.duration_ticks))

    def _press(self, item: EventPacket) -> None:
        self.state = DtmfState.PRESSED
        self._event, self._earlier_ticks, self._is_ended = item.event, 0, False
        self._steps.append(KeyDown(DIGITS[item.event]))

    def _release(self) -> None:
        if self.state is DtmfState.PRESSED:
            self._steps.append(KeyUp(DIGITS[self._event], self._earlier_ticks + self._ticks))
            self.state = DtmfState.IDLE
