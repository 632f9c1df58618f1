"""Calls that come and go over a bad network for long: what leaks, what drifts, and where each packet went.

    python -m tests.bench.soak_media --minutes 30 --legs 500 --churn 10 --loss 2 --jitter-ms 30

A tenth of the calls stays from the first minute to the last. A call that ends is put on hold first and closed
when all that was on its way has come, so that the counters of both ends can be compared to the packet.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.engine.supervisor import MediaEngine, MediaLeg
from bridge.plane.spec import PlaneSettings
from tests.bench.ledger import CallAccount, Ledger, slope_per_hour
from tests.bench.stand import Helper, helper, media_settings, process_cpu_ns, reserve, until

__all__ = ["SoakPlan", "SoakReport", "soak"]

_RESIDENT_SHARE = 0.1
_SPARE_PHONES = 64
_SETTLE_S = 0.4
"""From the last word of a phone to its account: the network's jitter, a tick, and the phones' own round."""
_SAMPLE_S = 2.0
_LEAD_NS = 300_000_000
_CYCLE_S = 4.0
_BURST_SAMPLES = 16_000
_DOUBLED = 0.002
_COUNTERS = (
    "rx_packets",
    "rx_late",
    "rx_duplicate",
    "rx_lost",
    "rx_stranger",
    "rx_malformed",
    "tx_packets",
)


@dataclass(frozen=True, slots=True)
class SoakPlan:
    minutes: float
    legs: int
    churn: float
    """Joins a second, and as many leaves."""
    loss: float
    """Part of the packets towards us."""
    jitter_ms: int
    shared: bool = False


@dataclass(slots=True)
class SoakReport:
    """What was seen."""

    plan: SoakPlan
    ledger: Ledger = field(default_factory=Ledger)
    seconds: list[float] = field(default_factory=list)
    """When memory was read."""
    media_mb: list[float] = field(default_factory=list)
    control_mb: list[float] = field(default_factory=list)
    minutes: list[dict[str, Any]] = field(default_factory=list)
    """Lateness of everybody and of the residents, minute by minute."""
    examples: list[dict[str, Any]] = field(default_factory=list)
    """The first calls whose packets did not add up."""
    skipped_slots: int = 0
    media_core_percent: float = 0.0
    restarts: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": asdict(self.plan),
            "packets": {**asdict(self.ledger), "balance": self.ledger.balance},
            "media_mb_per_hour": round(slope_per_hour(self.seconds, self.media_mb), 2),
            "control_mb_per_hour": round(slope_per_hour(self.seconds, self.control_mb), 2),
            "media_core_percent": round(self.media_core_percent, 1),
            "skipped_slots": self.skipped_slots,
            "restarts": self.restarts,
            "minutes": self.minutes,
            "memory": {"s": self.seconds, "media_mb": self.media_mb, "control_mb": self.control_mb},
            "examples": self.examples,
        }


async def soak(plan: SoakPlan) -> SoakReport:
    """Carry calls as planned, and end them all."""
    settings = media_settings(plan.legs + _SPARE_PHONES, plan.shared, PlaneSettings())
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SystemDice())
    try:
        async with helper("soak_phones") as phones:
            return await _Soak(plan, engine, phones).run()
    finally:
        await engine.close()


class _Soak:
    def __init__(self, plan: SoakPlan, engine: MediaEngine, phones: Helper) -> None:
        self._plan = plan
        self._engine = engine
        self._phones = phones
        self._report = SoakReport(plan)
        self._ports: list[int] = []
        self._free: deque[int] = deque()
        self._calls: dict[int, tuple[int, MediaLeg]] = {}
        self._counted: dict[int, tuple[int, dict[str, int]]] = {}
        self._joined: dict[int, asyncio.Future[None]] = {}
        self._leaving: set[int] = set()
        self._is_ending = False

    async def run(self) -> SoakReport:
        plan, residents = self._plan, max(1, round(self._plan.legs * _RESIDENT_SHARE))
        self._phones.tell(
            phones=plan.legs + _SPARE_PHONES,
            loss=plan.loss,
            jitter_ms=plan.jitter_ms,
            doubled=_DOUBLED,
            seed=7,
            strangers=not plan.shared,
            residents=residents,
        )
        self._ports = (await self._phones.hear())["ports"]
        self._free.extend(range(len(self._ports)))
        self._phones.tell(begin_ns=time.monotonic_ns() + _LEAD_NS)
        async with asyncio.TaskGroup() as hearing:
            hearing.create_task(self._hear())
            for _ in range(plan.legs):
                await self._join()
            end_ns = time.monotonic_ns() + int(plan.minutes * 60e9)
            before_ns, began_ns = process_cpu_ns(self._engine.pid), time.monotonic_ns()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._talk(end_ns))
                group.create_task(self._sample(end_ns))
                group.create_task(self._churn(group, residents, end_ns))
            spent_ns = process_cpu_ns(self._engine.pid) - before_ns
            self._report.media_core_percent = 100 * spent_ns / (time.monotonic_ns() - began_ns)
            self._is_ending = True
            await self._leave(list(self._calls))
        self._report.restarts = self._engine.restarts
        return self._report

    async def _join(self) -> None:
        phone = self._free.popleft()
        leg = reserve(self._engine, self._ports[phone])
        call = leg.generation
        # The phone hears nobody but its call: it has to know it before we send the first packet.
        self._joined[call] = joined = asyncio.get_running_loop().create_future()
        self._phones.tell(join=phone, call=call, port=leg.local_port, ssrc=leg.ssrc)
        await joined
        leg.open(**self._terms(phone), deliver=lambda event: None)
        await leg.opened()
        self._calls[call] = (phone, leg)
        self._phones.tell(talk=phone)

    async def _leave(self, calls: list[int]) -> None:
        """End calls: phones first, then our sending, and the rows when nothing is on its way any more."""
        self._leaving.update(calls)
        left = [(call, *self._calls[call]) for call in calls]
        for _, phone, leg in left:
            self._phones.tell(leave=phone)
            leg.update(**{**self._terms(phone), "sending": False})
        await asyncio.sleep(_SETTLE_S + self._plan.jitter_ms / 1000)
        for call, phone, leg in left:
            del self._calls[call]
            self._leaving.discard(call)
            leg.close()
            told = leg.status.snapshot()
            self._report.skipped_slots += int(told["silence_bridge_late"])
            self._counted[call] = phone, {name: int(told[name]) for name in _COUNTERS}
            self._phones.tell(collect=phone)

    def _terms(self, phone: int) -> dict[str, Any]:
        return {
            "codec": 0,
            "payload_type": 0,
            "dtmf_payload_type": 101,
            "remote": ("127.0.0.1", self._ports[phone]),
            "latch_ip": None,
            "sending": True,
            "receiving": True,
            "interruptible": 3,
            "rtcp_mux": True,
        }

    async def _hear(self) -> None:
        """Read what the phones tell, up to the last call's account."""
        while not self._is_ending or self._calls or self._counted:
            match await self._phones.hear():
                case {"joined": call}:
                    self._joined.pop(call).set_result(None)
                case {"account": told}:
                    self._book(told)
                case {"minute": _} as minute:
                    self._report.minutes.append(minute)

    def _book(self, told: dict[str, int]) -> None:
        call = told.pop("call")
        phone, counted = self._counted.pop(call)
        account = CallAccount(**told, **counted)
        self._report.ledger.add(account)
        if (faults := account.faults()) and len(self._report.examples) < 20:
            self._report.examples.append({"call": call, "faults": faults, **asdict(account)})
        self._free.append(phone)

    async def _churn(self, group: asyncio.TaskGroup, residents: int, end_ns: int) -> None:
        dice = random.Random(5)  # noqa: S311
        step_ns = int(1e9 / self._plan.churn) if self._plan.churn else 0
        due_ns = time.monotonic_ns() + step_ns
        while step_ns and due_ns < end_ns:
            await until(due_ns)
            due_ns += step_ns
            movable = [
                call
                for call, (phone, _) in self._calls.items()
                if phone >= residents and call not in self._leaving
            ]
            if movable:
                group.create_task(self._leave([dice.choice(movable)]))
            if self._free:
                await self._join()

    async def _talk(self, end_ns: int) -> None:
        """Two seconds of speech in four, for one call after the other."""
        pcm = np.random.default_rng(3).integers(-9000, 9000, _BURST_SAMPLES).astype(np.int16)
        due_ns = time.monotonic_ns()
        while due_ns < end_ns:
            for _, leg in list(self._calls.values()):
                due_ns += int(_CYCLE_S * 1e9 / self._plan.legs)
                await until(due_ns)
                if leg.is_open:
                    epoch = leg.writer.epoch
                    leg.writer.write(pcm, epoch=epoch)
                    leg.writer.close_utterance(epoch)

    async def _sample(self, end_ns: int) -> None:
        began_ns = due_ns = time.monotonic_ns()
        while due_ns < end_ns:
            await until(due_ns)
            self._report.seconds.append(round((due_ns - began_ns) / 1e9, 1))
            self._report.media_mb.append(resident_mb(self._engine.pid))
            self._report.control_mb.append(resident_mb(os.getpid()))
            due_ns += int(_SAMPLE_S * 1e9)


def resident_mb(pid: int) -> float:
    """Memory of a process that is in RAM; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return 0.0
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def show(report: SoakReport, console: Console) -> None:
    told = report.as_json()
    ledger = report.ledger
    grid = Table(title="every packet", title_justify="left")
    grid.add_column("what")
    grid.add_column("packets", justify="right")
    for name in ("sent", "in_time", "late", "duplicate", "stranger", "lost", "lost_at_the_edges"):
        grid.add_row(f"to us: {name.replace('_', ' ')}", str(getattr(ledger, name)))
    grid.add_row("to us: unaccounted for", str(ledger.balance))
    grid.add_row("from us: built", str(ledger.built))
    grid.add_row("from us: heard", str(ledger.heard))
    console.print(grid)
    console.print(f"{ledger.calls} calls, {ledger.faulty_calls} whose packets do not add up: {ledger.faults}")
    console.print(
        f"memory per hour over the last two thirds: media {told['media_mb_per_hour']:+.1f} MB "
        f"(now {report.media_mb[-1]:.0f}), control {told['control_mb_per_hour']:+.1f} MB "
        f"(now {report.control_mb[-1]:.0f}); media process {report.media_core_percent:.0f} % of a core, "
        f"{report.skipped_slots} slots skipped, {report.restarts} restarts"
    )
    grid = Table(title="lateness by minute, ms: p50 / p99 / max", title_justify="left")
    for name in ("minute", "everybody", "calls that stay"):
        grid.add_column(name, justify="right")
    for minute in report.minutes:
        grid.add_row(
            str(minute["minute"]),
            *(
                f"{late['p50_ms']:.2f} / {late['p99_ms']:.2f} / {late['max_ms']:.1f}"
                for late in (minute["everybody"], minute["residents"])
            ),
        )
    console.print(grid)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak_media", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--legs", type=int, default=500)
    parser.add_argument("--churn", type=float, default=10, help="joins a second, and as many leaves")
    parser.add_argument("--loss", type=float, default=2, help="percent of the packets towards us")
    parser.add_argument("--jitter-ms", type=int, default=30)
    parser.add_argument("--shared", action="store_true", help="on shared ports, without strangers")
    parser.add_argument("--out", type=Path, default=Path("out/bench/soak_media.json"))
    told = parser.parse_args()
    plan = SoakPlan(told.minutes, told.legs, told.churn, told.loss / 100, told.jitter_ms, told.shared)
    report = asyncio.run(soak(plan))
    show(report, Console() if sys.stdout.isatty() else Console(width=110))
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    print(f"written to {told.out}")


if __name__ == "__main__":
    main()
