"""A process that plays N phones: quiet-line noise at 50 packets a second to each leg, phases spread.

Reads one line of JSON from stdin, writes one line to stdout; the socket's port comes first.
"""

import base64
import json
import os
import sys
import time

import numpy as np

from bridge.plane.g711 import encode_ulaw
from tests.bench.far_end import FarEnd
from tests.bench.lateness import Lateness, of_packets

_SLOTS = 20
_SLOT_NS = 1_000_000


def main() -> None:
    told = json.loads(sys.stdin.readline())
    count, seconds, watch = told["legs"], told["seconds"], told["watch_ssrc"]
    noise = np.random.default_rng(2).normal(0, 6, (50, 160)).astype(np.int16)
    kept = int(count * 51 * (seconds + 2)) + 1000
    far = FarEnd(count, encode_ulaw(noise), keep=kept, watch_ssrc=watch)
    sys.stdout.write(json.dumps({"port": far.socket.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    far.call(json.loads(sys.stdin.readline())["ports"])
    settle()
    own_late = run(far, count, begin_ns=told["begin_ns"], seconds=seconds)
    sys.stdout.write(json.dumps(summary(far, told, own_late)) + "\n")


def settle() -> None:
    """On a core of its own, and as urgent as the engine, where that is granted."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[0]})
    except PermissionError:
        pass


def run(far: FarEnd, count: int, *, begin_ns: int, seconds: float) -> list[int]:
    """Send for `seconds`; return how late each slot was."""
    edges = [count * slot // _SLOTS for slot in range(_SLOTS + 1)]
    late: list[int] = []
    due_ns = begin_ns
    for tick in range(round(seconds * 1000)):
        if (wait_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        late.append(time.monotonic_ns() - due_ns)
        slot = tick % _SLOTS
        if edges[slot] < edges[slot + 1]:
            far.send(edges[slot], edges[slot + 1])
        far.drain()
        due_ns += _SLOT_NS
    time.sleep(0.03)
    far.drain()
    return late


def summary(far: FarEnd, told: dict[str, float], own_late: list[int]) -> dict[str, object]:
    """What came back, warm-up left out."""
    kept = far.received
    first_ns = told["begin_ns"] + told["warm_up_s"] * 1e9
    last_ns = told["begin_ns"] + told["seconds"] * 1e9
    counted = (kept.arrival_ns[: kept.count] >= first_ns) & (kept.arrival_ns[: kept.count] < last_ns)
    ssrc, sequence = kept.ssrc[: kept.count], kept.sequence[: kept.count].astype(np.int64)
    lost = duplicates = 0
    for source in np.unique(ssrc[counted]):
        # Before the window nobody reads yet, and what overflows our own socket is not the engine's loss.
        numbers = np.unwrap(sequence[counted & (ssrc == source)], period=1 << 16).astype(np.int64)
        unique = len(np.unique(numbers))
        lost += int(numbers.max() - numbers.min() + 1 - unique)
        duplicates += len(numbers) - unique
    late_ns = of_packets(kept.arrival_ns[: kept.count], ssrc, kept.timestamp[: kept.count])
    wanted = int(told["legs"] * 50 * told["seconds"])
    return {
        "sent_share": round(float(far.sent.sum()) / wanted, 5),
        "received": int(np.count_nonzero(counted)),
        "expected": round(told["legs"] * 50 * (told["seconds"] - told["warm_up_s"])),
        "legs_heard": len(np.unique(ssrc)),
        "lost": lost,
        "duplicates": duplicates,
        "overflow": kept.overflow,
        "speech_share": round(float(1 - kept.is_silent[: kept.count][counted].mean()), 3)
        if counted.any()
        else 0,
        "lateness": Lateness.of(late_ns[counted]).as_json(),
        "late_over_20_ms": int(np.count_nonzero(late_ns[counted] > 20_000_000)),
        "generator_lateness": Lateness.of(np.array(own_late, np.int64)).as_json(),
        "watched": [[timestamp, base64.b64encode(codes).decode()] for timestamp, codes in far.watched],
    }


if __name__ == "__main__":
    main()
