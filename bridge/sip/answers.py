"""Keeps every 2xx to an INVITE going until its ACK has come (RFC 3261 §13.3.1.4)."""

from dataclasses import dataclass

from bridge.sip.layer import Send
from bridge.sip.timers import Backoff, Timers

__all__ = ["UnackedAnswer", "UnackedAnswers"]


@dataclass(slots=True)
class UnackedAnswer:
    """One 2xx on its way."""

    send: Send
    awaits_answer: bool
    """It carried an offer, so the ACK carries the answer."""
    backoff: Backoff
    give_up_ns: int


class UnackedAnswers:
    """The 2xx responses of one dialog that nobody has acknowledged yet.

    The transaction cannot do this: it ends for the server with the first 2xx, while the
    ACK comes as a request of its own, end to end.

    Args:
        timers: The base values.
    """

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._by_number: dict[int, UnackedAnswer] = {}

    @property
    def deadline_ns(self) -> int | None:
        return min((min(a.backoff.due_ns, a.give_up_ns) for a in self._by_number.values()), default=None)

    @property
    def is_open(self) -> bool:
        """Whether any 2xx is without its ACK."""
        return bool(self._by_number)

    @property
    def awaits_answer(self) -> bool:
        """Whether an offer of ours is still open."""
        return any(answer.awaits_answer for answer in self._by_number.values())

    def add(self, number: int, send: Send, *, awaits_answer: bool, now_ns: int) -> None:
        """Watch over the 2xx to the INVITE with this CSeq number, sent now for the first time."""
        backoff = Backoff(first_ns=self._timers.t1_ns, ceiling_ns=self._timers.t2_ns, now_ns=now_ns)
        give_up_ns = now_ns + self._timers.give_up_ns
        self._by_number[number] = UnackedAnswer(send, awaits_answer, backoff, give_up_ns)

    def acknowledge(self, number: int) -> UnackedAnswer | None:
        """Take off what this ACK is for; None for a repeated or foreign ACK."""
        return self._by_number.pop(number, None)

    def clear(self) -> None:
        """Stop repeating: the call is over."""
        self._by_number.clear()

    def take_due(self, *, now_ns: int) -> tuple[list[Send], bool]:
        """What to send again, and whether an ACK is overdue for good."""
        sends: list[Send] = []
        for answer in self._by_number.values():
            if answer.give_up_ns <= now_ns:
                return [], True
            if answer.backoff.due_ns <= now_ns:
                answer.backoff.advance(now_ns=now_ns)
                sends.append(answer.send)
        return sends, False
