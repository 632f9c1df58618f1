"""What a far end kept of each call of the survival benchmark, and what can be said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameNames", "Heard", "Stream", "account"]

_MS = 1_000_000
_AROUND_NS = 2_000 * _MS
"""How long after a death its gap is looked for."""
_BEFORE_NS = 100 * _MS
Heard = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FrameNames:
    """What frames say of themselves; -1 where they say nothing that is true of any."""

    legs: NDArray[np.int64]
    frames: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stream:
    """Every packet that came of one call's stream, in order of arrival."""

    arrival_ns: NDArray[np.int64]
    sequence: NDArray[np.int64]
    """16 bits."""
    timestamp: NDArray[np.int64]
    """32 bits."""
    payloads: NDArray[np.uint8]
    """``[k, most]``; as they were before encryption."""
    lengths: NDArray[np.int64]
    """Of the payloads; 0 for a packet that could not be decrypted."""

    def __len__(self) -> int:
        return len(self.sequence)


def account(
    streams: Sequence[Stream],
    names: Sequence[FrameNames],
    deaths_ns: list[int],
    *,
    cycle: int,
    is_exact: bool,
) -> Heard:
    """What became of every call, by what arrived.

    Args:
        streams: By leg.
        names: What their packets say.
        deaths_ns: When processes were killed.
        cycle: Frames after which names begin anew.
        is_exact: Whether frames that say nothing count as missing.
    """
    totals: Heard = dict.fromkeys(
        ("packets", "twice", "foreign", "lost_frames", "repeated_frames", "nameless", "reordered"), 0
    )
    gaps: list[list[float]] = [[] for _ in deaths_ns]
    skips: list[int] = []
    alive = 0
    last_ns = max(int(stream.arrival_ns.max(initial=0)) for stream in streams)
    for leg, (stream, said) in enumerate(zip(streams, names, strict=True)):
        totals["packets"] += len(stream)
        if not len(stream):
            continue
        alive += bool(stream.arrival_ns[-1] > last_ns - 100 * _MS)
        unwrapped = np.unwrap(stream.sequence, period=1 << 16).astype(np.int64)
        totals["twice"] += len(unwrapped) - len(np.unique(unwrapped))
        steps = np.diff(unwrapped)
        totals["reordered"] += int(np.count_nonzero(steps < 0))
        skips += steps[steps > 1].tolist()
        totals["foreign"] += int(np.count_nonzero((said.legs >= 0) & (said.legs != leg)))
        _count_frames(said, leg, totals, cycle=cycle, is_exact=is_exact)
        for found, at_ns in zip(gaps, deaths_ns, strict=True):
            found.append(_gap_ms(stream.arrival_ns, at_ns))
    return {
        **totals,
        "alive": alive,
        "skips": {str(step): skips.count(step) for step in sorted(set(skips))},
        "gaps_ms": [_quantiles(found) for found in gaps],
    }


def _count_frames(said: FrameNames, leg: int, totals: Heard, *, cycle: int, is_exact: bool) -> None:
    """Speech goes on with the next frame; one that was built and not sent may be missing."""
    own = np.flatnonzero(said.legs == leg)
    if not len(own):
        return
    steps = np.diff(np.unwrap(said.frames[own], period=cycle).astype(np.int64))
    between = np.diff(own) - 1
    totals["nameless"] += int(between.sum())
    # A frame of a codec with a memory may be blurred beside a gap: it was there, though nobody can read it.
    missed = steps - 1 if is_exact else steps - 1 - between
    totals["lost_frames"] += int(missed[missed > 0].sum())
    totals["repeated_frames"] += int(np.count_nonzero(steps < 1 if is_exact else missed < 0))


def _gap_ms(arrival_ns: NDArray[np.int64], death_ns: int) -> float:
    """The longest time without a packet around a death."""
    near = arrival_ns[(arrival_ns > death_ns - _BEFORE_NS) & (arrival_ns < death_ns + _AROUND_NS)]
    return float(np.diff(np.concatenate((near, [death_ns + _AROUND_NS]))).max()) / _MS


def _quantiles(gaps_ms: list[float]) -> dict[str, float]:
    p50, p99, most = np.quantile(gaps_ms, [0.5, 0.99, 1.0], method="higher").tolist()
    return {"p50": round(p50, 1), "p99": round(p99, 1), "max": round(most, 1)}
