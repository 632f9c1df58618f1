"""The network between the phones and us: it loses, delays and doubles packets, and remembers nothing else."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

__all__ = ["Network"]

_Batch = tuple[NDArray[np.intp], NDArray[np.int64]]


class Network:
    """Packets are put in at one tick and come out at this or a later one.

    Args:
        loss: Part of the packets that never comes out.
        jitter_ticks: A packet is delayed by 0 to so many ticks, all alike likely; it may overtake others.
        doubled: Part of the packets that comes out twice, each with a delay of its own.
        seed: The same seed loses the same packets.
    """

    def __init__(
        self, *, loss: float = 0.0, jitter_ticks: int = 0, doubled: float = 0.0, seed: int = 7
    ) -> None:
        self._loss = loss
        self._jitter_ticks = jitter_ticks
        self._doubled = doubled
        self._dice = np.random.default_rng(seed)
        self._waiting: dict[int, list[_Batch]] = defaultdict(list)

    def put(self, phones: NDArray[np.intp], numbers: NDArray[np.int64], *, tick: int) -> None:
        """Take packets, each named by its phone and its number in that phone's stream."""
        if self._loss:
            kept = self._dice.random(len(phones)) >= self._loss
            phones, numbers = phones[kept], numbers[kept]
        if self._doubled:
            twice = self._dice.random(len(phones)) < self._doubled
            phones = np.concatenate((phones, phones[twice]))
            numbers = np.concatenate((numbers, numbers[twice]))
        if not self._jitter_ticks:
            self._waiting[tick].append((phones, numbers))
            return
        delays = self._dice.integers(0, self._jitter_ticks + 1, len(phones))
        for delay in np.unique(delays).tolist():
            alike = delays == delay
            self._waiting[tick + delay].append((phones[alike], numbers[alike]))

    def take(self, tick: int) -> _Batch:
        """What comes out at this tick; every tick is to be asked for, in order."""
        batches = self._waiting.pop(tick, [])
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return np.zeros(0, np.intp), np.zeros(0, np.int64)
        return np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches])
