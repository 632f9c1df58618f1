"""How long each stage of a barge-in took, and which stage took longer than it may.

t0 the onset leaves the caller · t1 the gate opens · t2 the first silent packet · t3 the verdict · t4 the
playout is flushed · t5 the cancel is written · t6 a warm connection is bound · t7 the next reply is heard.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol

__all__ = ["STAGES", "BargeInTrace", "Breach", "Budget", "Stage", "Timed"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch between two marks that a budget covers."""

    name: str
    begins: str
    ends: str


STAGES: tuple[Stage, ...] = (
    Stage("mute", "t0", "t2"),
    Stage("verdict", "t1", "t3"),
    Stage("flush", "t3", "t4"),
    Stage("cancel", "t4", "t5"),
    Stage("spare_ready", "t4", "t6"),
    Stage("next_audio", "next_text", "t7"),
)
"""In the order in which they end. The next reply's time counts from its first text, not from the flush:
how long an agent thinks is not ours."""


class Timed(Protocol):
    """Anything that knows how long its stages took."""

    def stages_ms(self) -> Mapping[str, float]:
        """Durations by the names of `STAGES`; only those that were measured."""
        ...


@dataclass(slots=True)
class BargeInTrace:
    """The marks of one interruption in monotonic ns; None until (or unless) a mark is reached."""

    t0: int | None = None
    t1: int | None = None
    t2: int | None = None
    t3: int | None = None
    t4: int | None = None
    t5: int | None = None
    t6: int | None = None
    next_text: int | None = None
    """When the next reply's first text was handed over."""
    t7: int | None = None

    def took_ms(self, stage: Stage) -> float | None:
        """Return how long `stage` took; None while one of its marks is missing."""
        begins, ends = getattr(self, stage.begins), getattr(self, stage.ends)
        return None if begins is None or ends is None else (ends - begins) / 1e6

    def stages_ms(self) -> dict[str, float]:
        """Every stage whose both marks are known, by name."""
        measured = ((stage.name, self.took_ms(stage)) for stage in STAGES)
        return {name: took for name, took in measured if took is not None}


@dataclass(frozen=True, slots=True)
class Breach:
    """One stage that took longer than its budget."""

    stage: str
    took_ms: float
    allowed_ms: float

    def __str__(self) -> str:
        return f"{self.stage} took {self.took_ms:.1f} ms, {self.allowed_ms:g} ms are allowed"


@dataclass(frozen=True, slots=True)
class Budget:
    """What each stage may take, in ms; the defaults suit a busy laptop."""

    mute: float = 150.0
    verdict: float = 350.0
    flush: float = 50.0
    cancel: float = 50.0
    spare_ready: float = 50.0
    next_audio: float = 1000.0

    @classmethod
    def from_ms(cls, allowed: Mapping[str, float]) -> "Budget":
        """Read ``[bargein.budget_ms]``; stages left out keep their default.

        Raises:
            KeyError: If a name is no stage.
        """
        if unknown := set(allowed) - {field.name for field in fields(cls)}:
            raise KeyError(f"no such stage: {', '.join(sorted(unknown))}")
        return cls(**allowed)

    def check(self, trace: Timed) -> list[Breach]:
        """Return the stages of `trace` that broke the budget; a stage without marks breaks nothing."""
        allowed = {field.name: float(getattr(self, field.name)) for field in fields(self)}
        return [
            Breach(name, took, allowed[name])
            for name, took in trace.stages_ms().items()
            if name in allowed and took > allowed[name]
        ]
