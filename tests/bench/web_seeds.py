"""Silences of a lossy browser line over many seeds, for `bench_webrtc`: no socket, and a clock of its own.

So its figures depend on no machine; the same seed gives the same silences.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.traces.browser import carry, lossy_line, silences, spoken

__all__ = ["LONGEST_MS", "burst_of", "seeded"]

LONGEST_MS = 60
_BEGIN_MS, _END_MS = 1000.0, 500.0
_GOLDEN_MS = 20 * 0.618
"""Phases between their packets and our frames, spread evenly whatever the number of seeds."""


def seeded(
    pcm: NDArray[np.int16], *, seeds: int, seconds: float, loss: float, jitter_ms: int
) -> list[dict[str, Any]]:
    """Play so many lines with error correction and so many without.

    Args:
        pcm: What is said, without pauses, at 48 kHz.
        seeds: Lines of each kind.
        seconds: Length of each.
        loss: Share of packets lost.
        jitter_ms: Most delay of a packet.
    """
    found = []
    for has_fec in (True, False):
        packets = spoken(pcm, has_fec=has_fec)
        lasted: list[int] = []
        long: list[dict[str, float]] = []
        for seed in range(1, seeds + 1):
            line = lossy_line(seed, seconds, loss=loss, jitter_ms=jitter_ms)
            heard = carry(packets, line, phase_ms=seed * _GOLDEN_MS % 20)
            for each in silences(heard, packets, from_ms=_BEGIN_MS, until_ms=seconds * 1000 - _END_MS):
                lasted.append(each.lasted_ms)
                if each.lasted_ms > LONGEST_MS:
                    burst = burst_of(line, at_ms=each.at_ms)
                    long.append({"seed": seed, "at_ms": each.at_ms, "ms": each.lasted_ms, "burst": burst})
        found.append(
            {
                "has_fec": has_fec,
                "seeds": seeds,
                "seconds": seconds,
                "silences": len(lasted),
                "longest_ms": max(lasted, default=0),
                "over_40": sum(ms > 40 for ms in lasted),
                "over_60": long,
            }
        )
    return found


def burst_of(line: NDArray[np.float64], *, at_ms: float) -> int:
    """Most packets lost in a row in the quarter of a second before something was heard."""
    longest = run = 0
    for lost in ~np.isfinite(line[max(0, int(at_ms / 20) - 12) : int(at_ms / 20) + 1]):
        run = run + 1 if lost else 0
        longest = max(longest, run)
    return longest
