"""How late is late: the same few figures for packets and for timers."""

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lateness", "of_packets"]


@dataclass(frozen=True, slots=True)
class Lateness:
    """Milliseconds."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    @classmethod
    def of(cls, late_ns: NDArray[np.int64]) -> Self:
        """Summarise; all zero when there is nothing."""
        if not len(late_ns):
            return cls(0.0, 0.0, 0.0, 0.0)
        p50, p99, p999 = np.percentile(late_ns, (50, 99, 99.9)) / 1e6
        return cls(*(round(float(v), 3) for v in (p50, p99, p999, late_ns.max() / 1e6)))

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def of_packets(
    arrival_ns: NDArray[np.int64], ssrc: NDArray[np.uint32], timestamp: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Lateness of each packet behind its own stream's grid of 20 ms.

    The grid of a stream goes through its quickest packet, as in RFC 3550 §6.4.1's transit times:
    a constant delay is not lateness, and an absolute delay cannot be told from outside.
    """
    order = np.argsort(ssrc, kind="stable")
    sources, begins = np.unique(ssrc[order], return_index=True)
    late = np.zeros(len(ssrc), np.int64)
    for index in np.split(order, begins[1:]) if len(sources) else []:
        ticks = (timestamp[index].astype(np.int64) - int(timestamp[index[0]]) + 2**31) % 2**32 - 2**31
        transit = arrival_ns[index] - ticks * 125_000
        late[index] = transit - transit.min()
    return late
