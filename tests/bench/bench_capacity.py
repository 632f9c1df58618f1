"""How many G.711 calls one core carries, what each costs, and how that compares with the usual designs.

    python -m tests.bench.bench_capacity --legs 50 200 500 1000 --repeat 3 --shared --peers

Full duplex: every caller sends low noise, the bot speaks half of the time. CPU is the media process's by the
scheduler's account; lateness is by the kernel's stamps at the far end, beside a bare timer during the same
run. Runs whose generator sent too little are discarded, counted and repeated. Nothing here asserts.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.engine.budget import ticks_of
from tests.bench.capacity import Cell, cost_line, excess_ms
from tests.bench.machine import provenance
from tests.bench.saturation import Search, bears
from tests.bench.stages import STAGES, Stages, stage_set
from tests.bench.stand import Run, baseline_run, engine_run

_LEGS = (50, 200, 500, 1000)
_PEERS = {"uvloop": (3.0, 400), "pyav": (10.0, 150), "pyav-resampled": (10.0, 100)}
"""By kind of `tests.bench.baseline`: how many times its calls we are to carry, where the search begins."""
_ENGINE_START = 800
_MOST = 3000
"""What the generator can play."""
_PEER_SECONDS = 6.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_capacity", description=__doc__)
    parser.add_argument("--legs", type=_counts, default=list(_LEGS), help="numbers of calls: 50,200,1000")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each run, warm-up apart")
    parser.add_argument("--repeat", type=int, default=3, help="valid runs of each kind; all are reported")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--shared", action="store_true", help="on shared ports beside a port per call")
    parser.add_argument(
        "--peers", action="store_true", help="search the limits of us and of the usual designs"
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/capacity.json"))
    told = parser.parse_args()
    # Logs have no width; a table that wraps cannot be compared.
    console = Console() if sys.stdout.isatty() else Console(width=130)
    cells = asyncio.run(measure(told, console))
    limits = asyncio.run(search_limits(told, console)) if told.peers else []
    show(cells, console)
    show_limits(limits, console)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(document(cells, limits), indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


async def measure(told: argparse.Namespace, console: Console) -> list[Cell]:
    """Run every cell in turn, over and over, so that a bad minute of the machine hits all of them alike."""
    cells = [
        Cell(legs, shared, stages)
        for stages in told.stages
        for shared in ([False, True] if told.shared else [False])
        for legs in told.legs
    ]
    while wanting := [cell for cell in cells if cell.wants(told.repeat)]:
        for cell in wanting:
            run = await engine_run(cell.legs, told.seconds, shared=cell.shared, stages=stage_set(cell.stages))
            cell.runs.append(run)
            console.print(_line(run), style="dim")
    return cells


async def search_limits(told: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """The largest number of calls that each carrier bears, one run of each in turn."""
    seconds = min(told.seconds, _PEER_SECONDS)
    basic = stage_set("basic")
    carriers: dict[str, tuple[Search, Callable[[int], Awaitable[Run]]]] = {
        "engine": (Search(_ENGINE_START, _MOST), lambda n: engine_run(n, seconds, stages=basic)),
    }
    if told.shared:
        carriers["engine, shared ports"] = (
            Search(_ENGINE_START, _MOST),
            lambda n: engine_run(n, seconds, stages=basic, shared=True),
        )
    for kind, (_, start) in _PEERS.items():
        carriers[kind] = (
            Search(start, _MOST),
            lambda n, kind=kind: baseline_run(n, seconds, realtime=True, kind=kind),  # type: ignore[misc]
        )
    runs: dict[str, list[Run]] = {name: [] for name in carriers}
    while any(search.next is not None for search, _ in carriers.values()):
        for name, (search, run_with) in carriers.items():
            if (count := search.next) is None:
                continue
            run = await run_with(count)
            runs[name].append(run)
            is_told = run.far_end["sent_share"] >= 0.995
            if is_told:
                search.note(count, carried=bears(run.far_end) and not run.died)
            elif count > search.best:
                search.most = _bounded(search, count)
            console.print(f"{name}: {_line(run)}", style="dim")
    return [limit(name, search, runs[name]) for name, (search, _) in carriers.items()]


def _bounded(search: Search, count: int) -> int:
    """The generator could not play so many phones: look no higher than a little below."""
    return max(search.best, count * 9 // 10)


def limit(name: str, search: Search, runs: list[Run]) -> dict[str, Any]:
    """What a search has found."""
    carried = [run for run in runs if run.legs == search.best and bears(run.far_end)]
    return {
        "carrier": name,
        "calls": search.best,
        "bounded_by_generator": search.best >= search.most,
        "cpu_ms_per_call_s": min((run.cpu_ms_per_call_s for run in carried), default=None),
        "runs": [run.as_json() for run in runs],
    }


def show(cells: list[Cell], console: Console) -> None:
    grid = Table(title="G.711 calls in one media process", title_justify="left")
    for name in ("stages", "ports", "calls", "CPU ms per\ncall-second", "of one core,\neach run", "median"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name in ("p99 − timer's p99, ms\neach run", "median", "lost", "bit-\nexact", "dis-\ncarded"):
        grid.add_column(name, justify="right", no_wrap=True)
    for cell in cells:
        middle = cell.middle
        grid.add_row(
            cell.stages,
            "shared" if cell.shared else "own",
            str(cell.legs),
            f"{cell.cost_ms:.3f}",
            " ".join(f"{run.cpu_ms_per_call_s * run.legs / 10:.0f}" for run in cell.valid),
            f"{cell.core_percent:.1f} %",
            " ".join(f"{excess_ms(run):.1f}" for run in cell.valid),
            f"{excess_ms(middle):.2f}" if middle else "",
            str(cell.lost),
            "yes" if cell.is_exact else "no",
            str(cell.discarded),
        )
    console.print(grid)
    for cell in cells:
        for goal, met in cell.verdicts().items():
            console.print(f"{'met    ' if met else 'NOT MET'}  {cell.stages}, {cell.legs} calls: {goal}")
    for (stages, shared), alike in _curves(cells).items():
        if (line := cost_line(alike)) is not None:
            tick, call = line
            ports = "shared ports" if shared else "a port per call"
            ticks = ", ".join(f"{ticks_of(cell.legs)} at {cell.legs}" for cell in alike)
            console.print(
                f"{stages}, {ports}: {tick * 200:.0f} µs a tick, and {call * 200:.1f} µs a packet pair; "
                f"ticks in 20 ms: {ticks} calls"
            )


def show_limits(limits: list[dict[str, Any]], console: Console) -> None:
    if not limits:
        return
    grid = Table(title="Calls on one core: p99 lateness ≤ 20 ms, nothing lost", title_justify="left")
    for name in (
        "carrier",
        "calls",
        "CPU ms per call-second there",
        "ours are so many times as many",
        "goal",
    ):
        grid.add_column(name, justify="left" if name == "carrier" else "right")
    ours = max(found["calls"] for found in limits if found["carrier"].startswith("engine"))
    for found in limits:
        goal, _ = _PEERS.get(found["carrier"], (None, None))
        bound = " or more" if found["bounded_by_generator"] else ""
        cost = found["cpu_ms_per_call_s"]
        grid.add_row(
            found["carrier"],
            f"{found['calls']}{bound}",
            "" if cost is None else f"{cost:.2f}",
            f"{ours / found['calls']:.1f}" if goal and found["calls"] else "",
            f"{goal:.0f}" if goal else "",
        )
    console.print(grid)


def document(cells: list[Cell], limits: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **provenance(),
        "discarded_runs": sum(cell.discarded for cell in cells),
        "cells": [cell.as_json() for cell in cells],
        "cost": [
            {
                "stages": stages,
                "shared_ports": shared,
                "core_percent_per_tick": line[0],
                "core_percent_per_call": line[1],
            }
            for (stages, shared), alike in _curves(cells).items()
            if (line := cost_line(alike)) is not None
        ],
        "limits": limits,
    }


def _curves(cells: list[Cell]) -> dict[tuple[Stages, bool], list[Cell]]:
    curves: dict[tuple[Stages, bool], list[Cell]] = {}
    for cell in cells:
        curves.setdefault((cell.stages, cell.shared), []).append(cell)
    return curves


def _counts(text: str) -> list[int]:
    return [int(count) for count in text.split(",")]


def _line(run: Run) -> str:
    late = run.far_end["lateness"]
    return (
        f"{run.legs} calls, {run.stages}, {'shared' if run.shared else 'own'} ports: "
        f"{run.cpu_ms_per_call_s * run.legs / 10:.1f} % of a core, p99 {late['p99_ms']:.2f} ms beside "
        f"a timer's {run.probe['p99_ms']:.2f}, lost {run.far_end['lost']} out, {run.far_end['lost_in']} in"
        + (f"; discarded: {'; '.join(run.failures)}" if run.failures else "")
    )


if __name__ == "__main__":
    main()
