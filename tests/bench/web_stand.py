"""Who is called in `bench_webrtc`, a whole bridge or a stock aiortc bot, and the crowd that calls."""

import base64
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.children import child, hear, processes, tell, wait_until
from tests.bench.stand import process_cpu_ns
from tests.bench.web_agents import EAR_FILE
from tests.e2e.running import RunningBridge

__all__ = ["KINDS", "Called", "Crowd", "Told", "called", "encoded", "run"]

KINDS = ("cosybridge", "aiortc")
_LEAD_NS = 800_000_000


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody who takes calls."""

    url: str
    token: str
    parts: dict[str, tuple[int, ...]]
    """Processes, by what they do: ``media`` and ``rest``, or ``bot``."""
    ear: Path
    """Where what was heard is written, once it has ended."""
    bridge: RunningBridge | None = None

    def cpu_ns(self) -> dict[str, int]:
        """CPU time so far, by part."""
        return {name: sum(map(process_cpu_ns, pids)) for name, pids in self.parts.items()}

    def passed(self) -> float:
        """Packets of the voice that were sent on untouched."""
        if self.bridge is None:
            return 0.0
        return self.bridge.metric("cosybridge_rtp_sent_special_packets_total", 'kind="passed"')


@dataclass(frozen=True, slots=True)
class Crowd:
    """Whom phones are and what they say; the rest is `tests.bench.web_phones`'."""

    calls: int
    seconds: float
    """With the warm-up."""
    says: Sequence[bytes]
    warm_up_s: float = 2.0
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What phones tell of one run."""

    summary: dict[str, Any]
    connect_ms: list[float]
    began_ns: int
    cpu_ms_per_call_s: dict[str, float]
    """By part."""


@contextmanager
def called(kind: str, agent: str, speech: Path, ear: Path) -> Iterator[Called]:
    """Start a bridge with one of `tests.bench.web_agents`, or the bot, which does both at once."""
    if kind == "aiortc":
        with child("tests.bench.aiortc_bot", str(speech), str(ear)) as bot:
            yield Called(hear(bot)["url"], "", {"bot": (bot.pid,)}, ear)
        return
    with child("tests.bench.opus_service", str(speech)) as service:
        os.environ[EAR_FILE] = str(ear)
        settings = {
            "tts.url": hear(service)["url"],
            "media.standby": "false",
            "routes.0.to": "*",
            "routes.0.agent": f"tests.bench.web_agents:{agent}",
            "webrtc.offers_per_s": 1000,
            "webrtc.max_calls_per_client": 1000,
        }
        with RunningBridge(settings) as bridge:
            url = f"http://127.0.0.1:{bridge.http_port}/api/webrtc"
            yield Called(url, bridge.token, processes(bridge.process.pid), ear, bridge)


def run(who: Called, crowd: Crowd) -> Told:
    """Let a crowd call somebody."""
    with child("tests.bench.web_phones") as phones:
        order = {"calls": crowd.calls, "url": who.url, "token": who.token, "says": encoded(crowd.says)}
        tell(phones, order | crowd.more)
        connect_ms = hear(phones)["connect_ms"]
        began_ns = time.monotonic_ns() + _LEAD_NS
        tell(phones, {"begin_ns": began_ns, "seconds": crowd.seconds, "warm_up_s": crowd.warm_up_s})
        wait_until(began_ns + round(crowd.warm_up_s * 1e9))
        before, before_ns = who.cpu_ns(), time.monotonic_ns()
        wait_until(began_ns + round(crowd.seconds * 1e9))
        after, after_ns = who.cpu_ns(), time.monotonic_ns()
        summary = hear(phones)
    call_s = crowd.calls * (after_ns - before_ns) / 1e9
    cpu = {name: round((after[name] - before[name]) / 1e6 / call_s, 3) for name in after}
    return Told(summary, connect_ms, began_ns, cpu)


def encoded(packets: Sequence[bytes]) -> list[str]:
    """As JSON can hold it."""
    return [base64.b64encode(packet).decode() for packet in packets]
