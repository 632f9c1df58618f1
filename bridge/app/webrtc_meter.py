"""What browsers do at the desk where they call, for Prometheus."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.app.metrics import Metrics
from bridge.app.webrtc import CANDIDATES, ENDS, OFFERS, TOKENS, BrowserDesk

__all__ = ["BrowserMeter"]


class BrowserMeter(Collector):
    """Reads the running totals of a desk at each scrape; every outcome is there from the start.

    Args:
        metrics: Where they are shown.
        desk: Who counts.
    """

    def __init__(self, metrics: Metrics, desk: BrowserDesk) -> None:
        self._desk = desk
        metrics.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "cosybridge_browser_calls_active", "Calls from browsers now", value=float(len(self._desk))
        )
        for name, text, label, prefix, outcomes in (
            ("offers", "Offers of browsers, by what became of them", "outcome", "", OFFERS),
            (
                "candidates",
                "Messages of trickle ICE, by what became of them",
                "outcome",
                "candidates_",
                CANDIDATES,
            ),
            ("tokens", "Join tokens, by what became of them", "outcome", "tokens_", TOKENS),
            ("calls_ended", "Calls from browsers that are over, by how", "how", "ended_", ENDS),
        ):
            series = CounterMetricFamily(f"cosybridge_browser_{name}", text, labels=[label])
            for outcome in outcomes:
                series.add_metric([outcome.removeprefix(prefix)], float(self._desk.counters[outcome]))
            yield series
