"""What browsers do at the desk where they call, for Prometheus."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.app.metrics import Metrics
from bridge.app.webrtc import CANDIDATES, OFFERS, TOKENS, BrowserDesk

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
        for name, text, outcomes in (
            ("offers", "Offers of browsers, by what became of them", OFFERS),
            ("candidates", "Messages of trickle ICE, by what became of them", CANDIDATES),
            ("tokens", "Join tokens, by what became of them", TOKENS),
        ):
            series = CounterMetricFamily(f"cosybridge_browser_{name}", text, labels=["outcome"])
            for outcome in outcomes:
                series.add_metric([outcome.removeprefix(f"{name}_")], float(self._desk.counters[outcome]))
            yield series
