"""The floor against its corpus: how soon a caller hears silence, and how seldom anything else silences us.

``python -m tests.bench.bench_floor``; every figure is of simulated time, in which the judge's own CPU time
passes too. Thresholds were chosen on the tuning half; the half held out is what counts.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.engine.shared import SharedMemory
from bridge.engine.verdict import Network, Verdict, silero
from bridge.engine.verdict_child import VerdictProcess
from bridge.plane.columns import CAPTURE_SAMPLES
from bridge.plane.spec import PlaneSettings, judged
from tests.corpus.scenes import Hour, Interruption, bot_sound, hour, interruptions
from tests.corpus.voices import available, render

__all__ = ["of_hour", "of_interruptions", "of_process"]

_MS = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_floor", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=300, help="callers who interrupt, per noise level and seed"
    )
    parser.add_argument(
        "--minutes", type=int, default=120, help="minutes of other sounds, on rows of one minute"
    )
    parser.add_argument("--seeds", type=int, default=2, help="times that everybody interrupts")
    parser.add_argument("--sensitivity", type=int, default=1, help="0 low, 1 medium, 2 high")
    parser.add_argument("--gate-alone", action="store_true", help="without the network")
    parser.add_argument("--half", choices=("held-out", "tuning", "both"), default="both")
    parser.add_argument("--out", type=Path, default=Path("out/bench/floor.json"))
    told = parser.parse_args()
    network = None if told.gate_alone else silero()
    settings = PlaneSettings(sensitivity=told.sensitivity)
    settings = settings if network is None else judged(settings)
    document: dict[str, object] = {
        "rows": told.rows,
        "sensitivity": told.sensitivity,
        "network": network is not None,
    }
    console = Console(width=150)
    for half in ("tuning", "held-out") if told.half == "both" else (told.half,):
        document[half] = _measure(told, half == "held-out", settings, network)
        _print(console, half, document[half])
    if network is not None:
        for name, asks_a_second in (("nobody asks", 0.0), ("process", 15.0)):
            document[name] = asyncio.run(of_process(300, seconds=8, asks_a_second=asks_a_second))
            console.print(f"judge's process, 300 rows, real time, {asks_a_second:.0f} questions a second:")
            console.print(document[name])
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


def _measure(
    told: argparse.Namespace, is_held_out: bool, settings: PlaneSettings, network: Network | None
) -> dict[str, object]:
    bot = bot_sound()
    clips = tuple(clip for clip in available() if clip.is_held_out is is_held_out)
    made: dict[str, object] = {"clips": len(clips)}
    for name, snr_db, has_echo in (("20 dB", 20, False), ("10 dB", 10, False), ("20 dB over echo", 20, True)):
        results: list[Interruption] = []
        judge_ns = verdicts = 0
        for seed in range(told.seeds):
            some, hall = interruptions(
                clips, bot, rows=told.rows, snr_db=snr_db, settings=settings, network=network,
                seed=100 + seed, echo=has_echo,
            )  # fmt: skip
            results += some
            judge_ns, verdicts = judge_ns + hall.judge_cpu_ns, verdicts + hall.verdicts
        made[name] = of_interruptions(results) | {
            "judge_ms_per_verdict": round(judge_ns / _MS / max(1, verdicts), 2)
        }
    silence, hall = hour(
        bot, rows=told.minutes, seconds=60, settings=settings, network=network, seed=7, odd=is_held_out
    )
    made["other sounds"] = of_hour(silence) | {
        "judge_ms_per_verdict": round(hall.judge_cpu_ns / _MS / max(1, hall.verdicts), 2),
        "judge_cpu_per_call_s": round(hall.judge_cpu_ns / _MS / (told.minutes * 60), 3),
    }
    return made


def of_interruptions(results: Sequence[Interruption]) -> dict[str, object]:
    """Times in ms and shares of one lot of interruptions."""
    kinds = {"clear": ("plosive", "vowel"), "plosive": ("plosive",), "vowel": ("vowel",)}
    clean = [result for result in results if not result.is_early]
    told: dict[str, object] = {
        f"onset_to_muted_{name}": _quantiles([r.muted for r in clean if r.clip.onset in onsets and r.muted])
        for name, onsets in (kinds | {"all": ("plosive", "vowel", "other")}).items()
    }
    told["duck_to_flush"] = _quantiles([r.judged for r in results if r.judged is not None])
    told["missed"] = sum(result.flushed is None for result in results)
    told["resumed_into_words"] = sum(result.splits > 0 for result in results)
    told["ducked_before_onset"] = len(results) - len(clean)
    told["of"] = len(results)
    return told


def of_hour(told: Hour) -> dict[str, object]:
    """What happened, per kind of sound and in all."""
    events, stops = sum(told.events.values()), sum(told.stops.values())
    return {
        "minutes": told.minutes,
        "events": told.events,
        "stops": told.stops,
        "false_stops_percent": round(100 * stops / max(1, events), 2),
        "false_stops_percent_without_echo": round(
            100 * (stops - told.stops.get("echo", 0)) / max(1, events - told.events.get("echo", 0)), 2
        ),
        "ducks": told.ducks,
        "ducks_a_minute": round(sum(told.ducks.values()) / told.minutes, 2),
        "most_ducks_in_a_minute": told.most_ducks_a_minute,
        "ducked_percent": round(100 * told.ducked_share, 2),
        "duck_to_resume": _quantiles(told.waits_ms),
    }


async def of_process(rows: int, *, seconds: float, asks_a_second: float) -> dict[str, object]:
    """The judge's process in real time, beside a loop that beats every 10 ms."""
    memory = SharedMemory(rows)
    columns = memory.columns
    columns.generation[:] = 1
    columns.sensitivity[:] = 1
    voices = [np.resize(render(clip), CAPTURE_SAMPLES) for clip in available()[:8]]
    for row in range(rows):
        columns.capture[row, 0] = voices[row % len(voices)]
    asked_s: dict[int, float] = {}
    took_ms: list[float] = []

    def take(verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            took_ms.append((time.monotonic() - asked_s.pop(verdict.row)) * 1000)
            columns.question[verdict.row] = 0

    judge = VerdictProcess(take)
    judge.watch(memory)
    await asyncio.sleep(2)
    late_ms, dice, begin_s = [], np.random.default_rng(1), time.monotonic()
    for beat in range(int(seconds * 100)):
        await asyncio.sleep(max(0.0, begin_s + beat / 100 - time.monotonic()))
        late_ms.append((time.monotonic() - begin_s - beat / 100) * 1000)
        if beat % 2 == 0:
            columns.capture_write += np.uint64(160)
        for row in np.flatnonzero(dice.uniform(size=rows) < asks_a_second / rows / 100).tolist():
            if row not in asked_s:
                asked_s[row] = time.monotonic()
                columns.question[row] = beat + 1
                judge.wake()
    await judge.close()
    memory.close_fd()
    return {
        "verdicts": len(took_ms),
        "question_to_verdict": _quantiles(took_ms),
        "loop_late": _quantiles(late_ms),
    }


def _quantiles(values: Sequence[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    if not known:
        return {}
    p50, p90, p99 = np.percentile(known, (50, 90, 99)).round(1).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "max": round(max(known), 1)}


def _print(console: Console, half: str, made: object) -> None:
    assert isinstance(made, dict)
    grid = Table(title=f"{half}: {made['clips']} clips, ms p50 / p90 / p99", title_justify="left")
    for name in (
        "",
        "clear",
        "plosive",
        "vowel",
        "all",
        "duck to flush",
        "missed",
        "resumed\ninto words",
        "early",
    ):
        grid.add_column(name, justify="right", no_wrap=True)
    for name in ("20 dB", "10 dB", "20 dB over echo"):
        lot = made[name]
        times = [lot[f"onset_to_muted_{kind}"] for kind in ("clear", "plosive", "vowel", "all")] + [
            lot["duck_to_flush"]
        ]
        counts = [
            f"{lot[key]}/{lot['of']}" for key in ("missed", "resumed_into_words", "ducked_before_onset")
        ]
        grid.add_row(name, *(f"{t['p50']:.0f} / {t['p90']:.0f} / {t['p99']:.0f}" for t in times), *counts)
    console.print(grid)
    console.print(made["other sounds"])


if __name__ == "__main__":
    main()
