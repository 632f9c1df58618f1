"""Who is called in `bench_webrtc`, a whole bridge or a stock aiortc bot, and the crowd that calls."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.stand import process_cpu_ns
from tests.bench.web_agents import EAR_FILE
from tests.e2e.running import RunningBridge

__all__ = ["KINDS", "Called", "Crowd", "Told", "called", "encoded", "run"]

KINDS = ("cosybridge", "aiortc")
_LEAD_NS = 800_000_000
_END_S = 10.0


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
        with _child("tests.bench.aiortc_bot", str(speech), str(ear)) as bot:
            yield Called(_read(bot)["url"], "", {"bot": (bot.pid,)}, ear)
        return
    with _child("tests.bench.opus_service", str(speech)) as service:
        os.environ[EAR_FILE] = str(ear)
        settings = {
            "tts.url": _read(service)["url"],
            "media.standby": "false",
            "routes.0.to": "*",
            "routes.0.agent": f"tests.bench.web_agents:{agent}",
            "webrtc.offers_per_s": 1000,
            "webrtc.max_calls_per_client": 1000,
        }
        with RunningBridge(settings) as bridge:
            url = f"http://127.0.0.1:{bridge.http_port}/api/webrtc"
            yield Called(url, bridge.token, _parts(bridge.process.pid), ear, bridge)


def run(who: Called, crowd: Crowd) -> Told:
    """Let a crowd call somebody."""
    with _child("tests.bench.web_phones") as phones:
        order = {"calls": crowd.calls, "url": who.url, "token": who.token, "says": encoded(crowd.says)}
        _write(phones, order | crowd.more)
        connect_ms = _read(phones)["connect_ms"]
        began_ns = time.monotonic_ns() + _LEAD_NS
        _write(phones, {"begin_ns": began_ns, "seconds": crowd.seconds, "warm_up_s": crowd.warm_up_s})
        _until(began_ns + round(crowd.warm_up_s * 1e9))
        before, before_ns = who.cpu_ns(), time.monotonic_ns()
        _until(began_ns + round(crowd.seconds * 1e9))
        after, after_ns = who.cpu_ns(), time.monotonic_ns()
        summary = _read(phones)
    call_s = crowd.calls * (after_ns - before_ns) / 1e9
    cpu = {name: round((after[name] - before[name]) / 1e6 / call_s, 3) for name in after}
    return Told(summary, connect_ms, began_ns, cpu)


def encoded(packets: Sequence[bytes]) -> list[str]:
    """As JSON can hold it."""
    return [base64.b64encode(packet).decode() for packet in packets]


@contextmanager
def _child(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.close()
        try:
            child.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


def _write(child: "subprocess.Popen[str]", order: dict[str, Any]) -> None:
    assert child.stdin is not None
    child.stdin.write(json.dumps(order) + "\n")
    child.stdin.flush()


def _read(child: "subprocess.Popen[str]") -> dict[str, Any]:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"a child ended early with {child.wait()}")
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


def _until(instant_ns: int) -> None:
    time.sleep(max(0, instant_ns - time.monotonic_ns()) / 1e9)


def _parts(control: int) -> dict[str, tuple[int, ...]]:
    """The media process of a bridge, and all its others."""
    media: list[int] = []
    rest = [control]
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue  # it has just ended
        if parent == control:
            (media if "bridge.engine.process" in command else rest).append(int(folder.name))
    if not media:
        raise RuntimeError("the bridge has no media process")
    return {"media": tuple(media), "rest": tuple(rest)}
