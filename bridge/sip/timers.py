"""The timers of SIP (RFC 3261 §17, Appendix A, and RFC 6026)."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["DEFAULT_TIMERS", "Backoff", "Timer", "Timers"]

_MS = 1_000_000


class Timer(Enum):
    """What a running timer is for; the letters are those of RFC 3261."""

    RESEND = "A, E, G"
    """Send the stored message again, at growing intervals."""
    GIVE_UP = "B, F, H"
    """Nobody answers, or nobody acknowledges."""
    LINGER = "D, I, J, K, L, M"
    """Absorb stragglers, then forget the transaction."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The base values; everything else is a multiple of them."""

    t1_ns: int = 500 * _MS
    """Estimate of the round trip."""
    t2_ns: int = 4_000 * _MS
    """Longest interval between two retransmissions."""
    t4_ns: int = 5_000 * _MS
    """Longest time that a message stays in the network."""

    @property
    def give_up_ns(self) -> int:
        """64·T1: timers B, F, H, J, L, M, and the wait for the ACK of a 2xx."""
        return 64 * self.t1_ns


DEFAULT_TIMERS = Timers()


class Backoff:
    """When to send again: after `first_ns`, then at doubled intervals up to `ceiling_ns`.

    Args:
        ceiling_ns: None doubles without end, as timer A does.
    """

    def __init__(self, *, first_ns: int, ceiling_ns: int | None, now_ns: int) -> None:
        self._interval_ns = first_ns
        self._ceiling_ns = ceiling_ns
        self.due_ns: int = now_ns + first_ns

    def slow_down(self) -> None:
        """Take the ceiling as the interval from the next retransmission on."""
        self._interval_ns = self._ceiling_ns or self._interval_ns

    def advance(self, *, now_ns: int) -> None:
        """Count one retransmission, sent now, and set the next `due_ns`."""
        self._interval_ns *= 2
        if self._ceiling_ns is not None:
            self._interval_ns = min(self._interval_ns, self._ceiling_ns)
        self.due_ns = now_ns + self._interval_ns
