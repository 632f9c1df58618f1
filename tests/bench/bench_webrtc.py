"""What a call from a browser costs and how it holds, beside stock aiortc in the same run.

    python -m tests.bench.bench_webrtc --calls 5 20 --repeat 3

Five questions: the CPU of a call whose Opus is passed through, against aiortc sending frames of the same
speech, and whether anybody's sound stalls; what both hear through 5 % loss and 60 ms of jitter, and after a
single loss; what is silent of many such lines, each the same for the same seed; how soon the bridge is mute
when it is interrupted; how soon Chromium is connected. Callers are light ones of our own, in one process,
with the kernel's times of arrival. A run whose callers could not say 95 % of what they had to say is marked,
counted and not used. Nothing here asserts: machines differ.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tests.bench import web_seeds, web_speech
from tests.bench.ear_file import load
from tests.bench.machine import provenance
from tests.bench.web_clicks import clicks, find_chromium
from tests.bench.web_delay import curve, judge, recovery_ms
from tests.bench.web_stand import KINDS, Called, Crowd, called, encoded, run
from tests.bench.web_tables import tell
from tests.hearing import transcribe

_WARM_UP_S = 2.0
_GATE_SENT = 0.95
_PARTS = ("cost", "loss", "seeds", "mute", "connect")
_LOSS, _JITTER_MS = 0.05, 60
_SLOT_NS = 19_000_000
_SINGLE_LOSS = 400
"""Number of the packet that is lost alone, 8 s into a call."""
_CLIP_PACKETS = 60
_CUT_EVERY_MS = 4500
_MUTE_CALLS = 12


class Stage:
    """What all runs share: the speech in its forms, and a folder.

    Args:
        folder: For files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        pcm = web_speech.speech()
        self.dense = web_speech.dense(pcm)
        self.speech = folder / "speech.ogg"
        self.speech.write_bytes(web_speech.ogg(pcm))
        self.without_pauses = folder / "dense.ogg"
        self.without_pauses.write_bytes(web_speech.ogg(self.dense))
        self.quiet = web_speech.quiet()
        self.ear = folder / "ear"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_webrtc", description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[5, 20], help="calls at a time")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each run, warm-up apart")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each kind; all are reported")
    parser.add_argument("--lossy-seconds", type=float, default=60.0, help="length of the lossy runs")
    parser.add_argument("--seeds", type=int, default=50, help="minutes of lossy line, each way of coding")
    parser.add_argument("--cuts", type=int, default=36, help="interruptions")
    parser.add_argument("--clicks", type=int, default=20, help="calls of Chromium")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--out", type=Path, default=Path("out/bench/webrtc.json"))
    told = parser.parse_args()
    if told.quick:
        told.calls, told.seconds, told.repeat = [20], 6.0, 1
        told.lossy_seconds, told.seeds, told.cuts, told.clicks = 20.0, 5, 12, 5
    # Logs have no width; a table that wraps cannot be compared.
    console = Console() if sys.stdout.isatty() else Console(width=116)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Stage(Path(folder)), told, console)
    tell(found, console)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(document(found), indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


def measure(stage: Stage, told: argparse.Namespace, console: Console) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "cost" in told.parts:
        found["cost"] = []
        for _ in range(told.repeat):
            for calls in told.calls:
                for kind in KINDS:
                    console.print(f"{kind}, {calls} calls, {told.seconds:.0f} s …", style="dim")
                    found["cost"].append(cost(stage, kind, calls, told.seconds))
    if "loss" in told.parts:
        found["loss"] = []
        for seed in range(1, told.repeat + 1):
            for kind in KINDS:
                console.print(f"{kind}, loss and jitter, seed {seed} …", style="dim")
                found["loss"].append(single(stage, kind) | {"seed": seed})
                found["loss"].append(lossy(stage, kind, told.lossy_seconds, seed) | {"seed": seed})
    if "seeds" in told.parts:
        console.print(f"{told.seeds} minutes of lossy line, at a clock of their own …", style="dim")
        found["seeds"] = web_seeds.seeded(
            stage.dense, seeds=told.seeds, seconds=60.0, loss=_LOSS, jitter_ms=_JITTER_MS
        )
    if "mute" in told.parts:
        console.print(f"{told.cuts} interruptions …", style="dim")
        found["mute"] = mute(stage, told.cuts)
    if "connect" in told.parts:
        console.print(f"{told.clicks} clicks …", style="dim")
        found["connect"] = connect(stage, told.clicks)
    return found


def cost(stage: Stage, kind: str, calls: int, seconds: float) -> dict[str, Any]:
    """What calls cost that are spoken to all the time."""
    wave = stage.folder / "heard.wav"
    crowd = Crowd(calls, seconds + _WARM_UP_S, stage.quiet, _WARM_UP_S, {"wave": str(wave)})
    with called(kind, "talker", stage.speech, stage.ear) as who:
        ran = run(who, crowd)
        passed = who.passed()
    heard = ran.summary["calls"]
    return {
        "kind": kind,
        "calls": calls,
        "cpu_ms_per_call_s": ran.cpu_ms_per_call_s,
        "cpu_whole": round(sum(ran.cpu_ms_per_call_s.values()), 3),
        "cpu_sound": ran.cpu_ms_per_call_s.get("media", ran.cpu_ms_per_call_s.get("bot")),
        "stalls": sum(each["stalls"] for each in heard),
        "longest_ms": max(each["longest_ms"] for each in heard),
        "lost": sum(each["lost"] for each in heard),
        "audible_share": min(each["audible_share"] for each in heard),
        "passed": passed,
        "word_errors": _word_errors(wave),
        **_shares(ran.summary),
    }


def single(stage: Stage, kind: str) -> dict[str, Any]:
    """What one lost packet does."""
    lost_s = _SINGLE_LOSS * 0.02
    found, began_ns, summary = _listened(stage, kind, 2 * lost_s, {"lost": [_SINGLE_LOSS]})
    lost_ns = began_ns + _SINGLE_LOSS * 20_000_000
    end_ns = began_ns + round(2 * lost_s * 1e9) - 500_000_000
    before = judge(found, from_ns=began_ns + 3_000_000_000, until_ns=lost_ns)
    after = judge(found, from_ns=lost_ns, until_ns=end_ns)
    return {
        "kind": kind,
        "network": "one packet lost",
        "before_ms": before.delay_p50_ms,
        "recovery_ms": recovery_ms(found, lost_ns=lost_ns, until_ns=end_ns),
        **after.as_json(),
        **_shares(summary),
    }


def lossy(stage: Stage, kind: str, seconds: float, seed: int) -> dict[str, Any]:
    """What loss and jitter do together."""
    more = {"loss": _LOSS, "jitter_ms": _JITTER_MS, "seed": seed}
    found, began_ns, summary = _listened(stage, kind, seconds, more)
    end_ns = began_ns + round(seconds * 1e9) - 500_000_000
    judged = judge(found, from_ns=began_ns + 3_000_000_000, until_ns=end_ns)
    network = f"{_LOSS:.0%} loss, {_JITTER_MS} ms jitter"
    # Loss is no fault of the callers here.
    shares = _shares(summary, lost=summary["lost_on_the_way"] / (50 * seconds))
    return {"kind": kind, "network": network, **judged.as_json(), **shares}


def _listened(stage: Stage, kind: str, seconds: float, more: dict[str, Any]) -> Any:  # noqa: ANN401
    """Say the speech over and over to somebody who listens; return what became of it."""
    says = web_speech.packets(stage.dense)
    with called(kind, "listener", stage.without_pauses, stage.ear) as who:
        ran = run(who, Crowd(1, seconds, says, _WARM_UP_S, more))
    rate_hz, pieces = load(stage.ear)
    told = web_speech.told(says)
    said = np.tile(told, int(seconds * 48_000 / len(told)) + 2)
    # Alone, a phone has the last of the slots.
    began_ns = ran.began_ns + _SLOT_NS
    return curve(said, began_ns, pieces, rate_hz), began_ns, ran.summary


def mute(stage: Stage, count: int) -> dict[str, Any]:
    """How soon a bridge falls silent that is interrupted again and again."""
    rounds = -(-count // _MUTE_CALLS)
    dice = np.random.default_rng(5)
    cuts = [
        (phone, 3000 + turn * _CUT_EVERY_MS + int(dice.integers(0, 1000)))
        for turn in range(rounds)
        for phone in range(_MUTE_CALLS)
    ]
    words = web_speech.interruption()
    more = {"clip": encoded(words.packets[:_CLIP_PACKETS]), "clip_onset": words.onset, "cuts": cuts}
    seconds = 3 + rounds * _CUT_EVERY_MS / 1000 + 2
    with called("cosybridge", "talker", stage.without_pauses, stage.ear) as who:
        ran = run(who, Crowd(_MUTE_CALLS, seconds, stage.quiet, _WARM_UP_S, more))
    mutes = [each for each in ran.summary["mutes_ms"] if each is not None]
    return {
        "cuts": len(cuts),
        "calls": _MUTE_CALLS,
        "unmeasured": len(cuts) - len(mutes),
        "mutes_ms": mutes,
        **_percentiles(mutes),
        **_shares(ran.summary),
    }


def connect(stage: Stage, count: int) -> dict[str, Any]:
    """How soon a browser is connected, and one of our light phones."""
    with called("cosybridge", "talker", stage.speech, stage.ear) as who:
        light = run(who, Crowd(20, 1.0, stage.quiet, 0.5)).connect_ms
        chromium = find_chromium()
        taken = [] if chromium is None else _clicked(chromium, who, stage.folder, count)
    return {
        "clicks": len(taken),
        "taken_ms": taken,
        **_percentiles(taken),
        "light": _percentiles(light) | {"calls": len(light)},
    }


def _clicked(chromium: str, who: Called, folder: Path, count: int) -> list[float]:
    assert who.bridge is not None
    url = f"http://127.0.0.1:{who.bridge.http_port}/?token={who.bridge.token}"
    return asyncio.run(clicks(chromium, url, count=count, folder=folder))


def _word_errors(wave: Path) -> float:
    """Of the speech, in what the first phone heard: the part of its words that a recogniser missed."""
    import wave as waves

    with waves.open(str(wave)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    heard = transcribe(pcm, 48_000)
    # It hears the speech from somewhere in its midst, and some of it twice.
    said = set(web_speech.TEXT.lower().replace(",", "").replace(".", "").split())
    strange = [word for word in heard.split() if word not in said]
    return round(len(strange) / max(1, len(heard.split())), 3)


def _shares(summary: dict[str, Any], *, lost: float = 0.0) -> dict[str, Any]:
    return {
        "sent_share": summary["sent_share"],
        "packets_back_share": summary["heard_share"],
        "valid": summary["sent_share"] + lost >= _GATE_SENT,
        "generator_lateness": summary["generator_lateness"],
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p90 = np.percentile(values, (50, 90))
    return {"p50_ms": round(float(p50), 1), "p90_ms": round(float(p90), 1), "max_ms": round(max(values), 1)}


def document(found: dict[str, Any]) -> dict[str, Any]:
    runs = [*found.get("cost", []), *found.get("loss", [])]
    return {
        **provenance(),
        "invalid_runs": sum(not each["valid"] for each in runs),
        **found,
    }


if __name__ == "__main__":
    main()
