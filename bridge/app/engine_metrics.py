"""What the media processes tell of themselves, for Prometheus: read from shared memory at each scrape."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.app.metrics import Metrics
from bridge.engine.shared import LATENESS_BOUNDS_NS, EngineGauges
from bridge.engine.supervisor import MediaEngine

__all__ = ["EngineHealth", "EngineMeter", "health_of"]

_PREFIX = "cosybridge_engine_"
_EVERY = 4
"""Of the 80 bounds that the media process counts by, every fourth is told: a factor of 2.4 each."""


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """One reading of all media processes."""

    processes: Mapping[int, EngineGauges]
    """By their place, from 0; counts go on when another process takes a place over."""
    running: int
    """Processes that carry calls now."""
    restarts: int
    takeovers: int
    has_standby: bool
    calls: int
    """G.711 calls that fit."""


def health_of(engine: MediaEngine) -> EngineHealth:
    """Read what a media engine tells now."""
    return EngineHealth(
        processes=dict(enumerate(engine.readings)),
        running=len(engine.pids),
        restarts=engine.restarts,
        takeovers=engine.takeovers,
        has_standby=engine.has_standby,
        calls=engine.calls,
    )


class EngineMeter(Collector):
    """Shows the health of the media processes, one series for each core that they load.

    Args:
        metrics: Where it is shown.
        read: Returns the newest reading.
    """

    def __init__(self, metrics: Metrics, read: Callable[[], EngineHealth]) -> None:
        self._read = read
        registry: CollectorRegistry = metrics.registry
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: registering must not read."""
        return ()

    def collect(self) -> Iterable[Metric]:
        health = self._read()
        yield from _totals(health)
        yield _each(
            CounterMetricFamily, "cpu_seconds", "CPU time", health, lambda gauges: gauges.cpu_ns / 1e9
        )
        yield _each(CounterMetricFamily, "ticks", "Wake-ups by the timer", health, lambda g: g.ticks)
        yield _each(CounterMetricFamily, "stalls", "Wake-ups over 20 ms late", health, lambda g: g.stalls)
        yield _each(
            CounterMetricFamily,
            "socket_errors",
            "System errors on sockets, refused ports included",
            health,
            lambda g: g.socket_errors,
        )
        yield _each(
            CounterMetricFamily,
            "events_dropped",
            "Events that found no room on their way to the calls",
            health,
            lambda g: g.events_dropped,
        )
        yield _each(
            CounterMetricFamily,
            "stranger_packets",
            "Packets on shared ports that belong to no call",
            health,
            lambda g: g.strangers,
        )
        yield _each(GaugeMetricFamily, "legs", "Legs that are carried now", health, lambda g: g.rows)
        yield _lateness(health)


def _totals(health: EngineHealth) -> Iterable[Metric]:
    for name, text, value in (
        ("processes", "Media processes that carry calls now", health.running),
        ("standby", "Whether a process could take over at once", health.has_standby),
        ("calls_that_fit", "Calls in G.711 that the machine carries", health.calls),
    ):
        yield GaugeMetricFamily(_PREFIX + name, text, value=float(value))
    for name, text, value in (
        ("restarts", "Dead media processes that were replaced", health.restarts),
        ("takeovers", "Times that the standby saved the calls", health.takeovers),
    ):
        yield CounterMetricFamily(_PREFIX + name, text, value=float(value))


def _each(
    family: type[CounterMetricFamily] | type[GaugeMetricFamily],
    name: str,
    text: str,
    health: EngineHealth,
    value: Callable[[EngineGauges], float],
) -> Metric:
    metric = family(_PREFIX + name, text, labels=["process"])
    for place, gauges in health.processes.items():
        metric.add_metric([str(place)], float(value(gauges)))
    return metric


def _lateness(health: EngineHealth) -> Metric:
    metric = HistogramMetricFamily(
        f"{_PREFIX}tick_lateness_seconds", "How late the timer woke the media process", labels=["process"]
    )
    for place, gauges in health.processes.items():
        until = list(accumulate(gauges.lateness_counts))
        buckets = [
            (repr(bound_ns / 1e9), float(count))
            for bound_ns, count in list(zip(LATENESS_BOUNDS_NS, until, strict=False))[_EVERY - 1 :: _EVERY]
        ]
        # A sum is not counted; without one, the last bucket stands for the count.
        metric.add_metric([str(place)], buckets=[*buckets, ("+Inf", float(until[-1]))], sum_value=None)
    return metric
