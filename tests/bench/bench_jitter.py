"""`python -m tests.bench.bench_jitter`: the jitter ring on seeded networks, beside a fixed delay that knew.

Delay is counted from the moment at which the fastest packet would have come to the one in which it is
heard, the mean over the phases between their packets and our frames. Late is sound that had to be made up
although its packet came in the end, as a share of all sound; what the network lost does not count. Our delay
at a given share late is read off the curve that different aims (`PlaneSettings.late_share`) give; where even
the loosest aim is late less often, its delay stands.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.plane.spec import PlaneSettings
from tests.bench.jitter_peers import Peer, installed
from tests.traces.networks import PTIME_MS, TRACES, Trace, make
from tests.traces.replay import Played, best_fixed, pops, replay

__all__ = ["Row", "at_share", "play_peer", "table"]

_AIMS = [0.0005, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08]
_SHARES = (0.005, 0.01)


def at_share(curve: list[Played], late_share: float) -> float:
    """Delay at which so much would be late; not a number where the curve begins above it."""
    points = sorted((played.late_share, played.delay_ms) for played in curve)
    if late_share < points[0][0]:
        return float("nan")
    shares, delays = zip(*points, strict=True)
    return float(np.interp(late_share, np.array(shares), np.array(delays)))


def play_peer(trace: Trace, build: Callable[[], Peer], *, phases: int) -> Played:
    """Play the trace to somebody else's buffer, one for each phase."""
    peers = [build() for _ in range(phases)]
    begun = [False] * phases
    delays, silent, count = [], 0, 0
    least = trace.transit_ms().min()
    for at_ms, kind, number in pops(trace, np.arange(phases) * PTIME_MS / phases):
        if kind == 0:
            for peer in peers:
                peer.put(number, at_ms=at_ms)
            continue
        got = peers[number].get(at_ms=at_ms)
        begun[number] |= got is not None
        if got is not None:
            delays.append(at_ms - got * PTIME_MS - least)
        elif begun[number]:
            silent += 1
        count += begun[number]
    lost = int(np.count_nonzero(~trace.came)) * phases
    return Played(float(np.mean(delays)), max(silent - lost, 0) / count)


@dataclass(frozen=True, slots=True)
class Row:
    """One trace: pairs at 0.5 % and at 1 % late; points are delay in ms and what was late in %."""

    trace: str
    fixed_ms: list[float]
    ours_ms: list[float]
    ratio: list[float]
    ratio_worst_seed: list[float]
    as_set: dict[str, list[float]]


def measure(name: str, seeds: int, phases: int, peers: dict[str, Callable[[], Peer]]) -> Row:
    """One row of the table: means over the seeds."""
    fixed: list[list[float]] = []
    ours: list[list[float]] = []
    usual: list[Played] = []
    others: dict[str, list[Played]] = {peer: [] for peer in peers}
    default = PlaneSettings().late_share
    for seed in range(1, seeds + 1):
        trace = make(name, seed=seed)
        curve = replay(trace, _AIMS, phases=phases)
        usual.append(curve[_AIMS.index(default)])
        fixed.append([best_fixed(trace, share, phases=phases) for share in _SHARES])
        ours.append([at_share(curve, share) for share in _SHARES])
        for peer, build in peers.items():
            others[peer].append(play_peer(trace, build, phases=phases))
    ratios = np.array(ours) / np.array(fixed)
    return Row(
        trace=name,
        fixed_ms=np.mean(fixed, axis=0).round(1).tolist(),
        ours_ms=np.mean(ours, axis=0).round(1).tolist(),
        ratio=ratios.mean(axis=0).round(2).tolist(),
        ratio_worst_seed=ratios.max(axis=0).round(2).tolist(),
        as_set={"ours": _mean(usual), **{peer: _mean(played) for peer, played in others.items()}},
    )


def _mean(played: list[Played]) -> list[float]:
    """Delay in ms, and what was late in %."""
    return [
        round(float(np.mean([p.delay_ms for p in played])), 1),
        round(float(np.mean([p.late_share for p in played])) * 100, 2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_jitter", description=__doc__)
    parser.add_argument("--extras", help="folder with aiortc and aiortp (pip install --target)")
    parser.add_argument("--seeds", type=int, default=3, help="traces of each kind")
    parser.add_argument("--phases", type=int, default=20, help="phases between packets and frames")
    parser.add_argument("--out", type=Path, default=Path("out/bench/jitter.json"))
    told = parser.parse_args()
    if told.extras:
        sys.path.append(told.extras)
    peers, missing = installed()
    console = Console() if sys.stdout.isatty() else Console(width=150)
    rows = []
    for name in TRACES:
        rows.append(measure(name, told.seeds, told.phases, peers))
        console.print(f"{name}: ratio {rows[-1].ratio}", style="dim")
    console.print(table(rows, missing))
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(
        json.dumps(
            {"shares": _SHARES, "rows": [asdict(row) for row in rows], "not_installed": missing}, indent=2
        )
        + "\n",
        encoding="utf-8",
    )
    console.print(f"written to {told.out}", style="dim")


def table(rows: list[Row], missing: dict[str, str]) -> Table:
    """A line for each trace; a peer that is not installed keeps its column, and below is how to get it."""
    grid = Table(
        title="Added delay in ms at 0.5 % / 1 % late, and delay / late as set",
        title_justify="left",
        caption="\n".join(f"{peer} is not installed: {remedy}" for peer, remedy in missing.items()),
        caption_justify="left",
    )
    grid.add_column("trace")
    peers = (*rows[0].as_set, *missing)
    for column in ("best fixed", "ours", "ratio", "worst seed", *(f"{n} as set" for n in peers)):
        grid.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        pairs = (row.fixed_ms, row.ours_ms, row.ratio, row.ratio_worst_seed)
        grid.add_row(
            row.trace,
            *(f"{half} / {one}" for half, one in pairs),
            *(f"{delay} / {late} %" for delay, late in row.as_set.values()),
            *("not installed" for _ in missing),
        )
    return grid


if __name__ == "__main__":
    main()
