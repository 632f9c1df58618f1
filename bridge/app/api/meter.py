"""What the API counts, for Prometheus."""

from prometheus_client import Counter, Gauge

from bridge.app.api.door import Door
from bridge.app.api.stream import EventStream
from bridge.app.metrics import Metrics

__all__ = ["ApiMeter"]


class ApiMeter:
    """Hands the running totals of the API over before each scrape.

    Args:
        metrics: Where they go.
        door: Who counts answers.
        stream: Who counts events.
    """

    def __init__(self, metrics: Metrics, door: Door, stream: EventStream) -> None:
        self._door = door
        self._stream = stream
        self._answers = Counter(
            "cosybridge_api_answers",
            "Answers of the API, by operation and HTTP status.",
            ["operation", "status"],
            registry=metrics.registry,
        )
        self._clients = Gauge(
            "cosybridge_api_event_clients", "Event streams that are open.", registry=metrics.registry
        )
        self._events = Counter(
            "cosybridge_api_events",
            "Events, by what became of them: sent, or dropped because a client was too slow.",
            ["outcome"],
            registry=metrics.registry,
        )
        self._known: dict[tuple[str, str], int] = {}
        metrics.refresh_with(self._refresh)

    def _refresh(self) -> None:
        for (operation, status), count in self._door.counters.items():
            self._raise(self._answers, count, operation, str(status))
        for outcome, name in (("sent", "events"), ("dropped", "dropped")):
            self._raise(self._events, self._stream.counters[name], outcome)
        self._clients.set(len(self._stream))

    def _raise(self, counter: Counter, total: int, *labels: str) -> None:
        key = (labels[0], labels[-1])
        counter.labels(*labels).inc(total - self._known.get(key, 0))
        self._known[key] = total
