"""A process that plays N phones through the deaths of a media process, and says what it heard of each call.

Reads JSON from stdin a line at a time: what to do, then the ports of the legs, then when it was killed.
"""

import json
import sys
import threading
import time
from typing import Protocol

import numpy as np

from bridge.plane.g711 import encode_ulaw
from tests.bench.far_end import FarEnd
from tests.bench.generator import settle
from tests.bench.survival_lines import Lines
from tests.bench.survival_specs import SPECS, SurvivalSpec
from tests.bench.survival_streams import Heard, Stream, account

__all__ = ["Phones"]

_MS = 1_000_000
_SLOTS = 20


class Phones(Protocol):
    """Those who speak and listen: one socket for all of them, or one each."""

    @property
    def ports(self) -> list[int]:
        """Where each phone listens."""
        ...

    @property
    def sent(self) -> int:
        """Packets that all of them sent."""
        ...

    def call(self, ports: list[int]) -> None:
        """Name the loopback ports of the legs."""
        ...

    def send(self, begin: int, end: int) -> None:
        """One packet from each of the phones `begin` to `end`."""
        ...

    def drain(self) -> None:
        """Take in everything that waits."""
        ...

    def streams(self, ssrcs: list[int]) -> tuple[list[Stream], Heard]:
        """What came for each, and what cannot be told by a stream."""
        ...


def main() -> None:
    told = json.loads(sys.stdin.readline())
    count, spec = told["legs"], SPECS[told["spec"]]
    phones: Phones = Lines(spec, count) if spec.has_lines else _Crowd(count, told["seconds"])
    sys.stdout.write(json.dumps({"ports": phones.ports}) + "\n")
    sys.stdout.flush()
    called = json.loads(sys.stdin.readline())
    phones.call(called["ports"])
    settle()
    over = threading.Event()
    deaths_ns: list[int] = []

    def listen() -> None:
        deaths_ns.extend(json.loads(sys.stdin.readline())["deaths_ns"])
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    _run(phones, count, over)
    sys.stdout.write(json.dumps(_sum_up(phones, spec, called["ssrcs"], deaths_ns)) + "\n")


def _run(phones: Phones, count: int, over: threading.Event) -> None:
    """Speak and listen until told that it is over."""
    edges = [count * slot // _SLOTS for slot in range(_SLOTS + 1)]
    due_ns = time.monotonic_ns()
    tick = 0
    while not over.is_set():
        if (wait_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        slot = tick % _SLOTS
        if edges[slot] < edges[slot + 1]:
            phones.send(edges[slot], edges[slot + 1])
        phones.drain()
        due_ns += _MS
        tick += 1
    phones.drain()


def _sum_up(phones: Phones, spec: SurvivalSpec, ssrcs: list[int], deaths_ns: list[int]) -> Heard:
    streams, told = phones.streams(ssrcs)
    names = [spec.read(stream) for stream in streams]
    heard = account(streams, names, deaths_ns, cycle=spec.cycle, is_exact=spec.is_exact)
    # By 16 bits it has turned over, if it went past the last number before the first of them died.
    turned = [stream.sequence[stream.arrival_ns < min(deaths_ns)].astype(np.int64) for stream in streams]
    return {
        **heard,
        **told,
        "turned_before": sum(bool((np.diff(numbers) < -(1 << 15)).any()) for numbers in turned),
        "turned": sum(bool((np.diff(stream.sequence) < -(1 << 15)).any()) for stream in streams),
        "sent": phones.sent,
    }


class _Crowd:
    """Hundreds of phones of G.711 on one socket."""

    def __init__(self, count: int, seconds: float) -> None:
        noise = np.random.default_rng(2).normal(0, 6, (50, 160)).astype(np.int16)
        kept = int(count * 51 * (seconds + 2)) + 1000
        self._count = count
        self._far = FarEnd(count, encode_ulaw(noise), keep=kept, watch_ssrc=0, keeps_payloads=True)
        self.call = self._far.call
        self.send = self._far.send
        self.drain = self._far.drain

    @property
    def ports(self) -> list[int]:
        return [self._far.socket.getsockname()[1]] * self._count

    @property
    def sent(self) -> int:
        return int(self._far.sent.sum())

    def streams(self, ssrcs: list[int]) -> tuple[list[Stream], Heard]:
        kept = self._far.received
        source = kept.ssrc[: kept.count]
        streams = []
        for ssrc in ssrcs:
            mine = np.flatnonzero(source == ssrc)
            payloads = kept.payload[mine]
            streams.append(
                Stream(
                    kept.arrival_ns[mine],
                    kept.sequence[mine].astype(np.int64),
                    kept.timestamp[mine].astype(np.int64),
                    payloads,
                    np.full(len(mine), payloads.shape[1], np.int64),
                )
            )
        strangers = int(np.count_nonzero(~np.isin(source, ssrcs)))
        return streams, {"strangers": strangers, "overflow": kept.overflow}


if __name__ == "__main__":
    main()
