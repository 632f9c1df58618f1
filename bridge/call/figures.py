"""What is said of a call in a few figures: how it sounds, why we were silent, how long interruptions took."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["SILENCES", "StageFigure", "quality_of", "silence_of", "told_stages"]

_TICKS_PER_MS = 8.0
_FRAME_MS = 20
SILENCES = ("idle", "tts_late", "bridge_late", "held", "ducked", "keys")
"""Causes of silent frames, as the playout counts them."""


@dataclass(slots=True)
class StageFigure:
    """How long one stage of a call's interruptions took."""

    count: int = 0
    last_ms: float = 0.0
    worst_ms: float = 0.0
    over: int = 0
    """How often it was over budget."""

    def take(self, took_ms: float, *, is_over: bool) -> None:
        """Account for one more."""
        self.count += 1
        self.last_ms = took_ms
        self.worst_ms = max(self.worst_ms, took_ms)
        self.over += is_over


def told_stages(figures: Mapping[str, StageFigure]) -> dict[str, dict[str, Any]]:
    """The figures of each stage, for JSON."""
    return {
        name: asdict(figure) | {"last_ms": round(figure.last_ms, 1), "worst_ms": round(figure.worst_ms, 1)}
        for name, figure in figures.items()
    }


def quality_of(media: Mapping[str, float]) -> dict[str, float | None]:
    """How a call sounds in both directions; None for what is not known.

    ``in`` is what we hear, ``out`` what the caller hears, as its RTCP reports tell; losses are shares.

    Args:
        media: The leg's counters, by the names of `bridge.plane.columns.Columns`.
    """
    told: dict[str, float | None] = {
        name: round(score, 2) if (score := media.get(name, 0.0)) > 0 else None
        for name in ("mos_in", "mos_out", "mos_in_lowest", "mos_out_lowest")
    }
    hears_us, hears_them = told["mos_out"] is not None, told["mos_in"] is not None
    told["jitter_in_ms"] = round(media.get("jitter_ticks", 0.0) / _TICKS_PER_MS, 1) if hears_them else None
    told["jitter_out_ms"] = round(media.get("jitter_out_ticks", 0.0) / _TICKS_PER_MS, 1) if hears_us else None
    told["loss_in"] = round(media.get("loss_in", 0.0), 4) if hears_them else None
    told["loss_out"] = round(media.get("loss_out", 0.0), 4) if hears_us else None
    trip_ms = media.get("round_trip_ms", 0.0)
    told["round_trip_ms"] = round(trip_ms, 1) if trip_ms > 0 else None
    return told


def silence_of(media: Mapping[str, float]) -> dict[str, int]:
    """For how long we sent silence, in ms, by its cause."""
    return {cause: round(media.get(f"silence_{cause}", 0)) * _FRAME_MS for cause in SILENCES}
