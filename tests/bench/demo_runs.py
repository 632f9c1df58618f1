"""`python -m tests.bench.demo_runs`: the demo, ten times over; every run is reported, none is asserted."""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bridge.app.demo import run_demo
from bridge.errors import BridgeError

_SHOWN = ("first_audio_ms", "mute_ms", "verdict_ms", "spare_ready_ms", "next_audio_ms", "late_packets")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.demo_runs", description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("out/bench/demo.json"))
    told = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=116)
    runs = asyncio.run(measure(told.runs, console))
    console.print(table(runs))
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(runs, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")
    return 0


async def measure(count: int, console: Console) -> list[dict[str, object]]:
    runs: list[dict[str, object]] = []
    for number in range(count):
        try:
            with tempfile.TemporaryDirectory() as folder:
                report = await run_demo(out=Path(folder))
        except BridgeError as error:
            runs.append({"ok": False, "faults": [str(error)]})
        else:
            runs.append({**report.as_json(), "faults": list(report.faults)})
        console.print(f"{number + 1} of {count}: {'; '.join(runs[-1]['faults']) or 'ok'}", style="dim")  # type: ignore[arg-type]
    return runs


def table(runs: list[dict[str, object]]) -> Table:
    ok = sum(run["ok"] is True for run in runs)
    grid = Table(title=f"{len(runs)} demo calls, {ok} of them good", title_justify="left")
    grid.add_column("")
    for name in ("lowest", "median", "highest"):
        grid.add_column(name, justify="right")
    for key in _SHOWN:
        values = [value for run in runs if isinstance(value := run.get(key), int | float)]
        if values:
            grid.add_row(key, *(f"{figure:.1f}" for figure in (min(values), median(values), max(values))))
    return grid


if __name__ == "__main__":
    sys.exit(main())
