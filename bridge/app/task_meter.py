"""How many tasks the loop carries, by who owns them: what only grows is a leak."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.app.metrics import Metrics

__all__ = ["TaskMeter", "owner_of"]

_ONE_EACH = frozenset({"call", "ears", "orders", "registrar"})
"""Owners of whom there are many: their own name follows, which makes no series."""
_OTHER = "other"


def owner_of(task: str) -> str:
    """Who owns a task, by its name as `bridge.aio.tasks.Tasks` gives it; ``other`` is a library's."""
    owner, colon, _ = task.partition(":")
    first = owner.partition(" ")[0]
    if not colon:
        return _OTHER
    return first if first in _ONE_EACH else owner


class TaskMeter(Collector):
    """Counts the tasks of the running loop at each scrape.

    Args:
        metrics: Where they are shown.
    """

    def __init__(self, metrics: Metrics) -> None:
        metrics.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: there may be no loop yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        series = GaugeMetricFamily(
            "cosybridge_tasks", "Tasks of the process that signals, by who owns them", labels=["owner"]
        )
        owners = Counter(owner_of(task.get_name()) for task in asyncio.all_tasks())
        for owner, count in sorted(owners.items()):
            series.add_metric([owner], float(count))
        yield series
