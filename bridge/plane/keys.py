"""Keys that callers press, of every row: as telephone events, as tones in the sound, or told by signalling.

Events are rare and taken packet by packet. Tones are listened for over all rows at once, behind the jitter
ring, where frames come in order and what was lost is filled in; by default only where no events were agreed.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.errors import RemoteProtocolError
from bridge.plane.bargein import BargeIn
from bridge.plane.columns import Columns
from bridge.plane.events import Digit, PlaneEvent
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.presses import Carrier, Presses
from bridge.plane.shape import thin
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.plane.tones import ToneChange, Tones
from bridge.rtp.dtmf import DtmfReceiver, KeyDown, parse_event

__all__ = ["Keys"]

_ONE = np.uint64(1)


class _Row:
    """What one leg's keys need."""

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self.receiver = DtmfReceiver(clock_rate=clock_hz)
        self.presses = Presses()


class Keys:
    """Keys of all rows, and what they do to what we are saying.

    Args:
        columns: Shared columns.
        settings: Whether to listen for tones.
        bargein: Told of every key that goes down.
        events: Where to append what happened.
    """

    def __init__(
        self, columns: Columns, settings: PlaneSettings, bargein: BargeIn, events: list[PlaneEvent]
    ) -> None:
        self._columns = columns
        self._per_tick = columns.shape.per_tick
        self._inband = settings.inband_digits
        self._bargein = bargein
        self._events = events
        self._rows: dict[int, _Row] = {}
        self._pressed: set[int] = set()
        """Rows of which an event is under way: only they have a deadline."""
        self._tones = Tones(columns.capacity)
        self._listens = np.zeros(columns.capacity, np.bool_)

    def open(self, row: int, spec: RowSpec) -> None:
        """Begin with all keys up."""
        self._rows[row] = _Row(spec.clock_hz)
        self._tones.stop(row)
        self._choose(row, spec)

    def update(self, row: int, spec: RowSpec, *, now_ns: int) -> None:
        """Take what was negotiated anew; keys that can no longer be followed are up."""
        if self._rows[row].clock_hz != spec.clock_hz:
            self.restart(row, now_ns=now_ns)
            self._rows[row] = _Row(spec.clock_hz)
        self._choose(row, spec)
        if spec.dtmf_payload_type < 0:
            self.restart(row, now_ns=now_ns)
        if not self._listens[row]:
            self._follow(self._tones.stop(row), now_ns)

    def close(self, row: int) -> None:
        """Forget the row; what is down is not reported any more."""
        self._rows.pop(row, None)
        self._pressed.discard(row)
        self._listens[row] = False

    def restart(self, row: int, *, now_ns: int) -> None:
        """Another source sends from now on: no event of the old one is under way."""
        self._rows[row].receiver.restart()
        self._settle(row, now_ns)

    def take_event(self, row: int, payload: bytes, *, timestamp: int, now_ns: int) -> None:
        """Take one telephone-event packet; what cannot be a key is counted."""
        try:
            packet = parse_event(payload)
        except RemoteProtocolError:
            self._columns.rx_malformed[row] += _ONE
            return
        if not self._rows[row].receiver.receive(packet, timestamp=timestamp, now_ns=now_ns):
            self._columns.rx_keys_ignored[row] += _ONE
        self._settle(row, now_ns)

    def take_info(self, row: int, digit: str, *, duration_ms: int, now_ns: int) -> None:
        """Take a key that signalling was told of: a whole press at once."""
        self._down(row, Carrier.INFO, digit, now_ns)
        self._up(row, Carrier.INFO, digit, duration_ms, now_ns)
        self._report(row, now_ns)

    def hear(self, rows: NDArray[np.intp], pcm: NDArray[np.int16], *, now_ns: int) -> None:
        """Listen for tones in the next frame of each of these distinct rows, ``[k, L]`` at the row's rate."""
        listens = self._listens[rows]
        if not somewhere(listens):
            return
        if not everywhere(listens):
            rows, pcm = rows[listens], pcm[listens]
        self._follow(self._tones.hear(rows, thin(pcm, self._per_tick)), now_ns)
        sounding = self._tones.down[rows] >= 0
        if somewhere(sounding):
            # A key is no word, however loud and long it sounds.
            self._bargein.gate.forget_evidence(rows[sounding])

    def expire(self, *, now_ns: int) -> None:
        """Release the keys whose events have stopped."""
        for row in tuple(self._pressed):
            self._rows[row].receiver.handle_timeout(now_ns=now_ns)
            self._settle(row, now_ns)

    def _choose(self, row: int, spec: RowSpec) -> None:
        has_events = spec.dtmf_payload_type >= 0
        self._listens[row] = self._inband == "always" or (self._inband == "auto" and not has_events)

    def _follow(self, changes: list[ToneChange], now_ns: int) -> None:
        """Carry on what tones have done."""
        for change in changes:
            if change.is_down:
                self._down(change.row, Carrier.TONE, change.digit, now_ns)
            else:
                self._up(change.row, Carrier.TONE, change.digit, change.duration_ms, now_ns)
            self._report(change.row, now_ns)

    def _settle(self, row: int, now_ns: int) -> None:
        """Carry on what a row's events have said."""
        receiver = self._rows[row].receiver
        for step in receiver.drain():
            if isinstance(step, KeyDown):
                self._down(row, Carrier.EVENT, step.digit, now_ns)
            else:
                duration_ms = step.duration_ticks * 1000 // self._rows[row].clock_hz
                self._up(row, Carrier.EVENT, step.digit, duration_ms, now_ns)
        if receiver.deadline_ns is None:
            self._pressed.discard(row)
        else:
            self._pressed.add(row)
        self._report(row, now_ns)

    def _down(self, row: int, carrier: Carrier, digit: str, now_ns: int) -> None:
        if self._rows[row].presses.down(carrier, digit, now_ns=now_ns):
            self._bargein.press(row, now_ns=now_ns)

    def _up(self, row: int, carrier: Carrier, digit: str, duration_ms: int, now_ns: int) -> None:
        self._rows[row].presses.up(carrier, digit, duration_ms=duration_ms, now_ns=now_ns)

    def _report(self, row: int, now_ns: int) -> None:
        presses, generation = self._rows[row].presses, int(self._columns.generation[row])
        for press in presses.drain():
            self._events.append(
                Digit(row, generation, now_ns, digit=press.digit, duration_ms=press.duration_ms)
            )
        self._columns.rx_keys_ignored[row] += np.uint64(presses.ignored)
        presses.ignored = 0
