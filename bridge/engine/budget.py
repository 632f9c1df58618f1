"""How many calls one media process may carry: a call that does not fit is refused before it starts."""

from dataclasses import dataclass

from bridge.plane.codec import G722, L16_8K, L16_16K, L16_48K, OPUS, PCMA, PCMU

__all__ = ["LIMIT", "SLOTS", "SLOT_WORK", "Budget", "Costs", "ticks_of", "weight_of"]

LIMIT = 0.75
"""Share of a core that planned work may take; the rest is for what no plan knows."""
SLOT_WORK = 192
"""Calls in G.711 that share a slot before the next one is begun: every slot in use costs a wake-up and
0.3 ms, and in a slot of so many the last packet is a millisecond and a half later than the first."""
_SLOT_NS = 20_000_000
SLOTS = 5
"""The most that 20 ms have; the fewer calls, the fewer are in use."""
_WINDOW_NS = 2_000_000_000
"""The load is looked at no more often than this."""
_TELLING = 0.3
"""Share below which the load tells nothing: with few calls most of it is waking up."""
_LEAST, _MOST = 0.5, 4.0
_LEARNING = 0.5
_ALWAYS = 50.0
"""So much is taken whatever was measured: a machine that stood still for a moment is no reason to refuse."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a tick takes on this machine, as `bridge.engine.calibrate` has measured it."""

    tick_ns: int
    """A tick without a single packet."""
    pair_ns: int
    """One packet received and one sent, G.711, the kernel's part included."""

    def share(self, calls: float) -> float:
        """Part of one core that so many G.711 calls take."""
        return (ticks_of(calls) * self.tick_ns + calls * self.pair_ns) / _SLOT_NS

    def within(self, share: float) -> int:
        """Most G.711 calls that stay within this part of a core, all ticks in use; 0 if none does."""
        return max(0, int((share * _SLOT_NS - SLOTS * self.tick_ns) / max(1, self.pair_ns) + 1e-6))

    @property
    def calls(self) -> int:
        """Most G.711 calls that stay within `LIMIT`; 0 if none does."""
        return self.within(LIMIT)


def ticks_of(calls: float) -> int:
    """Slots that so many G.711 calls use, and so the ticks they make in 20 ms."""
    return max(1, min(SLOTS, -(-int(calls) // SLOT_WORK)))


_FREE = Costs(0, 0)
_WEIGHTS = {PCMU: 1.0, PCMA: 1.0, L16_8K: 3.0, L16_16K: 3.0, L16_48K: 4.0, G722: 5.5, OPUS: 24.0}
"""What legs cost beside a G.711 one, measured by `tests.bench.bench_weights`."""
_SRTP_WEIGHT = 0.8


def weight_of(rate_hz: int, codec: int | None = None, *, is_encrypted: bool = False) -> float:
    """What a leg costs, in G.711 legs.

    Args:
        rate_hz: Audio rate of its row.
        codec: Number of its codec (`bridge.plane.codec`); None while only the rate is known.
        is_encrypted: Whether it speaks SRTP.
    """
    if codec is None:
        # The usual one of each rate.
        codec = {8000: PCMU, 16_000: G722}.get(rate_hz, OPUS)
    return _WEIGHTS[codec] + (_SRTP_WEIGHT if is_encrypted else 0.0)


class Budget:
    """What is planned for one media process, in G.711 calls, corrected by what it really takes.

    Args:
        costs: Measured at the start of that process; None admits everything until `begin`.
    """

    def __init__(self, costs: Costs | None = None) -> None:
        self._costs = costs or _FREE
        self._planned = 0.0
        self._factor = 1.0
        self._seen: tuple[int, int, float] | None = None

    def begin(self, costs: Costs) -> None:
        """Take what has been measured; what is planned stays planned."""
        self._costs = costs

    @property
    def planned(self) -> float:
        """What is carried and promised, in G.711 calls."""
        return self._planned

    @property
    def share(self) -> float:
        """Part of a core that this takes, as far as is known."""
        return self._costs.share(self._planned) * self._factor

    @property
    def calls(self) -> int:
        """Most G.711 calls that fit, by what has been seen so far; 0 before `begin`."""
        if self._costs is _FREE:
            return 0
        return self._costs.within(LIMIT / self._factor)

    def fits(self, weight: float) -> bool:
        """Whether one more leg that costs as much as `weight` G.711 calls stays within the limit."""
        return self._costs is _FREE or self._planned + weight <= max(self.calls, _ALWAYS)

    def take(self, weight: float) -> None:
        """Plan for one more leg."""
        self._planned += weight

    def give_back(self, weight: float) -> None:
        """A leg has ended."""
        self._planned = max(0.0, self._planned - weight)

    def observe(self, cpu_ns: int, *, now_ns: int) -> None:
        """Compare the plan with the CPU time that the process has had; cheap, to be called at any time."""
        if self._seen is None:
            self._seen = (cpu_ns, now_ns, self._planned)
            return
        cpu_before_ns, before_ns, planned_before = self._seen
        if now_ns - before_ns < _WINDOW_NS:
            return
        self._seen = (cpu_ns, now_ns, self._planned)
        if self._costs is _FREE:
            return
        plan = self._costs.share((planned_before + self._planned) / 2)
        if plan >= _TELLING:
            seen = (cpu_ns - cpu_before_ns) / (now_ns - before_ns) / plan
            self._factor += _LEARNING * (min(max(seen, _LEAST), _MOST) - self._factor)
