"""What Prometheus reads, held against its own parser; and what the dashboard and the alerts ask for."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bridge.aio.browser_call import BrowserCall
from bridge.app.api.meter import ApiMeter
from bridge.app.engine_metrics import EngineHealth, EngineMeter
from bridge.app.meter import Meter
from bridge.app.metrics import Metrics
from bridge.app.task_meter import TaskMeter
from bridge.app.webrtc import BrowserDesk, BrowserSettings
from bridge.app.webrtc_meter import BrowserMeter
from bridge.engine.shared import _GAUGE_WORDS, EngineGauges
from bridge.plane.columns import COUNTERS
from tests.app.api_house import house
from tests.call.records import ended
from tests.fakes import ManualClock, SeededIds

CONFIG = Path(__file__).parents[2] / "config"
NAME = re.compile(r"\bcosybridge_\w+")
UNITS = ("_seconds", "_ratio", "_mos")


def health() -> EngineHealth:
    words = np.zeros(_GAUGE_WORDS, np.uint64)
    words[-20:] = 1
    return EngineHealth(
        processes={0: EngineGauges(words), 1: EngineGauges.zero()},
        running=2,
        restarts=0,
        takeovers=0,
        has_standby=True,
        calls=500,
    )


def serve_call(metrics: Metrics, id: str, reason: str = "caller hung up") -> None:
    meter, trace = Meter(metrics), ended(id)
    trace.reason = reason
    trace.media |= {"rx_packets": 500, "mos_out": 4.0, "jitter_out_ticks": 80, "round_trip_ms": 20}
    meter.call_started(trace)
    metrics.leg(id, dict.fromkeys(COUNTERS, 1))
    for record in trace.barge_ins:
        meter.barge_in(record.stages_ms(), ["mute"])
    meter.call_ended(trace)


def nobodys_desk() -> BrowserDesk:
    async def serve(call: BrowserCall) -> None:
        await call.ended

    return BrowserDesk(
        BrowserSettings(),
        serve=serve,
        is_key=bool,
        local_ip=str,
        clock=ManualClock(),
        dice=SeededIds(),
    )


def filled() -> Metrics:
    """Metrics of a bridge in which everything has happened once."""
    metrics = Metrics()
    EngineMeter(metrics, health)
    serve_call(metrics, "a" * 16)
    metrics.sip({"calls_received": 1})
    metrics.trunk_states({"carrier": True}, {"carrier": 1})
    metrics.trunk_failures({"carrier": 1}, {("carrier", "calls"): 1}, {"no_trunk": 1})
    metrics.tts_connections({"idle": 1, "busy": 0})
    metrics.tts_happened({"dialled": 3})
    metrics.tts_failed("Throttling")
    metrics.records({"kept": 1, "dropped": 0})
    return metrics


def families(metrics: Metrics) -> list[Metric]:
    return list(text_string_to_metric_families(metrics.scrape().decode()))


async def exported() -> list[Metric]:
    """What a whole bridge tells, the API included."""
    async with house() as served:
        metrics = filled()
        ApiMeter(metrics, served.api.door, served.stream)
        BrowserMeter(metrics, nobodys_desk())
        TaskMeter(metrics)
        await served.ask("GET", "/api/calls")
        return families(metrics)


async def sample_names() -> set[str]:
    return {sample.name for family in await exported() for sample in family.samples}


async def test_the_exposition_keeps_the_conventions() -> None:
    told = await exported()

    assert len({family.name for family in told}) == len(told) > 30
    for family in told:
        assert re.fullmatch(r"cosybridge_[a-z][a-z0-9_]*", family.name), family.name
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {f"{family.name}_total"}
        if family.type == "histogram":
            assert family.name.endswith(UNITS), family.name
            assert any(sample.labels["le"] == "+Inf" for sample in family.samples if "le" in sample.labels)
        seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(set(seen)) == len(seen), family.name


def test_buckets_rise() -> None:
    for family in families(filled()):
        counts: dict[tuple[Any, ...], list[float]] = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
                counts.setdefault(key, []).append(sample.value)
        assert all(each == sorted(each) for each in counts.values()), family.name


def test_every_counter_of_the_plane_is_told() -> None:
    metrics = Metrics()

    for name in COUNTERS:
        before = metrics.scrape()
        metrics.leg("a", {name: 1})
        assert metrics.scrape() != before, name


def test_calls_without_end_do_not_make_series_without_end() -> None:
    metrics = filled()
    for number in range(60):
        serve_call(metrics, f"{number:016x}", reason=f"reason {number}")
    few = sum(len(family.samples) for family in families(metrics))

    for number in range(300):
        serve_call(metrics, f"{number:016x}", reason=f"another {number}")

    assert sum(len(family.samples) for family in families(metrics)) == few


def test_how_a_call_ended_is_in_the_histograms() -> None:
    metrics = filled()
    values = {
        (sample.name, sample.labels.get("direction", "")): sample.value
        for family in families(metrics)
        for sample in family.samples
    }

    assert values["cosybridge_call_jitter_seconds_sum", "in"] == pytest.approx(0.002)
    assert values["cosybridge_call_jitter_seconds_sum", "out"] == pytest.approx(0.01)
    assert values["cosybridge_call_mos_sum", "out"] == pytest.approx(3.9)
    assert values["cosybridge_tts_first_audio_seconds_sum", ""] == pytest.approx(0.2)


def test_each_core_has_its_load() -> None:
    cpu = next(each for each in families(filled()) if each.name == "cosybridge_engine_cpu_seconds")

    assert [sample.labels["process"] for sample in cpu.samples] == ["0", "1"]


async def test_everything_that_the_dashboard_shows_exists() -> None:
    dashboard = json.loads((CONFIG / "grafana" / "cosybridge.json").read_text())
    known = await sample_names()
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]

    assert len(asked) > 40
    for query in asked:
        names = NAME.findall(query)
        assert names, query
        assert set(names) <= known, query
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


async def test_everything_that_an_alert_watches_exists() -> None:
    groups = yaml.safe_load((CONFIG / "prometheus" / "alerts.yml").read_text())["groups"]
    known = await sample_names()
    rules = [rule for group in groups for rule in group["rules"]]

    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        names = set(NAME.findall(rule["expr"]))
        assert names <= known, rule["alert"]
        assert names or rule["expr"].startswith("up{"), rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
