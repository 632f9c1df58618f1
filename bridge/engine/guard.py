"""One broken row must not cost the others their tick."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bridge.engine.sockets import FOREVER_NS
from bridge.plane.packets import Arrivals, Departures

__all__ = ["RowGuard"]

Receive = Callable[[Arrivals], None]
Build = Callable[[NDArray[np.intp]], Departures]


class RowGuard:
    """Runs the plane's two big steps; when one raises, it is repeated row by row to find the culprit.

    The plane checks its own invariants; this is for the faults that nobody thought of. A repeated
    packet is a duplicate to the rows that had taken it already, so the sound ones lose nothing.
    """

    def __init__(self) -> None:
        self._failures: dict[int, Exception] = {}

    def drain(self) -> dict[int, Exception]:
        """Rows that raised since the last call, and what; take them out of service."""
        failures, self._failures = self._failures, {}
        return failures

    def receive(self, step: Receive, arrivals: Arrivals) -> None:
        """Hand a batch of packets to the plane."""
        try:
            step(arrivals)
        except Exception:
            count = arrivals.count
            for row in np.unique(arrivals.rows[:count]).tolist():
                try:
                    step(_only(arrivals, row))
                except Exception as error:
                    self._failures[row] = error

    def build(self, step: Build, rows: NDArray[np.intp], due_ns: NDArray[np.int64]) -> list[Departures]:
        """Have the packets of all due rows built: one batch, or one each after a fault."""
        try:
            return [step(rows)]
        except Exception:
            built = []
            for row in rows.tolist():
                try:
                    built.append(_copy(step(np.array([row], np.intp))))
                except Exception as error:
                    due_ns[row] = FOREVER_NS
                    self._failures[row] = error
            return built


def _only(arrivals: Arrivals, row: int) -> Arrivals:
    chosen = np.flatnonzero(arrivals.rows[: arrivals.count] == row)
    some = Arrivals(len(chosen))
    some.packets[:] = arrivals.packets[chosen]
    some.lengths[:] = arrivals.lengths[chosen]
    some.rows[:] = row
    some.sources[:] = arrivals.sources[chosen]
    some.is_rtcp[:] = arrivals.is_rtcp[chosen]
    some.waited_ns[:] = arrivals.waited_ns[chosen]
    some.count = len(chosen)
    return some


def _copy(departures: Departures) -> Departures:
    """What a plane returns is valid until its next `build` only."""
    return Departures(
        departures.packets.copy(),
        departures.lengths.copy(),
        departures.rows.copy(),
        departures.destinations.copy(),
    )
