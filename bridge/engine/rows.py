"""Rows that no leg has, of each rate."""

from collections import deque

from bridge.engine.shared import bank_sizes

__all__ = ["FreeRows"]


class FreeRows:
    """Hands rows out, longest free first.

    Args:
        capacity: Number of rows of 8 kHz.
        wide: Number of rows of each higher rate.
    """

    def __init__(self, capacity: int, wide: int) -> None:
        self._free: dict[int, deque[int]] = {}
        self._rates: list[int] = []
        for rate_hz, rows in bank_sizes(capacity, wide):
            first = len(self._rates)
            self._free[rate_hz] = deque(range(first, first + rows))
            self._rates += [rate_hz] * rows

    def has(self, rate_hz: int) -> bool:
        """Whether a row of this rate is left."""
        return bool(self._free.get(rate_hz))

    def take(self, rate_hz: int) -> int:
        """A row of this rate.

        Raises:
            LookupError: If there is none, or none left; see `has`.
        """
        return self._free[rate_hz].popleft()

    def append(self, row: int) -> None:
        """Take a row back."""
        self._free[self._rates[row]].append(row)

    def __len__(self) -> int:
        return sum(map(len, self._free.values()))
