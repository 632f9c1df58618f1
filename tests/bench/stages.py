"""The two sets of stages that the capacity goals are about, as far as the plane has switches for them.

Parsing, latching, RFC 3550 statistics, the jitter ring with its delay and concealment, G.711, the energy
gate, the floor, playout, capture rings, level meters and the score of each line have no switch: they are part
of both.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from bridge.plane.spec import PlaneSettings

__all__ = ["STAGES", "StageSet", "Stages", "stage_set"]

Stages = Literal["basic", "all"]
STAGES: tuple[Stages, ...] = get_args(Stages)


@dataclass(frozen=True, slots=True)
class StageSet:
    """What one of the two means for the plane, for each row, and for the network before it."""

    name: Stages
    plane: PlaneSettings
    reports: bool
    """RTCP both ways; it shares the port of RTP (RFC 5761)."""
    loss: float
    """Part of the packets that the network loses, so that concealment has work to do."""


def stage_set(name: Stages) -> StageSet:
    """Look one up."""
    if name == "basic":
        return StageSet(name, PlaneSettings(inband_digits="never", fades=False), reports=False, loss=0.0)
    return StageSet(name, PlaneSettings(inband_digits="always", fades=True), reports=True, loss=0.01)
