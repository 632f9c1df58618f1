"""How all calls stand, as the desk shows them: asked four times a second, told only where it changed."""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

from bridge.app.api.sockets import printed
from bridge.call.figures import quality_of, silence_of
from bridge.call.ledger import Ledger
from bridge.call.trace import CallTrace

__all__ = ["RECENT", "Board"]

RECENT = 100
"""Calls that are over and shown."""
_READ_PER_BEAT = 40
"""Calls read at once, those with an event first: some 40 µs each, and the loop is not held for 2 ms."""
_FIGURES_PER_BEAT = 16
"""Calls of which nothing but the figures has changed."""
_MOST_GONE = 1000
_BEATS_PER_TOTALS = 4


class Board:
    """The newest state of each call and of the totals; whatever changes gets the next number.

    Args:
        ledger: The calls.
        totals: Returns the totals.
    """

    def __init__(self, ledger: Ledger, totals: Callable[[], Mapping[str, Any]]) -> None:
        self.number: int = 0
        """Of the last change."""
        self.totals: str = "{}"
        """As JSON."""
        self.totals_number: int = 0
        """Of the change that made them what they are."""
        self.unread: int = 0
        """Calls that are to be read in one of the next beats: not all are read at once."""
        self._ledger = ledger
        self._read_totals = totals
        self._beats = 0
        self._calls: OrderedDict[str, tuple[int, str]] = OrderedDict()
        """Number and JSON of each call, the one that changed last at the end."""
        self._marks: dict[str, tuple[object, ...]] = {}
        self._read: dict[str, int] = {}
        """The beat in which each was read."""
        self._gone: deque[tuple[int, str]] = deque(maxlen=_MOST_GONE)
        self._forgotten: int = 0
        """Number of the last departure that is not known any more."""

    def look(self) -> None:
        """Read how things stand now; to be called at each beat."""
        running, recent = self._ledger.running(), self._ledger.recent(RECENT)
        self._drop({trace.id for trace in running} | {_id(over) for over in recent})
        calls = {_id(call): (call, _mark(call)) for call in (*running, *recent)}
        changed = [id for id, (_, mark) in calls.items() if self._marks.get(id) != mark]
        # Who has waited longest comes first: nobody waits for ever, however much happens.
        changed.sort(key=lambda id: self._read.get(id, -1))
        self.unread = max(0, len(changed) - _READ_PER_BEAT)
        for id in (changed + self._due(running))[:_READ_PER_BEAT]:
            call, self._marks[id] = calls[id]
            self._read[id] = self._beats
            self._put(id, self._told(call))
        if self._beats % _BEATS_PER_TOTALS == 0:
            self._put_totals(printed(self._read_totals()))
        self._beats += 1

    def rest(self) -> None:
        """Nobody looks for now: the next beat reads the totals, however old they are."""
        self._beats += -self._beats % _BEATS_PER_TOTALS

    def news(self, since: int) -> list[tuple[int, str]]:
        """Number and JSON of the calls that changed after a number, the longest ago first."""
        changed = list(takewhile(lambda each: each[0] > since, reversed(self._calls.values())))
        return changed[::-1]

    def gone(self, since: int) -> list[str] | None:
        """Ids of calls that left the list after a number; None if that is not known any more."""
        if since < self._forgotten:
            return None
        return [id for number, id in self._gone if number > since]

    def _drop(self, shown: set[str]) -> None:
        for id in [id for id in self._calls if id not in shown]:
            del self._calls[id]
            self._marks.pop(id, None)
            self._read.pop(id, None)
            self.number += 1
            if len(self._gone) == _MOST_GONE:
                self._forgotten = self._gone[0][0]
            self._gone.append((self.number, id))

    def _due(self, running: list[CallTrace]) -> list[str]:
        """Whose figures are read in this beat: each in its turn, about once a second where there are few."""
        longest_ago = sorted((trace.id for trace in running), key=lambda id: self._read.get(id, -1))
        return longest_ago[: min(_FIGURES_PER_BEAT, -(-len(longest_ago) // _BEATS_PER_TOTALS))]

    def _put(self, id: str, call: Mapping[str, Any]) -> None:
        text, before = printed(call), self._calls.get(id)
        if before is None or before[1] != text:
            self.number += 1
            self._calls[id] = (self.number, text)
            self._calls.move_to_end(id)

    def _put_totals(self, text: str) -> None:
        if text != self.totals:
            self.number += 1
            self.totals, self.totals_number = text, self.number

    def _told(self, call: CallTrace | Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(call, CallTrace):
            return {**call, "floor": "nobody", "from": None, "to": None}
        tells = self._ledger.tells_numbers(call)
        told = call.summary() | {
            "floor": call.floor,
            "from": (call.caller or None) if tells else None,
            "to": (call.called or None) if tells else None,
        }
        if call.state != "ended":
            session = self._ledger.session(call.id)
            media = session.media() if session is not None else {}
            told |= {"quality": quality_of(media), "silence_ms": silence_of(media)}
        return told


def _id(call: CallTrace | Mapping[str, Any]) -> str:
    return call.id if isinstance(call, CallTrace) else str(call["id"])


def _mark(call: CallTrace | Mapping[str, Any]) -> tuple[object, ...]:
    """What differs when something has happened that is to be seen at once."""
    if not isinstance(call, CallTrace) or call.state == "ended":
        return ("ended",)
    return (
        call.state,
        call.floor,
        call.utterances[-1].number if call.utterances else 0,
        call.barge_ins[-1].number if call.barge_ins else 0,
        call.false_alarms,
        call.digits,
    )
