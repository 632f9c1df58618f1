"""Provisional responses that must arrive: RSeq, RAck and PRACK, in both roles (RFC 3262)."""

import re
from collections import deque
from dataclasses import dataclass

from bridge.errors import RemoteProtocolError
from bridge.sip.dialog import Dialog, LocalPlace
from bridge.sip.layer import Send
from bridge.sip.message import Headers, Request, Response
from bridge.sip.timers import Backoff, Timers

__all__ = ["MOST_DIALOGS", "TAG", "Acknowledger", "Provisionals", "may_be_reliable", "must_be_reliable"]

TAG = "100rel"
MOST_DIALOGS = 16
"""Phones of one fork that are listened to before one of them answers."""

_RACK = re.compile(r"([0-9]{1,10})[ \t]+([0-9]{1,10})[ \t]+INVITE")
_MOST_WAITING = 8


def must_be_reliable(headers: Headers) -> bool:
    """Whether the caller takes no other provisional responses (§3)."""
    return TAG in headers.tags("Require")


def may_be_reliable(headers: Headers) -> bool:
    """Whether the caller can acknowledge them."""
    return TAG in headers.tags("Require") | headers.tags("Supported")


@dataclass(slots=True)
class _Waiting:
    response: Response
    destination: tuple[str, int]
    carries_offer: bool


class Provisionals:
    """What a callee says before its answer, one after the other, each until it is acknowledged.

    Args:
        first: RSeq of the first, 1 to 2**31 - 1; random.
        timers: The base values.
    """

    def __init__(self, *, first: int, timers: Timers) -> None:
        self.is_overdue: bool = False
        """One of them was not acknowledged in 64·T1: the INVITE is to be refused (§3)."""
        self.has_described: bool = False
        """One with a description was acknowledged, so the peer has seen it."""
        self._timers = timers
        self._next = max(1, first & 0x7FFF_FFFF)
        self._now: _Waiting | None = None
        self._number = 0
        self._backoff: Backoff | None = None
        self._give_up_ns = 0
        self._queue: deque[_Waiting] = deque(maxlen=_MOST_WAITING)

    @property
    def is_open(self) -> bool:
        """Whether something is not acknowledged yet: a final response waits (§3)."""
        return self._now is not None

    @property
    def awaits_answer(self) -> bool:
        """Whether what is open carries an offer of ours."""
        return self._now is not None and self._now.carries_offer

    @property
    def deadline_ns(self) -> int | None:
        return None if self._backoff is None else min(self._backoff.due_ns, self._give_up_ns)

    def say(
        self, response: Response, *, destination: tuple[str, int], carries_offer: bool, now_ns: int
    ) -> list[Response]:
        """Say a response reliably, after those that still wait; returns what is sent now."""
        self._queue.append(_Waiting(response, destination, carries_offer))
        return self._go_on(now_ns=now_ns)

    def acknowledge(self, prack: Request, invite: Request, *, now_ns: int) -> list[Response] | None:
        """Take a PRACK; returns what is sent next, or None if it is for nothing that is open (§3).

        Raises:
            RemoteProtocolError: If its RAck is malformed.
        """
        match = _RACK.fullmatch((prack.headers.get("RAck") or "").strip())
        if match is None:
            raise RemoteProtocolError(f"RAck {prack.headers.get('RAck')!r}", rule="RFC 3262 §7.2")
        if self._now is None or (int(match[1]), int(match[2])) != (self._number, invite.cseq.number):
            return None
        self.has_described |= bool(self._now.response.body)
        self._now = self._backoff = None
        return self._go_on(now_ns=now_ns)

    def take_due(self, *, now_ns: int) -> list[Send]:
        """What is sent again; sets `is_overdue` instead when that has no more sense."""
        if self._now is None or self._backoff is None:
            return []
        if now_ns >= self._give_up_ns:
            self.stop()
            self.is_overdue = True
            return []
        if now_ns < self._backoff.due_ns:
            return []
        self._backoff.advance(now_ns=now_ns)
        return [Send(bytes(self._now.response), self._now.destination)]

    def stop(self) -> None:
        """A final response was given, or the call is over."""
        self._queue.clear()
        self._now = self._backoff = None

    def _go_on(self, *, now_ns: int) -> list[Response]:
        if self._now is not None or not self._queue:
            return []
        self._now = self._queue.popleft()
        self._number = self._next
        self._next = self._next % 0x7FFF_FFFF + 1
        headers = self._now.response.headers
        headers.add("Require", TAG)
        headers.add("RSeq", str(self._number))
        # The interval doubles without a ceiling (§3).
        self._backoff = Backoff(first_ns=self._timers.t1_ns, ceiling_ns=None, now_ns=now_ns)
        self._give_up_ns = now_ns + self._timers.give_up_ns
        return [self._now.response]


@dataclass(slots=True)
class _Early:
    dialog: Dialog
    number: int
    is_answered: bool = False


class Acknowledger:
    """A caller's side: one PRACK for each reliable response, in order, in each dialog of a fork (§4)."""

    def __init__(self) -> None:
        self._early: dict[str, _Early] = {}
        self._latest: _Early | None = None

    @property
    def answered(self) -> Dialog | None:
        """The dialog with whoever was heard last, if our offer was answered there, reliably (§5)."""
        return self._latest.dialog if self._latest is not None and self._latest.is_answered else None

    def take(
        self,
        response: Response,
        invite: Request,
        *,
        place: LocalPlace,
        source: tuple[str, int] | None,
        branch: str,
    ) -> tuple[bool, Request | None, tuple[str, int]]:
        """Take a provisional response.

        Returns:
            Whether it is new to whoever listens; the PRACK that it asks for, if any; and where that goes.
        """
        nowhere = ("", 0)
        if not must_be_reliable(response.headers):
            return True, None, nowhere
        text = (response.headers.get("RSeq") or "").strip()
        if not text.isdecimal() or not text.isascii() or len(text) > 10:
            return False, None, nowhere
        number, early = int(text), self._early.get(response.to.tag)
        if early is not None and number != early.number + 1:
            return False, None, nowhere  # repeated, or out of order: the missing one will come again (§4)
        if early is None:
            if len(self._early) >= MOST_DIALOGS:
                return False, None, nowhere
            try:
                dialog = Dialog.of_caller(invite, response, place=place, source=source)
            except RemoteProtocolError:
                return False, None, nowhere
            early = self._early[response.to.tag] = _Early(dialog, number)
        early.number = number
        early.is_answered = early.is_answered or bool(response.body)
        self._latest = early
        prack = early.dialog.request("PRACK", branch=branch)
        prack.headers.add("RAck", f"{number} {invite.cseq}")
        return True, prack, early.dialog.destination

    def has_answer(self, tag: str) -> bool:
        """Whether the one who has this tag answered our offer reliably: what it says later is no answer."""
        early = self._early.get(tag)
        return early is not None and early.is_answered

    def dialog(self, tag: str) -> Dialog | None:
        """The early dialog with the one who has this tag, if there is one."""
        early = self._early.get(tag)
        return None if early is None else early.dialog
