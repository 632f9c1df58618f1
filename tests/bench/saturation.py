"""How many calls a carrier bears: the largest count at which it is punctual and loses nothing."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Search", "bears"]

_LATE_MS = 20.0
_SENT = 0.995
_GROWTH = 1.3
_GRAIN = 0.05
_TRIES = 2


def bears(far_end: dict[str, Any]) -> bool:
    """Whether a run was carried: p99 lateness up to one packet's time, nothing lost, nothing left unsent."""
    is_punctual = float(far_end["lateness"]["p99_ms"]) <= _LATE_MS
    is_whole = int(far_end["lost"]) == 0 and int(far_end["lost_in"]) == 0
    return is_punctual and is_whole and float(far_end["received_share"]) >= _SENT


@dataclass(slots=True)
class Search:
    """Which count to try next: grow until it fails, then halve the gap down to 5 %.

    A count fails after two runs that failed: machines have bad moments.
    """

    start: int
    most: int
    """The generator's own bound."""
    best: int = 0
    """Largest count carried."""
    least_failed: int | None = None
    failures: dict[int, int] = field(default_factory=dict)

    @property
    def next(self) -> int | None:
        """Count to try; None when the answer is known."""
        if self.best >= self.most:
            return None
        for count, failed in self.failures.items():
            if (
                failed < _TRIES
                and (self.least_failed is None or count < self.least_failed)
                and count > self.best
            ):
                return count
        if self.least_failed is None:
            return min(self.most, round(self.best * _GROWTH)) if self.best else self.start
        if self.least_failed - self.best <= max(1, self.least_failed * _GRAIN):
            return None
        return (self.best + self.least_failed) // 2

    def note(self, count: int, *, carried: bool) -> None:
        """Learn from a run."""
        if carried:
            self.best = max(self.best, count)
            self.failures.pop(count, None)
            return
        self.failures[count] = self.failures.get(count, 0) + 1
        if self.failures[count] >= _TRIES:
            self.least_failed = count if self.least_failed is None else min(count, self.least_failed)
