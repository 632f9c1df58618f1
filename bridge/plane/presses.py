"""One key press is one event, whatever carried it: telephone events, tones in the sound, SIP INFO.

A phone may send the same key several ways at once, each with its own delay. Every carrier tells its keys in
order, so its next key is the first one of that name, told by another lately, that it has not told itself.
"""

from dataclasses import dataclass
from enum import IntFlag

__all__ = ["Carrier", "Press", "Presses"]

_MS = 1_000_000
_SAME_NS = 2_000 * _MS
"""How long after the last word of one carrier another may still tell the same key: an INFO whose first two
datagrams were lost comes 1.5 s late (RFC 3261 §17.1.2.2)."""
_REMEMBERED = 64
_BURST = 32
"""Keys that may come at once: what a caller typed while the network stood still."""
_REFILL_NS = 60 * _MS
"""Nobody presses keys faster than this for long; Q.24 has 80 ms from one to the next."""


class Carrier(IntFlag):
    EVENT = 1
    """RFC 4733."""
    TONE = 2
    """In the sound."""
    INFO = 4
    """SIP INFO."""


@dataclass(frozen=True, slots=True)
class Press:
    """One key, pressed and released."""

    digit: str
    duration_ms: int


@dataclass(slots=True)
class _Key:
    digit: str
    begin_ns: int
    news_ns: int
    """When a carrier last said something about it."""
    told_by: Carrier
    held_by: Carrier
    """Those of them for which it is still down."""
    is_reported: bool = False


class Presses:
    """Keys of one row, joined from all carriers."""

    def __init__(self) -> None:
        self.ignored: int = 0
        """Keys that came faster than a hand or a dialler can press them."""
        self._keys: list[_Key] = []
        self._done: list[Press] = []
        self._room = _BURST
        self._refilled_ns = 0

    def down(self, carrier: Carrier, digit: str, *, now_ns: int) -> bool:
        """A key went down; true if no carrier has told of it before."""
        if (key := self._told(carrier, digit, now_ns)) is not None:
            key.told_by |= carrier
            key.held_by |= carrier
            key.news_ns = now_ns
            return False
        # Whoever presses the next key has let go of the one before, whichever carrier is slow to say so.
        for earlier in self._keys:
            self._report(earlier, (now_ns - earlier.begin_ns) // _MS)
        return self._begin(_Key(digit, now_ns, now_ns, carrier, carrier), len(self._keys))

    def up(self, carrier: Carrier, digit: str, *, duration_ms: int, now_ns: int) -> None:
        """A key came up; without a `down` before it, a whole press that the carrier's next key overtook."""
        held = (key for key in self._keys if key.digit == digit and key.held_by & carrier)
        if (key := next(held, None)) is None:
            key = self._overtaken(carrier, digit, now_ns)
        key.told_by |= carrier
        key.held_by &= ~carrier
        key.news_ns = now_ns
        self._report(key, duration_ms)

    def drain(self) -> list[Press]:
        """Presses that are complete, in order."""
        done, self._done = self._done, []
        return done

    def _told(self, carrier: Carrier, digit: str, now_ns: int) -> _Key | None:
        """The key that this carrier tells now, if another one told it already."""
        found: _Key | None = None
        for key in self._keys:
            if key.told_by & carrier:
                found = None  # A carrier tells its keys in order: none from before its last one is meant.
            elif found is None and key.digit == digit and now_ns - key.news_ns <= _SAME_NS:
                found = key
        return found

    def _overtaken(self, carrier: Carrier, digit: str, now_ns: int) -> _Key:
        """The key that belongs just before the last one that this carrier told."""
        last = next((at for at in reversed(range(len(self._keys))) if self._keys[at].told_by & carrier), 0)
        for key in reversed(self._keys[:last]):
            if key.digit == digit and not key.told_by & carrier and now_ns - key.news_ns <= _SAME_NS:
                return key
        key = _Key(digit, now_ns, now_ns, carrier, Carrier(0))
        self._begin(key, last)
        return key

    def _begin(self, key: _Key, place: int) -> bool:
        refills = (key.begin_ns - self._refilled_ns) // _REFILL_NS
        self._room = min(_BURST, self._room + refills)
        self._refilled_ns += refills * _REFILL_NS
        if self._room > 0:
            self._room -= 1
        else:
            self.ignored += 1
            key.is_reported = True  # Told again or let go, it stays unheard of.
        self._keys.insert(place, key)
        del self._keys[:-_REMEMBERED]
        return not key.is_reported

    def _report(self, key: _Key, duration_ms: int) -> None:
        if not key.is_reported:
            key.is_reported = True
            self._done.append(Press(key.digit, duration_ms))
