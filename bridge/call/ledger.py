"""Which calls there are and were: those that ring, those that stand, and the last of those that are over."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from bridge.call.archive import Archive, record_of
from bridge.call.bus import Bus
from bridge.call.session import Session
from bridge.call.trace import CallTrace
from bridge.clock import unix_offset_ns
from bridge.ports import Clock, IdSource

__all__ = ["Ledger"]

_REMEMBERED = 1000
"""Ended calls that are known without asking the archive."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A call that does not stand yet."""

    trace: CallTrace
    give_up: Callable[[], object]


class Ledger:
    """The record of every call, from its beginning to some time after its end.

    Args:
        clock: For marks.
        dice: For ids.
        bus: Told when a call begins, and when one ends that never stood; a session tells the rest.
        keeps_text: Whether records keep what was said.
        archive: Where records outlive us; None for nowhere.
        keeps_numbers: Whether it is told who called whom.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        dice: IdSource,
        bus: Bus,
        keeps_text: bool,
        archive: Archive | None = None,
        keeps_numbers: bool = False,
    ) -> None:
        self.ended_one: asyncio.Event = asyncio.Event()
        """Set whenever a call has ended; whoever waits clears it."""
        self._clock = clock
        self._dice = dice
        self._bus = bus
        self._keeps_text = keeps_text
        self._attempts: dict[str, _Attempt] = {}
        self._live: dict[str, Session] = {}
        self._ended: deque[CallTrace] = deque(maxlen=_REMEMBERED)
        self._archive = archive
        self._keeps_numbers = keeps_numbers
        self._before: list[dict[str, Any]] = []
        """Summaries of calls that ended before we began, newest first."""

    def __len__(self) -> int:
        """Calls that stand."""
        return len(self._live)

    def calls(self) -> list[dict[str, Any]]:
        """Running calls, those that ring among them, then ended ones, newest first."""
        running = [session.trace for session in self._live.values()]
        running += [attempt.trace for attempt in self._attempts.values()]
        told = [trace.summary() for trace in running[::-1] + list(reversed(self._ended))]
        return told + self._before[: _REMEMBERED - len(self._ended)]

    def running(self) -> list[CallTrace]:
        """Calls that are not over, newest first."""
        running = [session.trace for session in self._live.values()]
        return (running + [attempt.trace for attempt in self._attempts.values()])[::-1]

    def recent(self, most: int) -> list[CallTrace | dict[str, Any]]:
        """The last of those that are over, newest first; of those before our time, the summary."""
        ended: list[CallTrace | dict[str, Any]] = list(islice(reversed(self._ended), most))
        return ended + self._before[: most - len(ended)]

    def tells_numbers(self, trace: CallTrace) -> bool:
        """Whether a desk may show who called whom: while they talk, or if it is kept."""
        return self._keeps_numbers or trace.state != "ended"

    def trace(self, call_id: str) -> CallTrace | None:
        """The trace of a call that we have in hand, by our id or by its SIP Call-ID."""
        names = {call_id} - {""}
        held = chain(self.running(), reversed(self._ended))
        return next((trace for trace in held if names & {trace.id, trace.sip_call_id}), None)

    async def look_up(self, call_id: str) -> CallTrace | None:
        """Like `trace`, and looks into the archive as well."""
        if (found := self.trace(call_id)) is not None or self._archive is None:
            return found
        told = await self._archive.find(call_id)
        return None if told is None else CallTrace.revived(told)

    def call(self, call_id: str) -> dict[str, Any] | None:
        """One call in full, by our id or by its SIP Call-ID."""
        for session in self._live.values():
            if call_id in (session.trace.id, session.trace.sip_call_id):
                return session.trace.detail() | {"media": session.media()}
        attempts = [attempt.trace for attempt in self._attempts.values()]
        for trace in [*attempts, *reversed(self._ended)]:
            if call_id in (trace.id, trace.sip_call_id):
                return trace.detail()
        return None

    async def find(self, call_id: str) -> dict[str, Any] | None:
        """Like `call`, and looks into the archive as well."""
        if (found := self.call(call_id)) is not None or self._archive is None:
            return found
        return await self._archive.find(call_id)

    async def restore(self) -> None:
        """Learn from the archive which calls there were before; once, before any call comes."""
        if self._archive is not None:
            self._before = await self._archive.latest(_REMEMBERED)

    def session(self, call_id: str) -> Session | None:
        """A call that stands, by our id."""
        return self._live.get(call_id)

    def sessions(self) -> list[Session]:
        """All calls that stand."""
        return list(self._live.values())

    def begin(
        self,
        direction: str,
        *,
        to: str,
        caller: str = "",
        sip_call_id: str = "",
        give_up: Callable[[], object],
    ) -> CallTrace:
        """Open the record of a call that does not stand yet; `stands` or `forsake` must follow.

        Args:
            direction: ``inbound`` or ``outbound``.
            to: Whom it is for.
            caller: Who calls.
            sip_call_id: Its name on the wire, if it has one already.
            give_up: Called by `hang_up`.
        """
        trace = CallTrace(
            id=self._dice.token(8),
            sip_call_id=sip_call_id,
            direction=direction,
            started_ns=self._clock.now_ns(),
            called=to,
            caller=caller,
            keeps_text=self._keeps_text,
            state="ringing" if direction == "inbound" else "calling",
        )
        self._attempts[trace.id] = _Attempt(trace, give_up)
        self._bus.tell(trace.id, "call.started", {"direction": direction, "to": to, "from": caller or None})
        return trace

    def progressed(self, trace: CallTrace, status: int) -> None:
        """Note a provisional answer to a call of ours."""
        if status >= 180 and trace.state == "calling":
            trace.state = "ringing"
            self._bus.tell(trace.id, "call.ringing", {"status": status})

    def forsake(self, trace: CallTrace, reason: str) -> None:
        """Close the record of a call that came to nothing; harmless when it came to something."""
        if self._attempts.pop(trace.id, None) is None:
            return
        trace.state, trace.reason, trace.ended_ns = "ended", trace.reason or reason, self._clock.now_ns()
        self._remember(trace)
        self._bus.tell(trace.id, "call.ended", {"reason": trace.reason, "status": trace.status or None})

    def stands(self, session: Session) -> None:
        """Note that a call stands; `over` must follow."""
        self._attempts.pop(session.trace.id, None)
        self._live[session.trace.id] = session

    def over(self, session: Session) -> None:
        """Note the end of a call that stood."""
        del self._live[session.trace.id]
        self._remember(session.trace)
        self.ended_one.set()

    def hang_up(self, call_id: str, reason: str) -> bool:
        """End a call, or give up one that still rings; False if there is none."""
        if (session := self._live.get(call_id)) is not None:
            session.end(reason)
        elif (attempt := self._attempts.get(call_id)) is not None:
            attempt.trace.reason = attempt.trace.reason or reason
            attempt.give_up()
        else:
            return False
        return True

    async def empty(self) -> None:
        """Return once no call stands."""
        while self._live:
            self.ended_one.clear()
            await self.ended_one.wait()

    def _remember(self, trace: CallTrace) -> None:
        self._ended.append(trace)
        if self._archive is not None:
            self._archive.keep(
                record_of(trace, offset_ns=unix_offset_ns(), keeps_numbers=self._keeps_numbers)
            )
