"""`make bench`: what a call costs and how punctual its packets are, as the far end sees it.

Every figure stands beside a bare 20 ms timer that ran at the same time; a run whose generator could not
keep up is marked, counted and not used. Nothing here asserts: machines differ.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.machine import provenance
from tests.bench.stand import Run, baseline_run, engine_run

_LEGS = (1, 100, 500)
_BASELINE_LEGS = 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--legs", type=int, nargs="+", default=list(_LEGS), help="numbers of calls")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each run, warm-up apart")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each kind; all are reported")
    parser.add_argument(
        "--baseline", type=int, default=_BASELINE_LEGS, help="calls of the baseline; 0 for none"
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/media.json"))
    told = parser.parse_args()
    # Logs have no width; a table that wraps cannot be compared.
    console = Console() if sys.stdout.isatty() else Console(width=116)
    runs = asyncio.run(measure(told, console))
    table(runs, console)
    ratio = baseline_ratio(runs, told.baseline)
    if ratio is not None:
        console.print(
            f"At {told.baseline} calls the usual design (asyncio: a task, a socket and a codec call a packet "
            f"for each call) takes [bold]{ratio:.1f} times[/bold] the CPU of the engine, in the same run."
        )
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(document(runs, ratio), indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


async def measure(told: argparse.Namespace, console: Console) -> list[Run]:
    runs = []
    legs = sorted({*told.legs, *([told.baseline] if told.baseline else [])})
    for _ in range(told.repeat):
        for count in legs:
            console.print(f"{count} legs in the media engine, {told.seconds:.0f} s …", style="dim")
            runs.append(await engine_run(count, told.seconds))
        if told.baseline:
            console.print(f"{told.baseline} legs in the baseline, {told.seconds:.0f} s …", style="dim")
            runs.append(await baseline_run(told.baseline, told.seconds, realtime=runs[-1].realtime))
    return runs


def table(runs: list[Run], console: Console) -> None:
    grid = Table(title="G.711 calls, both directions, speech half of the time", title_justify="left")
    for name in ("carrier", "legs", "CPU ms\nper call-s", "of one\ncore", "far end ms\np50 / p99 / max"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name in ("bare timer ms\np50 / p99 / max", "lost", "bit-\nexact", "valid"):
        grid.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        cost = run.cpu_ms_per_call_s
        grid.add_row(
            run.carrier,
            str(run.legs),
            f"{cost:.3f}",
            f"{cost * run.legs / 10:.1f} %",
            _three(run.far_end["lateness"]),
            _three(run.probe),
            str(run.far_end["lost"]),
            {True: "yes", False: "no", None: ""}[run.exact],
            "yes" if run.is_valid else "no",
        )
    console.print(grid)
    for run in runs:
        for note in (*run.failures, *run.notes):
            console.print(f"{run.carrier}, {run.legs} legs: {note}", style="dim")
    if runs and not runs[0].realtime:
        console.print(
            "without real-time priority: lateness includes whatever else this machine does", style="dim"
        )


def baseline_ratio(runs: list[Run], legs: int) -> float | None:
    """CPU of the baseline in units of the engine's, by the medians of the valid runs."""
    costs = {
        carrier: [r.cpu_ms_per_call_s for r in runs if r.carrier == carrier and r.legs == legs and r.is_valid]
        for carrier in ("engine", "asyncio")
    }
    if not costs["engine"] or not costs["asyncio"]:
        return None
    return median(costs["asyncio"]) / median(costs["engine"])


def document(runs: list[Run], ratio: float | None) -> dict[str, object]:
    return {
        **provenance(),
        "baseline_cpu_ratio": ratio,
        "invalid_runs": sum(not run.is_valid for run in runs),
        "runs": [run.as_json() for run in runs],
    }


def _three(lateness: dict[str, float]) -> str:
    return f"{lateness['p50_ms']:.2f} / {lateness['p99_ms']:.2f} / {lateness['max_ms']:.2f}"


if __name__ == "__main__":
    main()
