"""What a telephone call costs the whole bridge: signalling, agent, voice client, records and media.

    python -m tests.bench.bench_whole --calls 20 100 300 500 --repeat 3

Telephones of our own call a bridge as `make serve` starts it, with G.711; the agent speaks for half of the
time, every reply by a task of its own at a CosyVoice service that has its speech ready, so that what a voice
costs is not what a call costs. CPU is the scheduler's account of each process, while the calls stand and
while they are set up. A run whose phones said less than 99.5 % of what they had to say is marked, counted and
not used. Nothing here asserts: machines differ.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.load.clip import render_clip
from tests.bench.children import child, hear, processes, tell, wait_until
from tests.bench.machine import provenance
from tests.bench.stand import process_cpu_ns
from tests.e2e.running import RunningBridge

_WARM_UP_S = 4.0
_LEAD_NS = 800_000_000
_GATE_SENT = 0.995
_GOAL_PERCENT = 0.2
_CAPACITY = 1024
_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one number of calls cost."""

    calls: int
    percent_of_core: dict[str, float]
    """Of one core, for one call, by process."""
    setup_ms_per_call: dict[str, float]
    """CPU, by process."""
    lost: int
    speech_share: float
    """Of our packets, those that were heard with sound in them."""
    lateness: dict[str, float]
    sent_share: float
    replies: int
    failed_replies: int

    @property
    def is_valid(self) -> bool:
        """Whether the phones did their part."""
        return self.sent_share >= _GATE_SENT

    @property
    def whole_percent(self) -> float:
        """Of one core, for one call, all processes together."""
        return sum(self.percent_of_core.values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_whole", description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[20, 100, 300, 500], help="calls at a time")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each run, warm-up apart")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each number; all are reported")
    parser.add_argument("--out", type=Path, default=Path("out/bench/whole.json"))
    told = parser.parse_args()
    # Logs have no width; a table that wraps cannot be compared.
    console = Console() if sys.stdout.isatty() else Console(width=116)
    runs = []
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as url:
        for _ in range(told.repeat):
            for calls in told.calls:
                console.print(f"{calls} calls, {told.seconds:.0f} s …", style="dim")
                runs.append(measure(url, calls, told.seconds))
    table(runs, console)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(document(runs), indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """A voice that is ready, in a process of its own; yields its address."""
    speech = folder / "speech.pcm"
    speech.write_bytes(render_clip().pcm.astype("<i2").tobytes())
    with child("tests.bench.pcm_service", str(speech)) as voice:
        yield hear(voice)["url"]


def measure(url: str, calls: int, seconds: float) -> Run:
    """Let so many phones call a bridge of their own."""
    settings = {
        "tts.url": url,
        "routes.0.to": "*",
        "routes.0.agent": "tests.bench.web_agents:turn_taker",
        "media.capacity": _CAPACITY,
        "media.ports": "20000-24095",
        "media.ports_shared": "true",
        "sip.max_calls": _CAPACITY,
        "sip.max_requests_per_s": 100_000,
    }
    with RunningBridge(settings) as bridge, child("tests.bench.whole_phones") as phones:
        parts = _parts(bridge.process.pid)
        begun_ns = _cpu_ns(parts)
        tell(phones, {"port": bridge.sip_port, "user": "bench", "legs": calls})
        hear(phones)
        standing_ns = _cpu_ns(parts)
        began_ns = time.monotonic_ns() + _LEAD_NS
        tell(phones, {"begin_ns": began_ns, "seconds": seconds + _WARM_UP_S, "warm_up_s": _WARM_UP_S})
        wait_until(began_ns + round(_WARM_UP_S * 1e9))
        before, before_ns = _cpu_ns(parts), time.monotonic_ns()
        wait_until(began_ns + round((_WARM_UP_S + seconds) * 1e9))
        after, after_ns = _cpu_ns(parts), time.monotonic_ns()
        heard = hear(phones)
        _until_over(bridge)
        replies = bridge.metric("cosybridge_tts_first_audio_seconds_count")
        failed = bridge.metric("cosybridge_tts_failures_total")
    call_ns = calls * (after_ns - before_ns)
    return Run(
        calls=calls,
        percent_of_core={name: round(100 * (after[name] - before[name]) / call_ns, 4) for name in parts},
        setup_ms_per_call={
            name: round((standing_ns[name] - begun_ns[name]) / 1e6 / calls, 2) for name in parts
        },
        lost=heard["lost"],
        speech_share=heard["speech_share"],
        lateness=heard["lateness"],
        sent_share=heard["sent_share"],
        replies=round(replies),
        failed_replies=round(failed),
    )


def _until_over(bridge: RunningBridge) -> None:
    """A call's replies are counted when it ends."""
    until_s = time.monotonic() + _END_S
    while bridge.metric("cosybridge_calls_active") and time.monotonic() < until_s:
        time.sleep(0.1)


def _parts(control: int) -> dict[str, tuple[int, ...]]:
    """Processes of a bridge, by what they do."""
    found = processes(control)
    others = tuple(pid for pid in found["rest"] if pid != control)
    return {"media": found["media"], "control": (control,), "others": others}


def _cpu_ns(parts: dict[str, tuple[int, ...]]) -> dict[str, int]:
    return {name: sum(map(process_cpu_ns, pids)) for name, pids in parts.items()}


def table(runs: list[Run], console: Console) -> None:
    grid = Table(
        title=f"A call, percent of one core; the goal of the whole is {_GOAL_PERCENT}", title_justify="left"
    )
    for name in (
        "calls",
        "whole,\neach run",
        "media",
        "control",
        "others",
        "to set up,\nms of CPU",
        "lost",
        "p99 late,\nms",
        "sound",
        "replies",
        "failed",
    ):
        grid.add_column(name, justify="right", no_wrap=True)
    for calls in dict.fromkeys(run.calls for run in runs):
        alike = [run for run in runs if run.calls == calls and run.is_valid]
        if not alike:
            grid.add_row(str(calls), "no run counts")
            continue
        middle = sorted(alike, key=lambda run: run.whole_percent)[len(alike) // 2]
        grid.add_row(
            str(calls),
            " ".join(f"{run.whole_percent:.3f}" for run in alike),
            *(f"{middle.percent_of_core[name]:.3f}" for name in ("media", "control", "others")),
            f"{median(sum(run.setup_ms_per_call.values()) for run in alike):.1f}",
            str(sum(run.lost for run in alike)),
            " ".join(f"{run.lateness['p99_ms']:.1f}" for run in alike),
            f"{middle.speech_share:.0%}",
            str(sum(run.replies for run in alike)),
            str(sum(run.failed_replies for run in alike)),
        )
    console.print(grid)
    discarded = sum(not run.is_valid for run in runs)
    if discarded:
        console.print(f"{discarded} runs do not count: their phones said too little")


def document(runs: list[Run]) -> dict[str, Any]:
    return {**provenance(), "runs": [asdict(run) | {"valid": run.is_valid} for run in runs]}


if __name__ == "__main__":
    main()
