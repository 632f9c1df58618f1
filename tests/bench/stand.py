"""The test stand: one carrier of legs, one generator, one timer probe, all in processes of their own."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.engine.budget import Costs
from bridge.engine.supervisor import MediaEngine, MediaLeg, MediaSettings
from bridge.plane.g711 import encode_ulaw
from bridge.plane.spec import PlaneSettings
from tests.bench.stages import StageSet

__all__ = [
    "Helper",
    "Run",
    "baseline_run",
    "engine_run",
    "helper",
    "media_settings",
    "process_cpu_ns",
    "reserve",
    "until",
]

_WARM_UP_S = 2.0
_LEAD_NS = 500_000_000
_BURST_SAMPLES = 16_000
_CYCLE_S = 4.0
_PRIORITY = 10
_PROBE_PRIORITY = 11
"""Above the generator too: the probe shows the machine, and not our own other processes."""
_GATE_SENT = 0.995
_END_S = 3.0


@dataclass(slots=True)
class Run:
    """One measurement."""

    carrier: str
    """``engine``, or a kind of `baseline_run`."""
    legs: int
    seconds: float
    """Measured, warm-up not counted."""
    cpu_ms_per_call_s: float
    far_end: dict[str, Any]
    probe: dict[str, float]
    realtime: bool
    exact: bool | None = None
    """Whether one leg's speech came back bit for bit; None where that is not asked."""
    notes: list[str] = field(default_factory=list)
    died: bool = False
    """Whether the media process was replaced on the way."""
    shared: bool = False
    """Whether calls shared ports."""
    stages: str = "basic"

    @property
    def is_valid(self) -> bool:
        """Whether the generator did its part and the carrier lived: else nothing here means anything."""
        return not self.failures

    @property
    def failures(self) -> list[str]:
        """Why the run does not count."""
        found = []
        if self.far_end["sent_share"] < _GATE_SENT:
            found.append(f"the generator sent only {self.far_end['sent_share']:.1%} of its packets")
        if self.far_end["legs_heard"] < self.legs:
            found.append(f"only {self.far_end['legs_heard']} legs were heard")
        if self.died:
            found.append("the media process died")
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "carrier": self.carrier,
            "legs": self.legs,
            "seconds": self.seconds,
            "valid": self.is_valid,
            "failures": self.failures,
            "cpu_ms_per_call_s": self.cpu_ms_per_call_s,
            "realtime": self.realtime,
            "far_end": self.far_end,
            "timer_probe": self.probe,
            "shared_ports": self.shared,
            "stages": self.stages,
            "speech_exact": self.exact,
            "notes": self.notes,
        }


class Helper:
    """A child that is spoken to in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str) -> "Helper":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 28,
        )
        return cls(process)

    async def __aenter__(self) -> "Helper":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def tell(self, **values: Any) -> None:  # noqa: ANN401  JSON
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(values).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a helper ended early with {await self._process.wait()}")
        heard = json.loads(line)
        assert isinstance(heard, dict)
        return heard


async def engine_run(
    legs: int,
    seconds: float,
    *,
    plain_sockets: bool = False,
    shared: bool = False,
    stages: StageSet | None = None,
) -> Run:
    """Measure the media process of `bridge.engine` with `legs` calls.

    Args:
        legs: Number of calls.
        seconds: To measure, after the warm-up.
        plain_sockets: Without recvmmsg.
        shared: All calls on a few ports, told apart by where they come from.
        stages: What the plane and the network do; None is the plane's own defaults on a clean network.
    """
    stages = stages or StageSet("basic", PlaneSettings(), reports=False, loss=0.0)
    settings = media_settings(max(legs, 16), shared, stages.plane, plain_sockets=plain_sockets)
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SystemDice())
    try:
        run = await _measure_engine(engine, legs, seconds, stages)
    finally:
        await engine.close()
    run.shared = shared
    run.stages = stages.name
    return run


def reserve(engine: MediaEngine, port: int) -> MediaLeg:
    """Take a row for the phone on this loopback port: where ports are shared, it is known by that."""
    return engine.reserve(remote=("127.0.0.1", port))


def media_settings(
    capacity: int, shared: bool, plane: PlaneSettings, *, plain_sockets: bool = False
) -> MediaSettings:
    """One media process on loopback, away from the ports of a bridge that runs."""
    return MediaSettings(
        bind_ip="127.0.0.1",
        costs=Costs(tick_ns=1, pair_ns=1),  # What is to be measured must not be refused.
        ports=(20_480, 32_767),
        capacity=capacity,
        processes=1,
        ports_shared=shared,
        plain_sockets=plain_sockets,
        plane=plane,
    )


async def _measure_engine(engine: MediaEngine, legs: int, seconds: float, stages: StageSet) -> Run:
    async with helper("generator") as generator, helper("probe") as probe:
        generator.tell(legs=legs, seconds=seconds + _WARM_UP_S)
        ports = (await generator.hear())["ports"]
        rows = [reserve(engine, port) for port in ports]
        await _open(rows, ports, reports=stages.reports)
        timing = _timing(seconds)
        generator.tell(
            ports=[leg.local_port for leg in rows],
            ssrcs=[leg.ssrc for leg in rows],
            watch_ssrc=rows[0].ssrc,
            loss=stages.loss,
            reports=stages.reports,
            **timing,
        )
        probe.tell(realtime=engine.is_realtime, priority=_PROBE_PRIORITY, **timing)
        pcm = np.random.default_rng(3).integers(-9000, 9000, _BURST_SAMPLES).astype(np.int16)
        talk = asyncio.ensure_future(_talk(rows, pcm, timing["begin_ns"], timing["seconds"]))
        await until(timing["begin_ns"] + int(_WARM_UP_S * 1e9))
        pid = engine.pid
        before_ns, began_ns = process_cpu_ns(pid), time.monotonic_ns()
        await until(timing["begin_ns"] + int(timing["seconds"] * 1e9))
        after_ns, ended_ns = process_cpu_ns(pid), time.monotonic_ns()
        await talk
        far_end, lateness = await generator.hear(), await probe.hear()
    counted = [leg.status.snapshot() for leg in rows]
    skipped = int(sum(told["silence_bridge_late"] for told in counted))
    far_end["lost_in"] = far_end["sent"] - int(sum(told["rx_packets"] for told in counted))
    return Run(
        carrier="engine",
        legs=len(rows),
        seconds=seconds,
        cpu_ms_per_call_s=_per_call(after_ns - before_ns, len(rows), (ended_ns - began_ns) / 1e9),
        exact=_is_exact(far_end.pop("watched"), pcm),
        far_end=far_end,
        probe=lateness,
        realtime=engine.is_realtime,
        notes=[f"the engine skipped {skipped} slots"] if skipped else [],
        died=engine.restarts > 0,
    )


async def _open(rows: Sequence[MediaLeg], ports: Sequence[int], *, reports: bool) -> None:
    for leg, port in zip(rows, ports, strict=True):
        leg.open(
            codec=0,
            payload_type=0,
            dtmf_payload_type=101,
            remote=("127.0.0.1", port),
            latch_ip=None,
            sending=True,
            receiving=True,
            interruptible=3,
            rtcp_mux=reports,
            deliver=lambda event: None,
        )
    await asyncio.gather(*(leg.opened() for leg in rows))


async def baseline_run(legs: int, seconds: float, *, realtime: bool, kind: str = "asyncio") -> Run:
    """Measure a task and a socket for each call and a codec call for each packet.

    Args:
        legs: Number of calls.
        seconds: To measure, after the warm-up.
        realtime: Ask for the same priority and core as the engine has.
        kind: Which bridge, by its name in `tests.bench.baseline`.
    """
    async with helper("baseline") as baseline, helper("generator") as generator, helper("probe") as probe:
        generator.tell(legs=legs, seconds=seconds + _WARM_UP_S)
        ports = (await generator.hear())["ports"]
        baseline.tell(legs=legs, kind=kind, remotes=ports)
        opened = (await baseline.hear())["ports"]
        timing = _timing(seconds)
        baseline.tell(realtime=realtime, priority=_PRIORITY, **timing)
        generator.tell(ports=opened, **timing)
        probe.tell(realtime=realtime, priority=_PROBE_PRIORITY, **timing)
        far_end, lateness, cpu = await asyncio.gather(generator.hear(), probe.hear(), baseline.hear())
    far_end.pop("watched")
    far_end["lost_in"] = far_end["sent"] - cpu["received"]
    return Run(
        carrier=kind,
        legs=legs,
        seconds=seconds,
        cpu_ms_per_call_s=_per_call(cpu["cpu_ns"], legs, cpu["measured_s"]),
        far_end=far_end,
        probe=lateness,
        realtime=realtime,
    )


@asynccontextmanager
async def helper(name: str) -> AsyncIterator[Helper]:
    """Start ``tests.bench.<name>``; it is ended on the way out."""
    async with await Helper.start(f"tests.bench.{name}") as helper:
        yield helper


def _per_call(cpu_ns: int, legs: int, seconds: float) -> float:
    return round(cpu_ns / 1e6 / (legs * seconds), 4)


def _timing(seconds: float) -> dict[str, Any]:
    """When everybody begins, and for how long; the helpers need a moment to load."""
    begin_ns = time.monotonic_ns() + _LEAD_NS + 1_000_000_000
    return {"begin_ns": begin_ns, "seconds": seconds + _WARM_UP_S, "warm_up_s": _WARM_UP_S}


async def _talk(rows: Sequence[MediaLeg], pcm: NDArray[np.int16], begin_ns: int, seconds: float) -> None:
    """Write two seconds of speech into every ring every four seconds, one row after the other."""
    step_ns = int(_CYCLE_S * 1e9 / len(rows))
    for turn in range(int(seconds / _CYCLE_S * len(rows))):
        await until(begin_ns + turn * step_ns)
        writer = rows[turn % len(rows)].writer
        epoch = writer.epoch
        writer.write(pcm, epoch=epoch)
        writer.close_utterance(epoch)


async def until(instant_ns: int) -> None:
    """Sleep to a moment of monotonic time."""
    await asyncio.sleep(max(0, instant_ns - time.monotonic_ns()) / 1e9)


def process_cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, by the scheduler's own account."""
    if not Path(f"/proc/{pid}").exists():
        return 0  # it died; the run says so
    return sum(
        int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()
    )


def _is_exact(watched: list[list[Any]], pcm: NDArray[np.int16]) -> bool:
    """Whether the watched leg's speech is, burst after burst, the G.711 of what was written."""
    ordered = sorted(watched, key=lambda item: (item[0] - watched[0][0] + 2**31) % 2**32)
    heard = b"".join(base64.b64decode(codes) for _, codes in ordered)
    burst = encode_ulaw(pcm).tobytes()
    sounding = len(heard) - heard.count(b"\xff" * 160) * 160
    whole = heard.count(burst)
    # The last burst may be cut by the end of the run.
    return whole > 0 and sounding - whole * len(burst) < len(burst)
