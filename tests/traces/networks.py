"""Networks that a call may meet, made from a seed: how long each packet took, and which never came.

A trace is two columns, one entry a packet: milliseconds of delay beyond the fastest way, and what was
lost. Routers queue, so packets overtake one another only where a trace says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PTIME_MS", "TRACES", "Trace", "make"]

PTIME_MS = 20.0
Delays = NDArray[np.float64]
Dice = np.random.Generator


@dataclass(frozen=True, slots=True)
class Trace:
    """What a network did to the packets of one call, sent every 20 ms by the sender's clock."""

    name: str
    sent_ms: Delays
    """When each packet left, by the receiver's clock."""
    arrived_ms: Delays
    """When it came: infinite if it was lost."""

    @property
    def came(self) -> NDArray[np.bool_]:
        return np.isfinite(self.arrived_ms)

    def transit_ms(self) -> Delays:
        """Way of each packet that came, by the sender's own clock: under drift it grows or shrinks."""
        transit = self.arrived_ms - np.arange(len(self.sent_ms)) * PTIME_MS
        return transit[self.came]


def make(name: str, *, seconds: float = 60.0, seed: int = 1) -> Trace:
    """Make one of `TRACES` anew: the same seed gives the same trace."""
    count = int(seconds * 1000 / PTIME_MS)
    dice = np.random.default_rng([seed, list(TRACES).index(name)])
    nominal = np.linspace(0.0, count * PTIME_MS, count, endpoint=False)
    sent, delay, lost, is_queue = TRACES[name](nominal, dice)
    arrived = sent + delay
    arrived = np.where(lost, np.inf, arrived)
    if is_queue:
        kept = ~lost
        arrived[kept] = np.maximum.accumulate(arrived[kept])
    return Trace(name, sent, arrived)


Made = tuple[Delays, Delays, NDArray[np.bool_], bool]


def _breath(count: int, dice: Dice, scale_ms: float = 0.8) -> Delays:
    """Jitter of a line at rest: always late, seldom by much."""
    return dice.exponential(scale_ms, count)


def _none(count: int) -> NDArray[np.bool_]:
    return np.zeros(count, np.bool_)


def _calm(sent: Delays, dice: Dice) -> Made:
    return sent, _breath(len(sent), dice), _none(len(sent)), True


def _wifi_bursts(sent: Delays, dice: Dice) -> Made:
    """Now and then the radio retries for a while: what waited comes in one burst."""
    delay = _breath(len(sent), dice, 1.5)
    at = 0.0
    while (at := at + dice.exponential(900.0)) < sent[-1]:
        # The queue holds everything until the retries end: the first waits longest.
        length = dice.gamma(2.0, 16.0)
        delay += np.where((sent >= at) & (sent < at + length), at + length - sent, 0.0)
    return sent, delay, dice.random(len(sent)) < 0.002, True


def _lte_steps(sent: Delays, dice: Dice) -> Made:
    """Scheduling at a grant every few milliseconds, and a level that changes every few seconds."""
    level, at = np.zeros(len(sent)), 0.0
    while at < sent[-1]:
        level[sent >= at] = dice.choice([0.0, 10.0, 20.0, 35.0, 50.0])
        at += dice.uniform(3000.0, 9000.0)
    delay = level + dice.integers(0, 3, len(sent)) * 4.0 + _breath(len(sent), dice, 1.0)
    return sent, delay, dice.random(len(sent)) < 0.001, True


def _gilbert_elliott(sent: Delays, dice: Dice) -> Made:
    """Two states: hardly a loss, and a third lost for about 90 ms (about 3 % in all)."""
    lost, bad = _none(len(sent)), False
    for at in range(len(sent)):
        bad = dice.random() < (0.78 if bad else 0.022)
        lost[at] = dice.random() < (0.33 if bad else 0.002)
    return sent, _breath(len(sent), dice, 1.0), lost, True


def _reordering(sent: Delays, dice: Dice) -> Made:
    """Two ways of different length: one packet in twenty goes the longer one and is overtaken."""
    detour = dice.random(len(sent)) < 0.05
    return (
        sent,
        _breath(len(sent), dice) + detour * dice.uniform(25.0, 45.0, len(sent)),
        _none(len(sent)),
        False,
    )


def _drift(ppm: float) -> Callable[[Delays, Dice], Made]:
    def made(sent: Delays, dice: Dice) -> Made:
        return sent * (1 + ppm * 1e-6), _breath(len(sent), dice, 1.5), _none(len(sent)), True

    return made


def _spikes(sent: Delays, dice: Dice) -> Made:
    """Every six seconds or so the line stands still for 80 to 160 ms, then delivers everything at once."""
    delay, at = _breath(len(sent), dice), 0.0
    while (at := at + dice.uniform(3000.0, 9000.0)) < sent[-1]:
        length = dice.uniform(80.0, 160.0)
        delay += np.where((sent >= at) & (sent < at + length), at + length - sent, 0.0)
    return sent, delay, _none(len(sent)), True


def _handover(sent: Delays, dice: Dice) -> Made:
    """To a cell 80 ms further away after a third of the call, and back again after two."""
    far = (sent > sent[-1] / 3) & (sent < sent[-1] * 2 / 3)
    lost = _none(len(sent))
    for border in (sent[-1] / 3, sent[-1] * 2 / 3):
        lost |= (sent > border) & (sent < border + 50.0)
    return sent, far * 80.0 + _breath(len(sent), dice, 2.0), lost, True


def _mobile(sent: Delays, dice: Dice) -> Made:
    """A slow random walk of the queue under jitter, with bursts of loss."""
    walk = np.abs(np.cumsum(dice.normal(0.0, 1.1, len(sent)))) % 60.0
    delay = np.where(walk > 30.0, 60.0 - walk, walk)
    lost = np.repeat(dice.random(-(-len(sent) // 3)) < 0.006, 3)[: len(sent)]
    return sent, delay + _breath(len(sent), dice, 2.5), lost, True


TRACES: dict[str, Callable[[Delays, Dice], Made]] = {
    "calm": _calm,
    "Wi-Fi bursts": _wifi_bursts,
    "LTE steps": _lte_steps,
    "Gilbert-Elliott loss": _gilbert_elliott,
    "reordering": _reordering,
    "drift +200 ppm": _drift(200.0),
    "drift -200 ppm": _drift(-200.0),
    "spikes": _spikes,
    "handover": _handover,
    "mobile": _mobile,
}
