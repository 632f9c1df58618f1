"""Traces for OpenTelemetry, one for each call that stood: made when it is over, sent by threads.

Nothing of OpenTelemetry is loaded unless ``otel.enabled`` is set. What its own variables say
(OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS …) holds.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self

from bridge.aio.worker import Worker
from bridge.call.spans import SpanFacts, spans_of
from bridge.call.trace import CallTrace
from bridge.errors import SetupError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

__all__ = ["CallTracer"]

_ROOM = 1000
_EXPORT_S = 2.0
_GOODBYE_S = 3.0


class CallTracer:
    """Turns calls that are over into spans; an observer of `bridge.call.exchange.Exchange`.

    Args:
        provider: What spans are given to. It is shut down by `close`.
        offset_ns: Returns what makes monotonic time ns since 1970.
    """

    def __init__(self, provider: "TracerProvider", *, offset_ns: Callable[[], int]) -> None:
        self.dropped: int = 0
        """Calls whose trace found no room."""
        self._provider = provider
        self._tracer = provider.get_tracer("cosybridge")
        self._offset_ns = offset_ns
        self._worker = Worker("call traces", room=_ROOM)

    @classmethod
    def start(cls, endpoint: str, service: str, *, offset_ns: Callable[[], int]) -> Self:
        """Send traces by OTLP over HTTP.

        Args:
            endpoint: URL of the collector, path included.
            service: What we are called there.
            offset_ns: Returns what makes monotonic time ns since 1970.

        Raises:
            SetupError: If the packages are not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise SetupError(f"otel.enabled needs pip install 'cosybridge[otel]': {error}") from None
        provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_S))
        )
        return cls(provider, offset_ns=offset_ns)

    def call_started(self, trace: CallTrace) -> None:
        """Wait: everything is known at the end."""

    def barge_in(self, stages_ms: Mapping[str, float], breached: list[str]) -> None:
        """Wait likewise."""

    def call_ended(self, trace: CallTrace) -> None:
        """Hand the call's spans over; never waits."""
        if not self._worker.post(partial(self._tell, spans_of(trace), self._offset_ns())):
            self.dropped += 1

    async def close(self) -> None:
        """Send what waits, for some seconds at most; safe twice."""
        self._worker.post(self._provider.shutdown)
        await self._worker.close(_GOODBYE_S)

    def _tell(self, facts: SpanFacts, offset_ns: int, parent: "Span | None" = None) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        # An empty context: whatever this thread was last about is not our parent.
        context = Context() if parent is None else set_span_in_context(parent)
        span = self._tracer.start_span(
            facts.name,
            context=context,
            attributes=dict(facts.attributes),
            start_time=facts.begin_ns + offset_ns,
        )
        for name, at_ns in facts.events:
            span.add_event(name, timestamp=at_ns + offset_ns)
        if facts.failure:
            span.set_status(Status(StatusCode.ERROR, facts.failure))
        for child in facts.children:
            self._tell(child, offset_ns, span)
        span.end(end_time=facts.end_ns + offset_ns)
