"""What many runs say together about capacity: medians, what lateness is ours, which costs are fixed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from bridge.engine.budget import ticks_of
from tests.bench.stages import Stages
from tests.bench.stand import Run

__all__ = ["GOALS", "Cell", "Goal", "cost_line"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What 1000 rows on shared ports are to show."""

    core_percent: float
    excess_ms: float = 3.0
    """p99 lateness over the probe's, in the median run."""
    lost: int = 0


GOAL_LEGS = 1000
GOALS: dict[Stages, Goal] = {"basic": Goal(core_percent=65.0), "all": Goal(core_percent=85.0)}


@dataclass(slots=True)
class Cell:
    """One number of calls, carried in one way, as often as asked."""

    legs: int
    shared: bool
    stages: Stages
    runs: list[Run] = field(default_factory=list)
    """All of them, those discarded too."""

    @property
    def valid(self) -> list[Run]:
        return [run for run in self.runs if run.is_valid]

    @property
    def discarded(self) -> int:
        return len(self.runs) - len(self.valid)

    def wants(self, repeat: int) -> bool:
        """Whether to run once more: until so many are valid, but at most twice as often and once."""
        return len(self.valid) < repeat and len(self.runs) < 2 * repeat + 1

    @property
    def cost_ms(self) -> float:
        """CPU per call-second, median."""
        return self._median(lambda run: run.cpu_ms_per_call_s)

    @property
    def core_percent(self) -> float:
        """Of one core, median."""
        return self.cost_ms * self.legs / 10

    @property
    def middle(self) -> Run | None:
        """The median run by what its p99 lateness is over its probe's; the worse one of two in the middle."""
        ordered = sorted(self.valid, key=excess_ms)
        return ordered[len(ordered) // 2] if ordered else None

    @property
    def lost(self) -> int:
        """Either way, in all valid runs together."""
        return sum(int(run.far_end["lost"]) + int(run.far_end["lost_in"]) for run in self.valid)

    @property
    def is_exact(self) -> bool:
        return all(run.exact for run in self.valid)

    def verdicts(self) -> dict[str, bool]:
        """By goal, whether it is met; empty where there is none for this cell, or no valid run."""
        middle = self.middle
        if self.legs != GOAL_LEGS or not self.shared or middle is None:
            return {}
        goal = GOALS[self.stages]
        met = {
            f"at most {goal.core_percent:.0f} % of a core": self.core_percent <= goal.core_percent,
            "nothing lost": self.lost <= goal.lost,
        }
        if middle.realtime:
            met[f"p99 at most {goal.excess_ms:.0f} ms over the timer's"] = excess_ms(middle) <= goal.excess_ms
        return met

    def as_json(self) -> dict[str, Any]:
        middle = self.middle
        return {
            "legs": self.legs,
            "shared_ports": self.shared,
            "stages": self.stages,
            "valid_runs": len(self.valid),
            "discarded_runs": self.discarded,
            "cpu_ms_per_call_s": round(self.cost_ms, 4) if middle else None,
            "core_percent": round(self.core_percent, 2) if middle else None,
            "lost": self.lost,
            "speech_exact": self.is_exact if middle else None,
            "median_excess_ms": round(excess_ms(middle), 3) if middle else None,
            "goals": self.verdicts(),
            "runs": [run.as_json() for run in self.runs],
        }

    def _median(self, figure: Callable[[Run], float]) -> float:
        figures = [figure(run) for run in self.valid]
        return median(figures) if figures else float("nan")


def excess_ms(run: Run) -> float:
    """How much later our p99 is than that of the bare timer beside it."""
    return float(run.far_end["lateness"]["p99_ms"] - run.probe["p99_ms"])


def cost_line(cells: Sequence[Cell]) -> tuple[float, float] | None:
    """What explains the cores' shares best: percent per tick in 20 ms, and percent per call.

    Needs two cells that differ in the calls of a tick.
    """
    valid = [cell for cell in cells if cell.valid]
    parts = np.array([(ticks_of(cell.legs), cell.legs) for cell in valid], np.float64).reshape(-1, 2)
    if np.linalg.matrix_rank(parts) < 2:
        return None
    (tick, call), *_ = np.linalg.lstsq(parts, np.array([cell.core_percent for cell in valid]))
    return float(tick), float(call)
