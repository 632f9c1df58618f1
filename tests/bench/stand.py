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
from bridge.engine.supervisor import MediaEngine, MediaLeg, MediaSettings
from bridge.plane.g711 import encode_ulaw

__all__ = ["Run", "baseline_run", "engine_run", "helper"]

_WARM_UP_S = 2.0
_LEAD_NS = 500_000_000
_BURST_SAMPLES = 16_000
_CYCLE_S = 4.0
_PRIORITY = 10
_GATE_SENT = 0.995
_END_S = 3.0


@dataclass(slots=True)
class Run:
    """One measurement."""

    carrier: str
    """``engine`` or ``asyncio``."""
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
            "speech_exact": self.exact,
            "notes": self.notes,
        }


class _Helper:
    """A child that is spoken to in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str) -> "_Helper":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 28,
        )
        return cls(process)

    async def __aenter__(self) -> "_Helper":
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


async def engine_run(legs: int, seconds: float, *, plain_sockets: bool = False) -> Run:
    """Measure the media process of `bridge.engine` with `legs` calls."""
    settings = MediaSettings(
        bind_ip="127.0.0.1", ports=(20_480, 32_767), capacity=max(legs, 16), plain_sockets=plain_sockets
    )
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SystemDice())
    try:
        rows = [engine.reserve() for _ in range(legs)]
        return await _measure_engine(engine, rows, seconds)
    finally:
        await engine.close()


async def _measure_engine(engine: MediaEngine, rows: Sequence[MediaLeg], seconds: float) -> Run:
    async with helper("generator") as generator, helper("probe") as probe:
        timing = _timing(seconds)
        generator.tell(legs=len(rows), watch_ssrc=rows[0].ssrc, **timing)
        await _open(rows, port=(await generator.hear())["port"])
        generator.tell(ports=[leg.local_port for leg in rows])
        probe.tell(realtime=engine.is_realtime, priority=_PRIORITY, **timing)
        pcm = np.random.default_rng(3).integers(-9000, 9000, _BURST_SAMPLES).astype(np.int16)
        talk = asyncio.ensure_future(_talk(rows, pcm, timing["begin_ns"], timing["seconds"]))
        await _until(timing["begin_ns"] + int(_WARM_UP_S * 1e9))
        pid = engine.pid
        before_ns, began_ns = _cpu_ns(pid), time.monotonic_ns()
        await _until(timing["begin_ns"] + int(timing["seconds"] * 1e9))
        after_ns, ended_ns = _cpu_ns(pid), time.monotonic_ns()
        await talk
        far_end, lateness = await generator.hear(), await probe.hear()
    skipped = int(sum(leg.status.snapshot()["silence_bridge_late"] for leg in rows))
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


async def _open(rows: Sequence[MediaLeg], *, port: int) -> None:
    for leg in rows:
        leg.open(
            codec=0,
            payload_type=0,
            dtmf_payload_type=101,
            remote=("127.0.0.1", port),
            latch_ip=None,
            sending=True,
            receiving=True,
            interruptible=3,
            deliver=lambda event: None,
        )
    await asyncio.gather(*(leg.opened() for leg in rows))


async def baseline_run(legs: int, seconds: float, *, realtime: bool) -> Run:
    """Measure a task, a socket and a codec call per packet for each call, on asyncio."""
    async with helper("baseline") as baseline, helper("generator") as generator, helper("probe") as probe:
        baseline.tell(legs=legs)
        ports = (await baseline.hear())["ports"]
        timing = _timing(seconds)
        generator.tell(legs=legs, watch_ssrc=0, **timing)
        baseline.tell(port=(await generator.hear())["port"], realtime=realtime, priority=_PRIORITY, **timing)
        generator.tell(ports=ports)
        probe.tell(realtime=realtime, priority=_PRIORITY, **timing)
        far_end, lateness, cpu = await asyncio.gather(generator.hear(), probe.hear(), baseline.hear())
    far_end.pop("watched")
    return Run(
        carrier="asyncio",
        legs=legs,
        seconds=seconds,
        cpu_ms_per_call_s=_per_call(cpu["cpu_ns"], legs, seconds),
        far_end=far_end,
        probe=lateness,
        realtime=realtime,
    )


@asynccontextmanager
async def helper(name: str) -> AsyncIterator[_Helper]:
    """A module of this folder as a process of its own, spoken to in lines of JSON."""
    async with await _Helper.start(f"tests.bench.{name}") as helper:
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
        await _until(begin_ns + turn * step_ns)
        writer = rows[turn % len(rows)].writer
        epoch = writer.epoch
        writer.write(pcm, epoch=epoch)
        writer.close_utterance(epoch)


async def _until(instant_ns: int) -> None:
    await asyncio.sleep(max(0, instant_ns - time.monotonic_ns()) / 1e9)


def _cpu_ns(pid: int) -> int:
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
