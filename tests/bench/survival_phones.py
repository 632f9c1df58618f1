"""A process that plays N phones through the deaths of a media process, and says what it heard of each call.

Reads JSON from stdin a line at a time: what to do, then the ports of the legs, then when it was killed.
"""

import json
import sys
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.plane.g711 import encode_ulaw
from tests.bench.far_end import FarEnd
from tests.bench.generator import settle
from tests.bench.survival_specs import SPECS, SurvivalSpec

__all__ = ["Heard", "account"]

_MS = 1_000_000
_SLOTS = 20
_AROUND_NS = 2_000 * _MS
"""How long after a death its gap is looked for."""
_BEFORE_NS = 100 * _MS
Heard = dict[str, Any]


def main() -> None:
    told = json.loads(sys.stdin.readline())
    count, seconds = told["legs"], told["seconds"]
    noise = np.random.default_rng(2).normal(0, 6, (50, 160)).astype(np.int16)
    kept = int(count * 51 * (seconds + 2)) + 1000
    far = FarEnd(count, encode_ulaw(noise), keep=kept, watch_ssrc=0, keeps_payloads=True)
    sys.stdout.write(json.dumps({"port": far.socket.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    called = json.loads(sys.stdin.readline())
    far.call(called["ports"])
    settle()
    over = threading.Event()
    deaths: list[int] = []

    def listen() -> None:
        deaths.extend(json.loads(sys.stdin.readline())["deaths_ns"])
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    _run(far, count, over)
    names = {ssrc: leg for leg, ssrc in enumerate(called["ssrcs"])}
    heard = account(far, SPECS[told["spec"]], names, deaths)
    sent = far.sent.sum() / (50.0 * count)
    sys.stdout.write(json.dumps({**heard, "sent_s": round(float(sent), 2)}) + "\n")


def _run(far: FarEnd, count: int, over: threading.Event) -> None:
    """Speak and listen until told that it is over."""
    edges = [count * slot // _SLOTS for slot in range(_SLOTS + 1)]
    due_ns = time.monotonic_ns()
    tick = 0
    while not over.is_set():
        if (wait_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        slot = tick % _SLOTS
        if edges[slot] < edges[slot + 1]:
            far.send(edges[slot], edges[slot + 1])
        far.drain()
        due_ns += _MS
        tick += 1
    far.drain()


def account(far: FarEnd, spec: SurvivalSpec, names: dict[int, int], deaths_ns: list[int]) -> Heard:
    """What became of every call, by what arrived."""
    kept = far.received
    ssrc, arrival_ns = kept.ssrc[: kept.count], kept.arrival_ns[: kept.count]
    said = spec.read(kept.payload[: kept.count])
    totals: Heard = dict.fromkeys(
        ("packets", "twice", "foreign", "lost_frames", "repeated_frames", "reordered"), 0
    )
    gaps: list[list[float]] = [[] for _ in deaths_ns]
    skips: list[int] = []
    alive = 0
    for source, leg in names.items():
        mine = np.flatnonzero(ssrc == source)
        numbers = kept.sequence[mine].astype(np.int64)
        totals["packets"] += len(mine)
        if not len(mine):
            continue
        alive += bool(arrival_ns[mine[-1]] > arrival_ns.max() - 100 * _MS)
        unwrapped = np.unwrap(numbers, period=1 << 16).astype(np.int64)
        totals["twice"] += len(unwrapped) - len(np.unique(unwrapped))
        steps = np.diff(unwrapped)
        totals["reordered"] += int(np.count_nonzero(steps < 0))
        skips += steps[steps > 1].tolist()
        whose, frames = said.legs[mine], said.frames[mine]
        totals["foreign"] += int(np.count_nonzero((whose >= 0) & (whose != leg)))
        _count_frames(frames[whose == leg], totals)
        for found, at_ns in zip(gaps, deaths_ns, strict=True):
            found.append(_gap_ms(arrival_ns[mine], at_ns))
    strangers = int(np.count_nonzero(~np.isin(ssrc, list(names))))
    return {
        **totals,
        "strangers": strangers,
        "alive": alive,
        "overflow": kept.overflow,
        "skips": {str(step): skips.count(step) for step in sorted(set(skips))},
        "gaps_ms": [_quantiles(found) for found in gaps],
    }


def _count_frames(frames: NDArray[np.int64], totals: Heard) -> None:
    """Speech goes on with the next frame; one that was built and not sent may be missing."""
    steps = np.diff(np.unwrap(frames, period=64 * 64).astype(np.int64))
    totals["lost_frames"] += int((steps[steps > 1] - 1).sum())
    totals["repeated_frames"] += int(np.count_nonzero(steps < 1))


def _gap_ms(arrival_ns: NDArray[np.int64], death_ns: int) -> float:
    """The longest time without a packet around a death."""
    near = arrival_ns[(arrival_ns > death_ns - _BEFORE_NS) & (arrival_ns < death_ns + _AROUND_NS)]
    return float(np.diff(np.concatenate((near, [death_ns + _AROUND_NS]))).max()) / _MS


def _quantiles(gaps_ms: list[float]) -> dict[str, float]:
    p50, p99, most = np.quantile(gaps_ms, [0.5, 0.99, 1.0], method="higher").tolist()
    return {"p50": round(p50, 1), "p99": round(p99, 1), "max": round(most, 1)}


if __name__ == "__main__":
    main()
