"""Keys that we press, of every row: events in the row's own stream, or tones where no events were agreed.

A key keeps its timestamp while sequence numbers run on (RFC 4733 §2.5.1). Its end is said three times, one
packet apart, so that the pause after it begins with two of them. Speech waits meanwhile, its position held:
it goes on from the same sample after the last key.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.events import KeysSent, PlaneEvent
from bridge.plane.masks import somewhere
from bridge.plane.rows import Rows
from bridge.plane.tones import HIGH_HZ, LOW_HZ, PAD, ZERO_DBM0_PEAK
from bridge.rtp.dtmf import DIGITS, MAX_SEGMENT_TICKS

__all__ = ["MOST_KEYS", "EventPacket", "Keypad", "Strokes"]

MOST_KEYS = 64
"""Keys of one row that may wait to be pressed."""

_ENDS = 3
"""How often the end of an event or of a segment is said (§2.5.1.4)."""
_VOLUME = 7
"""Loudness told with events, in -dBm0: that of the louder of our tones."""
_LOW_DBM0, _HIGH_DBM0 = -9.0, -7.0
"""Levels of the two tones: lines are worse at the high one."""
_RAMP_MS = 3
"""From silence to full level and back, so that no key clicks."""
_SLOT_MS = 20
_MARKER = 0x80
_END = 0x80

_LOW_HZ = np.array([LOW_HZ[PAD.index(key) // 4] for key in DIGITS])
_HIGH_HZ = np.array([HIGH_HZ[PAD.index(key) % 4] for key in DIGITS])
_LOW_PEAK = ZERO_DBM0_PEAK * 10 ** (_LOW_DBM0 / 20)
_HIGH_PEAK = ZERO_DBM0_PEAK * 10 ** (_HIGH_DBM0 / 20)


EventPacket: TypeAlias = tuple[int, int, bytes]
"""Second byte of its header, timestamp, payload."""


@dataclass(slots=True)
class _Request:
    ticket: int
    digits: str
    duration_ms: int
    pause_ms: int
    pressed: int = 0


class Strokes:
    """What the keypad sends in one tick; masks and batches over the rows of that tick."""

    __slots__ = ("events", "payloads", "pcm", "seconds", "sounds", "timestamps", "where")

    def __init__(self, count: int) -> None:
        self.where: NDArray[np.bool_] = np.zeros(count, np.bool_)
        """Rows that send no speech: a key, or the pause after one."""
        self.sounds: NDArray[np.intp] = np.zeros(0, np.intp)
        """Positions of the rows whose key is a tone."""
        self.pcm: NDArray[np.int16] = np.zeros((0, 0), np.int16)
        """Their frames."""
        self.events: NDArray[np.intp] = np.zeros(0, np.intp)
        """Positions of the rows that send a telephone-event packet."""
        self.seconds: NDArray[np.uint8] = np.zeros(0, np.uint8)
        """Second byte of its header, marker and payload type, of each of them."""
        self.timestamps: NDArray[np.int64] = np.zeros(0, np.int64)
        self.payloads: NDArray[np.uint8] = np.zeros((0, 4), np.uint8)

    def only(self, mask: NDArray[np.bool_]) -> "Strokes":
        """The same with those event packets where `mask`, over `events`, is set."""
        some = Strokes(0)
        some.where, some.sounds, some.pcm = self.where, self.sounds, self.pcm
        some.events, some.seconds = self.events[mask], self.seconds[mask]
        some.timestamps, some.payloads = self.timestamps[mask], self.payloads[mask]
        return some

    def by_position(self) -> dict[int, EventPacket]:
        """Event packets by the position of their row."""
        lines = zip(
            self.events.tolist(), self.seconds.tolist(), self.timestamps.tolist(), self.payloads, strict=True
        )
        return {at: (second, timestamp, payload.tobytes()) for at, second, timestamp, payload in lines}


class Keypad:
    """Keys to be pressed, and the one that is down, of every row.

    Args:
        columns: Shared columns.
        events: Where to append what happened.
    """

    def __init__(self, columns: Columns, events: list[PlaneEvent]) -> None:
        n = columns.capacity
        self._columns = columns
        self._events = events
        self._waiting: dict[int, deque[_Request]] = {}
        self._present = _Present(n)
        self._frame = np.arange(columns.shape.frame)
        turn = 2 * np.pi / columns.shape.rate_hz
        self._low_rad, self._high_rad = turn * _LOW_HZ, turn * _HIGH_HZ
        self._ramp_samples = _RAMP_MS * columns.shape.rate_hz // 1000
        self.active: NDArray[np.bool_] = np.zeros(n, np.bool_)
        """Rows that have keys to press, or are at it."""

    def press(
        self, row: int, digits: str, *, ticket: int, duration_ms: int, pause_ms: int, now_ns: int
    ) -> None:
        """Press these keys after those that wait; a request that finds no room is refused as a whole."""
        waiting = self._waiting.setdefault(row, deque())
        request = _Request(ticket, digits, duration_ms, pause_ms)
        if len(digits) + sum(len(other.digits) - other.pressed for other in waiting) > MOST_KEYS:
            self._tell(row, request, now_ns)
            return
        waiting.append(request)
        self.active[row] = True

    def release(self, row: int) -> None:
        """Press no more; the key that is down comes up."""
        for request in self._waiting.get(row, ()):
            request.digits = request.digits[: request.pressed]
        self._present.cut(row)

    def close(self, row: int) -> None:
        """Forget what was to be pressed."""
        self._waiting.pop(row, None)
        self._present.forget(row)
        self.active[row] = False

    def step(
        self, rows: NDArray[np.intp], sends: NDArray[np.bool_], agreed: Rows, *, now_ns: int
    ) -> Strokes | None:
        """Press on in the slot of each of these distinct rows; None where nobody presses anything.

        A row that may not send now keeps its keys until it may.
        """
        busy = self.active[rows] & sends
        if not somewhere(busy):
            return None
        strokes, present = Strokes(len(rows)), self._present
        at = rows[busy]
        for row in at[present.is_over(at, agreed.timestamp[at])].tolist():
            self._next(row, int(agreed.timestamp[row]), int(agreed.slot_ticks[row]), now_ns)
        strokes.where = self.active[rows] & sends
        at = rows[strokes.where]
        self._columns.silence_keys[at] += np.uint64(1)
        positions = strokes.where.nonzero()[0]
        as_events = agreed.dtmf_events[at] >> present.key[at] & 1 != 0
        if somewhere(as_events):
            self._say(strokes, positions[as_events], at[as_events], agreed)
        if somewhere(~as_events):
            self._sound(strokes, positions[~as_events], at[~as_events], agreed)
        return strokes

    def _say(
        self, strokes: Strokes, positions: NDArray[np.intp], rows: NDArray[np.intp], agreed: Rows
    ) -> None:
        """Telephone events: the rows whose key is up and whose end was said often enough send silence."""
        said = self._present.say(rows, agreed.timestamp[rows])
        speaks = said.duration > 0
        rows, positions = rows[speaks], positions[speaks]
        strokes.events = positions
        strokes.seconds = (agreed.dtmf_payload_type[rows] | said.marker[speaks]).astype(np.uint8)
        strokes.timestamps = said.begin[speaks]
        strokes.payloads = np.empty((len(rows), 4), np.uint8)
        strokes.payloads[:, 0] = self._present.key[rows]
        strokes.payloads[:, 1] = _VOLUME | said.end[speaks] * _END
        strokes.payloads[:, 2] = said.duration[speaks] >> 8
        strokes.payloads[:, 3] = said.duration[speaks] & 0xFF

    def _sound(
        self, strokes: Strokes, positions: NDArray[np.intp], rows: NDArray[np.intp], agreed: Rows
    ) -> None:
        """Tones, with a ramp at both ends."""
        present = self._present
        slot, frame = agreed.slot_ticks[rows], len(self._frame)
        begins = present.elapsed(rows, agreed.timestamp[rows]) * frame // slot
        times = begins[:, None] + self._frame
        keys, length = present.key[rows], present.ticks[rows] * frame // slot
        low = _LOW_PEAK * np.sin(times * self._low_rad[keys][:, None])
        high = _HIGH_PEAK * np.sin(times * self._high_rad[keys][:, None])
        level = np.clip(np.minimum(times + 1, length[:, None] - times) / self._ramp_samples, 0.0, 1.0)
        strokes.sounds, strokes.pcm = positions, np.rint((low + high) * level).astype(np.int16)
        present.sounded(rows, begins + frame >= length)

    def _next(self, row: int, timestamp: int, slot_ticks: int, now_ns: int) -> None:
        """Take the next key of a row; tell of requests that have none left."""
        waiting = self._waiting[row]
        while waiting:
            request = waiting[0]
            if request.pressed < len(request.digits):
                digit = request.digits[request.pressed]
                request.pressed += 1
                self._present.start(row, DIGITS.index(digit), timestamp, slot_ticks, request)
                self._columns.tx_keys[row] += np.uint64(1)
                return
            self._tell(row, waiting.popleft(), now_ns)
        self.close(row)

    def _tell(self, row: int, request: _Request, now_ns: int) -> None:
        generation = int(self._columns.generation[row])
        self._events.append(KeysSent(row, generation, now_ns, ticket=request.ticket, count=request.pressed))


class _Said:
    """One telephone-event packet of each of some rows; duration 0 where there is none."""

    __slots__ = ("begin", "duration", "end", "marker")

    def __init__(
        self,
        begin: NDArray[np.int64],
        duration: NDArray[np.int64],
        end: NDArray[np.bool_],
        marker: NDArray[np.int64],
    ) -> None:
        self.begin = begin
        self.duration = duration
        self.end = end
        self.marker = marker


class _Present:
    """The key that is down, or was last, of every row; all times are of the row's own RTP clock.

    A key goes by that clock and not by packets: where slots were skipped, it is as long as it claims to be.
    """

    def __init__(self, capacity: int) -> None:
        self.key: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        """Event code; -1 before the first."""
        self.ticks: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._slot = np.full(capacity, 160, np.int64)
        self.end: NDArray[np.bool_] = np.ones(capacity, np.bool_)
        """Whether it is up again."""
        self._pause = np.zeros(capacity, np.int64)
        self._begin = np.zeros(capacity, np.int64)
        self._segment = np.zeros(capacity, np.int64)
        self._repeats = np.zeros(capacity, np.int64)
        self._reached = np.zeros(capacity, np.int64)

    def start(self, row: int, key: int, timestamp: int, slot_ticks: int, request: _Request) -> None:
        self.key[row] = key
        self._slot[row] = slot_ticks
        self.ticks[row] = request.duration_ms * slot_ticks // _SLOT_MS
        self._pause[row] = request.pause_ms * slot_ticks // _SLOT_MS
        self._begin[row] = timestamp
        self._segment[row] = self._repeats[row] = self._reached[row] = 0
        self.end[row] = False

    def forget(self, row: int) -> None:
        """No key was ever down."""
        self.key[row] = -1
        self.end[row] = True
        self._repeats[row] = 0

    def cut(self, row: int) -> None:
        """Let the key come up now: within the next slot, so that a tone has time to fade."""
        self.ticks[row] = min(self.ticks[row], self._reached[row] + _RAMP_MS * self._slot[row] // _SLOT_MS)

    def elapsed(self, rows: NDArray[np.intp], timestamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ticks from each key's begin to the begin of the present slot."""
        elapsed: NDArray[np.int64] = timestamps - self._begin[rows] & 0xFFFF_FFFF
        self._reached[rows] = elapsed + self._slot[rows]
        return elapsed

    def is_over(self, rows: NDArray[np.intp], timestamps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where the key, all that has to be said of it and the pause after it are over."""
        elapsed = timestamps - self._begin[rows] & 0xFFFF_FFFF
        rested = (elapsed >= self.ticks[rows] + self._pause[rows]) | (self.key[rows] < 0)
        over: NDArray[np.bool_] = self.end[rows] & (self._repeats[rows] == 0) & rested
        return over

    def sounded(self, rows: NDArray[np.intp], ends: NDArray[np.bool_]) -> None:
        """A frame of each key's tone goes out; what was still to be said of it as an event is left unsaid."""
        self.end[rows] = ends
        self._repeats[rows] = 0

    def say(self, rows: NDArray[np.intp], timestamps: NDArray[np.int64]) -> _Said:
        """What the next packet of each row says of its key."""
        segment, repeats, ended = self._segment[rows], self._repeats[rows], self.end[rows]
        reached = self.elapsed(rows, timestamps) + self._slot[rows] - segment
        left = self.ticks[rows] - segment
        # A segment that is full is said to its end before the next one begins.
        again = repeats > 0
        fills = np.where(again, ~ended, (reached >= MAX_SEGMENT_TICKS) & (left > MAX_SEGMENT_TICKS))
        ends = np.where(again, ended, ~ended & ~fills & (reached >= left))
        duration = np.where(fills, MAX_SEGMENT_TICKS, np.minimum(reached, left))
        duration = np.where(ended & ~again, 0, duration)
        marker = np.where((segment == 0) & (reached == self._slot[rows]), _MARKER, 0)
        repeats = np.where(again, repeats - 1, np.where(fills | ends, _ENDS - 1, 0))
        self._repeats[rows] = repeats
        self.end[rows] = ended | ends
        self._segment[rows] = segment + np.where(fills & (repeats == 0), MAX_SEGMENT_TICKS, 0)
        begin = self._begin[rows] + segment & 0xFFFF_FFFF
        return _Said(begin, duration, ends, marker)
