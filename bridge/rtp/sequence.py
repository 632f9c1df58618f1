"""Counters that wrap: sequence numbers modulo 2**16, timestamps modulo 2**32 (RFC 3550 §A.1)."""

__all__ = ["SEQUENCE_TURN", "TIMESTAMP_TURN", "ExtendedSequence", "is_newer", "step"]

SEQUENCE_TURN = 1 << 16
TIMESTAMP_TURN = 1 << 32


def step(before: int, after: int, turn: int = SEQUENCE_TURN) -> int:
    """Shortest signed way from `before` to `after`, in ``[-turn / 2, turn / 2)``."""
    return (after - before + turn // 2) % turn - turn // 2


def is_newer(candidate: int, than: int, turn: int = SEQUENCE_TURN) -> bool:
    """Whether `candidate` comes after `than`, the wrap considered."""
    return step(than, candidate, turn) > 0


class ExtendedSequence:
    """Sequence numbers of one source counted on past their wrap."""

    def __init__(self) -> None:
        self.highest: int | None = None
        """Highest extended number so far; None before the first packet."""

    def extend(self, sequence: int) -> int:
        """Place one 16-bit number; it becomes the highest if it is newer."""
        if self.highest is None:
            self.highest = sequence
            return sequence
        extended = self.highest + step(self.highest % SEQUENCE_TURN, sequence)
        self.highest = max(self.highest, extended)
        return extended
