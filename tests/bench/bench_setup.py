"""How quickly calls are set up, and what each costs the process that signals.

    python -m tests.bench.bench_setup --rates 10 50 100 --seconds 10 --repeat 3 --most

The same phones call our bridge, baresip and sipp's own server in turn: INVITE with a description, 200, ACK,
half a second of talk, BYE. Calls begin on time whether or not earlier ones were answered. The bridge takes a
row and a port in its media process for every call and runs a session and an agent; baresip opens an audio
stream; sipp has no media at all. Nothing here asserts.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.machine import provenance
from tests.bench.setup_peers import KINDS, Server, serving
from tests.bench.stand import process_cpu_ns

_GOOD_P99_MS = 50.0
_LADDER = (150, 200, 250, 300, 400, 500, 600, 800, 1000, 1200)


@dataclass(frozen=True, slots=True)
class Run:
    """What one server made of one rate."""

    kind: str
    rate: float
    calls: int
    failed: int
    resent: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    cpu_ms_per_call: float
    media_cpu_ms_per_call: float | None
    generator_late_ms: float

    @property
    def carried(self) -> bool:
        """Whether every call came to a good end, quickly."""
        return not self.failed and self.p99_ms is not None and self.p99_ms <= _GOOD_P99_MS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_setup", description=__doc__)
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[10.0, 50.0, 100.0], help="calls per second"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each run")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each rate; all are reported")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--most", action="store_true", help="raise the rate until it is too much")
    parser.add_argument("--out", type=Path, default=Path("out/bench/setup.json"))
    told = parser.parse_args()
    # Logs have no width; a table that wraps cannot be compared.
    console = Console() if sys.stdout.isatty() else Console(width=116)
    runs: list[Run] = []
    for _ in range(told.repeat):
        for kind in told.kinds:
            runs += _measure(kind, told.rates, told.seconds, console)
    limits = {kind: _most(kind, told.seconds, console) for kind in told.kinds} if told.most else {}
    table(runs, console)
    for kind, limit in limits.items():
        console.print(f"{kind}: {limit:.0f} calls a second, none failed and p99 within {_GOOD_P99_MS:.0f} ms")
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(document(runs, limits), indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


def _measure(kind: str, rates: list[float], seconds: float, console: Console) -> list[Run]:
    runs = []
    with serving(kind) as server:
        if server is None:
            console.print(f"{kind} is not installed here", style="dim")
            return []
        for rate in rates:
            runs.append(call(server, rate, seconds))
            console.print(_line(runs[-1]), style="dim")
    return runs


def _most(kind: str, seconds: float, console: Console) -> float:
    """The highest rate of a ladder that is carried, with every lower one."""
    best = 0.0
    for rate in _LADDER:
        runs = _measure(kind, [rate], seconds, console)
        if not runs or not runs[0].carried:
            break
        best = rate
    return best


def call(server: Server, rate: float, seconds: float) -> Run:
    """Let the phones call a server."""
    order = json.dumps({"target": server.port, "rate": rate, "seconds": seconds})
    before_ns = _cpu_ns(server.pid), _cpu_ns(server.media_pid)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.setup_phones"],
        input=order,
        check=True,
        capture_output=True,
        text=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    spent = [(after - before) / 1e6 for before, after in zip(before_ns, _both(server), strict=True)]
    return Run(
        kind=server.kind,
        rate=rate,
        calls=told["calls"],
        failed=told["failed"],
        resent=told["resent"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        max_ms=told["max_ms"],
        cpu_ms_per_call=round(spent[0] / told["calls"], 3),
        media_cpu_ms_per_call=None if server.media_pid is None else round(spent[1] / told["calls"], 3),
        generator_late_ms=round(told["late_ms"], 2),
    )


def _both(server: Server) -> tuple[int, int]:
    return _cpu_ns(server.pid), _cpu_ns(server.media_pid)


def _cpu_ns(pid: int | None) -> int:
    return 0 if pid is None else process_cpu_ns(pid)


def table(runs: list[Run], console: Console) -> None:
    grid = Table(title="Calls set up and ended: INVITE, 200, ACK, 0.5 s, BYE", title_justify="left")
    for name in ("server", "calls\na second", "calls", "failed", "sent\nagain"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name in (
        "INVITE to 200, ms\np50 / p99, median run",
        "p99 of\neach run",
        "CPU ms a call,\nsignalling",
    ):
        grid.add_column(name, justify="right", no_wrap=True)
    for kind, rate in dict.fromkeys((run.kind, run.rate) for run in runs):
        alike = sorted(
            (run for run in runs if (run.kind, run.rate) == (kind, rate)),
            key=lambda run: run.p99_ms or float("inf"),
        )
        middle = alike[len(alike) // 2]
        grid.add_row(
            kind,
            f"{rate:g}",
            str(sum(run.calls for run in alike)),
            str(sum(run.failed for run in alike)),
            str(sum(run.resent for run in alike)),
            f"{_ms(middle.p50_ms)} / {_ms(middle.p99_ms)}",
            " ".join(_ms(run.p99_ms) for run in alike),
            f"{median(run.cpu_ms_per_call for run in alike):.2f}",
        )
    console.print(grid)


def document(runs: list[Run], limits: dict[str, float]) -> dict[str, Any]:
    return {
        **provenance(),
        "limits": limits,
        "runs": [asdict(run) for run in runs],
    }


def _line(run: Run) -> str:
    return (
        f"{run.kind}, {run.rate:g} a second: p50 {_ms(run.p50_ms)}, p99 {_ms(run.p99_ms)}, max "
        f"{_ms(run.max_ms)} ms; {run.failed} of {run.calls} failed, {run.resent} sent again; "
        f"{run.cpu_ms_per_call:.2f} ms of CPU a call"
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
