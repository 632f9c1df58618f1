"""How long packets take on their way, and how long to wait for them: a forgetting histogram of every row.

Transit is arrival time less RTP time, in ticks of 8 kHz: only its changes mean anything. Most packets of a
row lie a little above its least transit; the few that take longest decide how much delay the row needs.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.masks import everywhere, somewhere
from bridge.plane.spec import PlaneSettings

__all__ = ["DelayNeed"]

_TICKS_PER_MS = 8
_BINS = 256
_BIN_TICKS = 8
"""1 ms: 256 ms in all, which is more than the longest delay."""
_BASE_BIN = 32
"""Where the least transit of a row is kept, so that a faster packet has its place too."""
_MEMORY_PACKETS = 1500
"""A packet counts for a third after so many more: half a minute."""
_GROWTH = 1.0 + 1.0 / _MEMORY_PACKETS
_HEAVY = 1e4
_WINDOW_PACKETS = 400
"""What was not needed for 8 to 16 s is not kept, however well it is remembered: a handover is over."""
_GUARD_TICKS = 8
"""1 ms for the grain of our own clock: packets are seen when the loop looks."""


class DelayNeed:
    """Transit that all but a small share of packets stay under, of every row."""

    def __init__(self, capacity: int, settings: PlaneSettings) -> None:
        self._max_ticks = settings.depth_max_ms * _TICKS_PER_MS
        self.late_share: NDArray[np.float64] = np.full(capacity, settings.late_share)
        """Share of packets that may take longer."""
        self._weights = np.zeros((capacity, _BINS), np.float32)
        self._weight = np.ones(capacity, np.float32)
        self._origin = np.zeros(capacity, np.int64)
        # Least and longest transit of the present window and of the one before.
        self._floors = np.zeros((2, capacity), np.int64)
        self._peaks = np.zeros((2, capacity), np.int64)
        self.seen: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Packets since the stream began."""
        self.base: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Least transit of late."""
        self.need: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Transit to wait for."""

    def restart(self, row: int) -> None:
        """Forget the network."""
        self.seen[row] = 0

    def begin(self, rows: NDArray[np.intp], transits: NDArray[np.int64]) -> None:
        """Begin a time line whose usual transit is this: what is known of the jitter still holds."""
        known = self.seen[rows] > 0
        by = transits - self.base[rows]
        self._origin[rows] = np.where(known, self._origin[rows] + by, transits - _BASE_BIN * _BIN_TICKS)
        self._floors[:, rows] = np.where(known, self._floors[:, rows] + by, transits)
        self._peaks[:, rows] = np.where(known, self._peaks[:, rows] + by, transits)
        self.base[rows] = transits
        self.need[rows] = np.where(known, self.need[rows] + by, transits)
        new = rows[~known]
        self._weights[new] = 0
        self._weight[new] = 1

    def observe(self, rows: NDArray[np.intp], transits: NDArray[np.int64]) -> None:
        """Take one packet of each of these distinct rows."""
        # What nobody would wait for says nothing about how long to wait.
        useful = transits - self.base[rows] <= self._max_ticks
        if not everywhere(useful):
            rows, transits = rows[useful], transits[useful]
        # What lies outside is counted at the edge; a review moves the edges.
        bins = np.minimum(np.maximum(transits - self._origin[rows], 0) // _BIN_TICKS, _BINS - 1)
        # Instead of making all older packets lighter, the new ones grow heavier.
        weight = self._weight[rows]
        self._weights[rows, bins] += weight
        self._weight[rows] = weight * np.float32(_GROWTH)
        seen = self.seen[rows] + 1
        self.seen[rows] = seen
        self._floors[0, rows] = np.minimum(self._floors[0, rows], transits)
        self._peaks[0, rows] = np.maximum(self._peaks[0, rows], transits)
        self.base[rows] = np.minimum(self.base[rows], transits)
        turns = seen % _WINDOW_PACKETS == 0
        if somewhere(turns):
            turned = rows[turns]
            for ends in (self._floors, self._peaks):
                ends[1, turned] = ends[0, turned]
                ends[0, turned] = transits[turns]

    def review(self, rows: NDArray[np.intp]) -> None:
        """Bring `need` and `base` of these rows up to date; rows without a packet keep theirs."""
        sums = np.cumsum(self._weights[rows], axis=1)
        total = sums[:, -1:]
        origin = self._origin[rows]
        high = np.count_nonzero(sums < total * (1 - self.late_share[rows][:, None]), axis=1)
        base = self._floors[:, rows].min(axis=0)
        self.base[rows] = base
        peak = self._peaks[:, rows].max(axis=0)
        self.need[rows] = np.minimum(origin + (high + 1) * _BIN_TICKS, peak) + _GUARD_TICKS
        heavy = rows[self._weight[rows] > _HEAVY]
        self._weights[heavy] /= self._weight[heavy][:, None]
        self._weight[heavy] = 1
        away = (base - origin) // _BIN_TICKS - _BASE_BIN
        far = np.abs(away) > _BASE_BIN // 2
        if somewhere(far):
            self._move(rows[far], away[far])

    def _move(self, rows: NDArray[np.intp], by: NDArray[np.int64]) -> None:
        """Let the histograms of these rows begin `by` bins later; what falls off an edge stays on it."""
        old = self._weights[rows]
        self._weights[rows] = 0
        targets = np.clip(np.arange(_BINS) - by[:, None], 0, _BINS - 1)
        np.add.at(self._weights, (rows[:, None], targets), old)
        self._origin[rows] += by * _BIN_TICKS
