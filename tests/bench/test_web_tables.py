from io import StringIO
from typing import Any

from rich.console import Console

from tests.bench.web_tables import cost_ratio, tell, verdicts


def cost(kind: str, cpu: float, *, calls: int = 20, valid: bool = True, stalls: int = 0) -> dict[str, Any]:
    return {
        "kind": kind,
        "calls": calls,
        "cpu_sound": cpu,
        "cpu_whole": cpu + 2,
        "stalls": stalls,
        "longest_ms": 22.0,
        "lost": 0,
        "passed": 100.0,
        "valid": valid,
    }


def loss(kind: str, stall_ms: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "kind": kind,
        "network": "one packet lost" if "recovery_ms" in more else "5% loss, 60 ms jitter",
        "seed": 1,
        "delay_p50_ms": 80.0,
        "delay_p95_ms": 82.0,
        "delay_end_ms": 80.0,
        "stalls": 0,
        "longest_stall_ms": stall_ms,
        "silences": 0,
        "longest_silence_ms": stall_ms,
        "heard_share": 1.0,
        "valid": True,
        **more,
    }


def seeds(over_60: list[dict[str, int]]) -> dict[str, Any]:
    figures = {"silences": 3, "longest_ms": 65, "over_40": 1, "over_60": over_60}
    return {"seeds": 50, "seconds": 60.0, "has_fec": True, **figures}


def test_runs_whose_callers_fell_behind_do_not_count() -> None:
    runs = [cost("cosybridge", 6), cost("cosybridge", 60, valid=False), cost("aiortc", 40)]

    assert cost_ratio(runs, 20) == 6 / 40
    assert cost_ratio(runs, 5) is None


def test_every_goal_is_met_or_not() -> None:
    good = {
        "cost": [cost("cosybridge", 6), cost("aiortc", 40, stalls=9)],
        "loss": [loss("cosybridge", 40.0), loss("cosybridge", 20.0, recovery_ms=0.0), loss("aiortc", 800.0)],
        "seeds": [seeds([])],
        "mute": {"p50_ms": 57.0},
        "connect": {"p50_ms": 120.0},
    }
    bad = {
        "cost": [cost("cosybridge", 16, stalls=1), cost("aiortc", 40)],
        "loss": [loss("cosybridge", 61.0), loss("cosybridge", 20.0, recovery_ms=None)],
        "seeds": [seeds([{"ms": 65}])],
        "mute": {"p50_ms": 81.0},
        "connect": {"p50_ms": 401.0},
    }

    assert len(verdicts(good)) == len(verdicts(bad)) == 7
    assert set(verdicts(good).values()) == {True}
    assert set(verdicts(bad).values()) == {False}
    assert verdicts({}) == {}


def test_what_was_not_used_is_shown_as_such() -> None:
    out = StringIO()
    runs = [cost("cosybridge", 6, valid=False), cost("aiortc", 40), cost("cosybridge", 7, calls=5)]

    lost = [loss("aiortc", 800.0, recovery_ms=None)]
    tell({"cost": runs, "loss": lost, "seeds": [seeds([])]}, Console(file=out, width=116))

    assert "extrapolated, not measured" in out.getvalue()
    assert "over 60 ms: none" in out.getvalue()
    assert "never" in out.getvalue()
