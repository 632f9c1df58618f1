"""The tables of `bench_webrtc`, and whether each figure is what it should be."""

from collections.abc import Iterable
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["cost_ratio", "tell", "verdicts"]

_OURS, _THEIRS = "cosybridge", "aiortc"
_MOST_OF_THEIRS = 0.25
_MOST_MUTE_MS, _MOST_CONNECT_MS, _MOST_STALL_MS, _MOST_RECOVERY_MS = 80.0, 400.0, 60.0, 2000.0
_STALL_FREE_CALLS = 20


def tell(found: dict[str, Any], console: Console) -> None:
    """Print everything that was measured."""
    if "cost" in found:
        _costs(found["cost"], console)
    if "loss" in found:
        _losses(found["loss"], console)
    for each in found.get("seeds", []):
        console.print(
            f"{each['seeds']} lines of {each['seconds']:.0f} s, {'with' if each['has_fec'] else 'without'} "
            f"error correction: {each['silences']} silences, the longest {each['longest_ms']} ms, "
            f"{each['over_40']} over 40 ms, over 60 ms: {each['over_60'] or 'none'}"
        )
    for name, title in (
        ("mute", "loud packet sent to first muted packet"),
        ("connect", "click to connected"),
    ):
        if found.get(name, {}).get("p50_ms") is not None:
            one = found[name]
            count = one.get("clicks") or one["cuts"] - one["unmeasured"]
            console.print(
                f"{title}, {count} times, ms: p50 {one['p50_ms']}, p90 {one['p90_ms']}, max {one['max_ms']}"
            )
    if (light := found.get("connect", {}).get("light")) is not None:
        console.print(f"a light phone's offer to its keys, {light['calls']} times, ms: p50 {light['p50_ms']}")
    for goal, is_met in verdicts(found).items():
        console.print(f"{'met    ' if is_met else 'NOT MET'}  {goal}")


def cost_ratio(runs: Iterable[dict[str, Any]], calls: int, part: str = "cpu_sound") -> float | None:
    """Our CPU of a call in units of theirs, by the medians of the runs that count."""
    costs: dict[str, list[float]] = {_OURS: [], _THEIRS: []}
    for each in runs:
        if each["calls"] == calls and each["valid"]:
            costs[each["kind"]].append(each[part])
    if not all(costs.values()):
        return None
    return median(costs[_OURS]) / median(costs[_THEIRS])


def verdicts(found: dict[str, Any]) -> dict[str, bool]:
    """Each goal that something was measured for, and whether it is met."""
    met: dict[str, bool] = {}
    costs = found.get("cost", [])
    for calls in sorted({each["calls"] for each in costs}):
        ratio = cost_ratio(costs, calls)
        if ratio is not None and calls >= _STALL_FREE_CALLS:
            met[f"{calls} calls: CPU of a call's sound at most a quarter of aiortc's: {ratio:.2f}"] = (
                ratio <= _MOST_OF_THEIRS
            )
    crowd = [each for each in costs if each["kind"] == _OURS and each["calls"] >= _STALL_FREE_CALLS]
    if crowd:
        stalls = sum(each["stalls"] for each in crowd if each["valid"])
        met[f"{_STALL_FREE_CALLS} calls without a stall of more than 60 ms: {stalls}"] = stalls == 0
    ours = [each for each in found.get("loss", []) if each["kind"] == _OURS and each["valid"]]
    if ours:
        longest = max(each["longest_silence_ms"] for each in ours)
        met[f"loss and jitter: no silence over 60 ms: longest {longest:.0f} ms"] = longest <= _MOST_STALL_MS
        times = [each["recovery_ms"] for each in ours if "recovery_ms" in each]
        met["a single loss: delay back within 2 s: " + ", ".join(map(_after, times))] = all(
            each is not None and each <= _MOST_RECOVERY_MS for each in times
        )
    if (seeds := found.get("seeds")) is not None:
        over = sum(len(each["over_60"]) for each in seeds)
        met[f"seeded lines: no silence over 60 ms: {over}"] = over == 0
    for name, most, title in (
        ("mute", _MOST_MUTE_MS, "interruption to mute"),
        ("connect", _MOST_CONNECT_MS, "click to connected"),
    ):
        if (p50_ms := found.get(name, {}).get("p50_ms")) is not None:
            met[f"{title}: p50 at most {most:.0f} ms: {p50_ms} ms"] = p50_ms <= most
    return met


def _costs(runs: list[dict[str, Any]], console: Console) -> None:
    grid = Table(title="Calls that are spoken to all the time, Opus over DTLS-SRTP", title_justify="left")
    for name in ("called", "calls", "CPU ms a call and s\nmedian", "each run", "whole bridge\nmedian"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name in ("stalls\n> 60 ms", "longest\ngap ms", "lost", "passed\non", "not\nused"):
        grid.add_column(name, justify="right", no_wrap=True)
    for calls, kind in dict.fromkeys((each["calls"], each["kind"]) for each in runs):
        alike = [each for each in runs if (each["calls"], each["kind"]) == (calls, kind)]
        used = [each for each in alike if each["valid"]]
        if not used:
            grid.add_row(kind, str(calls), *["–"] * 7, str(len(alike)))
            continue
        grid.add_row(
            kind,
            str(calls),
            f"{median(each['cpu_sound'] for each in used):.2f}",
            " ".join(f"{each['cpu_sound']:.1f}" for each in used),
            f"{median(each['cpu_whole'] for each in used):.2f}",
            str(sum(each["stalls"] for each in used)),
            f"{max(each['longest_ms'] for each in used):.0f}",
            str(sum(each["lost"] for each in used)),
            f"{sum(each['passed'] for each in used):.0f}" if kind == _OURS else "",
            str(len(alike) - len(used)),
        )
    console.print(grid)
    for calls in sorted({each["calls"] for each in runs}):
        sound, whole = (cost_ratio(runs, calls, part) for part in ("cpu_sound", "cpu_whole"))
        if sound is not None and whole is not None:
            console.print(
                f"{calls} calls: the media process takes {sound:.2f} of aiortc's CPU, the whole bridge "
                f"{whole:.2f}"
            )
    _extrapolate(runs, console)


def _extrapolate(runs: list[dict[str, Any]], console: Console) -> None:
    """What a core would carry if all went on as it did; nobody has measured that."""
    most = max(each["calls"] for each in runs)
    alike = [each["cpu_sound"] for each in runs if each["kind"] == _OURS and each["calls"] == most]
    console.print(
        f"extrapolated, not measured: at the price of {most} calls a core would carry "
        f"{1000 / median(alike):.0f} in one media process"
    )


def _losses(runs: list[dict[str, Any]], console: Console) -> None:
    grid = Table(
        title="What the bot hears through a bad network, the same packets lost", title_justify="left"
    )
    for name in ("network", "receiver", "seed", "delay ms\nbefore", "p50", "at the\nend"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name in ("silence\n> 60 ms", "longest\nms", "made\nup ms", "back\nms", "used"):
        grid.add_column(name, justify="right", no_wrap=True)
    for each in sorted(runs, key=lambda each: (each["network"], each["kind"] != _OURS)):
        grid.add_row(
            each["network"],
            each["kind"],
            str(each["seed"]),
            str(each.get("before_ms", "")),
            str(each["delay_p50_ms"]),
            str(each["delay_end_ms"]),
            str(each["silences"]),
            str(each["longest_silence_ms"]),
            str(each["longest_stall_ms"]),
            _after(each["recovery_ms"]) if "recovery_ms" in each else "",
            "yes" if each["valid"] else "no",
        )
    console.print(grid)


def _after(recovery_ms: float | None) -> str:
    return "never" if recovery_ms is None else f"{recovery_ms:.0f}"
