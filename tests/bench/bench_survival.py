"""SIGKILL of the media process under many calls: gap, sequence numbers and speech as the far end sees them.

Every call speaks frames that say whose they are and which, so that no sample can be in the wrong call, twice,
or missing without being counted. Times are the kernel's, at the far end. Nothing here asserts.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.engine.commands import EngineDied, LegEvent
from bridge.engine.supervisor import MediaEngine, MediaLeg, MediaSettings
from bridge.plane.events import RowFailed
from bridge.plane.shape import NARROW
from tests.bench.stand import helper
from tests.bench.survival_specs import SPECS, SurvivalSpec, keys_of

__all__ = ["survive"]

_WARM_UP_S = 2.0
_BETWEEN_S = 5.5
"""Two takeovers within ten seconds are the most that the engine tries."""
_AHEAD_FRAMES = 100
_ROUND_S = 0.25
_SPECS = ("g711", "opus", "srtp")
_SEQUENCE_BITS = 15
_COUNTERS = ("rx_packets", "rx_malformed", "rx_srtp_auth", "rx_srtp_replay", "tx_srtp_failed")
"""What the rows counted, over all of their processes."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_survival", description=__doc__)
    parser.add_argument(
        "--spec", choices=sorted(SPECS), nargs="+", default=list(_SPECS), help="kinds of calls"
    )
    parser.add_argument("--legs", type=int, help="calls; else 200 of G.711 and 20 of the others")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each kind; all are reported")
    parser.add_argument("--signal", choices=("KILL", "STOP", "SEGV"), default="KILL")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/bench/survival.json"))
    told = parser.parse_args()
    # Logs have no width; a table that wraps cannot be compared.
    console = Console() if sys.stdout.isatty() else Console(width=116)
    runs = []
    for name in [name for name in told.spec for _ in range(told.repeat)]:
        heard = asyncio.run(
            survive(
                told.legs,
                kills=told.kills,
                spec=name,
                number=signal.Signals[f"SIG{told.signal}"],
                processes=told.processes,
            )
        )
        _table(heard, console)
        runs.append(heard)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


async def survive(
    legs: int | None = None,
    *,
    kills: int,
    spec: str = "g711",
    number: signal.Signals = signal.SIGKILL,
    processes: int = 1,
    first_port: int = 20_480,
) -> dict[str, Any]:
    """Kill the media process under that many calls, and tell what the far end heard.

    Raises:
        ValueError: If so many calls cannot be told from each other.
    """
    kind = SPECS[spec]
    count = kind.legs if legs is None else legs
    if count > kind.most_legs:
        raise ValueError(f"at most {kind.most_legs} calls of {spec} have names, not {count}")
    is_wide = kind.rate_hz != NARROW.rate_hz
    settings = MediaSettings(
        bind_ip="127.0.0.1",
        ports=(first_port, first_port + 2 * count + 100),
        capacity=16 if is_wide else count + 16,
        wide_capacity=count if is_wide else 1,
        processes=processes,
    )
    dice = SystemDice() if kind.first_sequence < 0 else _Turning(kind)
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=dice)
    try:
        return await _survive(engine, count, kills, spec, number)
    finally:
        await engine.close()


class _Turning(SystemDice):
    """Chance, but for the first sequence numbers: packet counters turn over when the run wants it."""

    def __init__(self, spec: SurvivalSpec) -> None:
        self._spec = spec
        self._legs = itertools.count()

    def number(self, bits: int) -> int:
        """Only sequence numbers are of 15 bits."""
        if bits != _SEQUENCE_BITS:
            return super().number(bits)
        return self._spec.first_sequence - next(self._legs) % self._spec.spread


async def _survive(
    engine: MediaEngine, count: int, kills: int, name: str, number: signal.Signals
) -> dict[str, Any]:
    spec = SPECS[name]
    legs = [engine.reserve(spec.rate_hz) for _ in range(count)]
    lost: list[LegEvent] = []

    def deliver(event: LegEvent) -> None:
        if isinstance(event, EngineDied | RowFailed):
            lost.append(event)

    seconds = 2 * _WARM_UP_S + (kills - 1) * _BETWEEN_S
    async with helper("survival_phones") as phones, helper("probe") as probe:
        phones.tell(legs=count, seconds=seconds + _BETWEEN_S, spec=name)
        ports = (await phones.hear())["ports"]
        for index, (leg, port) in enumerate(zip(legs, ports, strict=True)):
            leg.open(
                **spec.open,
                remote=("127.0.0.1", port),
                latch_ip=None,
                sending=True,
                receiving=True,
                interruptible=0,
                srtp=keys_of(spec, index),
                deliver=deliver,
            )
        await asyncio.gather(*(leg.opened() for leg in legs))
        phones.tell(ports=[leg.local_port for leg in legs], ssrcs=[leg.ssrc for leg in legs])
        begin_ns = time.monotonic_ns() + 100_000_000
        probe.tell(
            begin_ns=begin_ns, seconds=seconds, warm_up_s=0.5, realtime=engine.is_realtime, priority=11
        )
        talk = asyncio.create_task(_talk(legs, spec))
        deaths_ns = await _kill(engine, kills, number)
        talk.cancel()
        phones.tell(deaths_ns=deaths_ns)
        heard, bare_timer = await phones.hear(), await probe.hear()
    counted = [leg.status.snapshot() for leg in legs]
    return {
        "spec": name,
        "legs": count,
        "signal": number.name,
        "realtime": engine.is_realtime,
        "takeovers": engine.takeovers,
        "calls_told_of_loss": len(lost),
        **heard,
        **{name: int(sum(told[name] for told in counted)) for name in _COUNTERS},
        "timer_probe": bare_timer,
    }


async def _kill(engine: MediaEngine, kills: int, number: signal.Signals) -> list[int]:
    await asyncio.sleep(_WARM_UP_S)
    deaths_ns = []
    for round_ in range(kills):
        while not engine.has_standby:  # noqa: ASYNC110  a process that loads sets no event of ours
            await asyncio.sleep(0.05)
        # Somewhere else in the tick each time.
        await asyncio.sleep(0.0013 * round_)
        deaths_ns.append(time.monotonic_ns())
        os.kill(engine.pids[round_ % len(engine.pids)], number)
        await asyncio.sleep(_BETWEEN_S if round_ + 1 < kills else _WARM_UP_S)
    return deaths_ns


async def _talk(legs: Sequence[MediaLeg], spec: SurvivalSpec) -> None:
    """Keep two seconds of speech in every ring."""
    frames = [0] * len(legs)
    while True:
        for index, leg in enumerate(legs):
            writer = leg.writer
            missing = _AHEAD_FRAMES - writer.ahead // spec.samples
            if missing > 0:
                writer.open_utterance(writer.epoch)
                pcm = spec.speak(index, frames[index], missing)
                frames[index] += writer.write(pcm, epoch=writer.epoch) // spec.samples
        await asyncio.sleep(_ROUND_S)


def _table(heard: dict[str, Any], console: Console) -> None:
    grid = Table(
        title=f"{heard['signal']} under {heard['legs']} calls ({heard['spec']})", box=None, min_width=60
    )
    for name in ("death", "gap p50 ms", "p99", "max"):
        grid.add_column(name, justify="right")
    for at, gap in enumerate(heard["gaps_ms"], start=1):
        grid.add_row(str(at), *(f"{gap[name]:.1f}" for name in ("p50", "p99", "max")))
    console.print(grid)
    console.print({name: value for name, value in heard.items() if name != "gaps_ms"})


if __name__ == "__main__":
    main()
