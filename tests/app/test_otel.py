"""Traces as the SDK exports them, to memory, over HTTP and to nobody."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bridge.app.meter import Meter, Observers
from bridge.app.metrics import Metrics
from bridge.app.otel import CallTracer
from tests.call.records import MS, OFFSET_NS, ended


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector that takes everything: its address, and what it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_each_stage_is_a_span_at_its_own_time() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = CallTracer(provider, offset_ns=lambda: OFFSET_NS)

    tracer.call_started(ended())
    tracer.call_ended(ended())
    await tracer.close()
    await tracer.close()

    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans if span.context is not None}
    (call,) = [span for span in spans if span.name == "call"]
    mutes = [span for span in spans if span.name == "bargein.mute"]
    assert call.parent is None
    assert len({span.context.trace_id for span in spans if span.context is not None}) == 1
    assert call.start_time == OFFSET_NS + 1000 * MS
    assert [(span.end_time or 0) - (span.start_time or 0) for span in mutes] == [40 * MS, 60 * MS]
    for span in mutes:
        assert span.parent is not None
        interruption = by_id[span.parent.span_id]
        assert interruption.name == "bargein"
        assert [event.name for event in interruption.events][:3] == ["t0", "t1", "t2"]
        assert interruption.events[0].timestamp == OFFSET_NS + 3000 * MS


async def test_a_collector_is_sent_the_call() -> None:
    with collector() as (endpoint, bodies):
        tracer = CallTracer.start(endpoint, "lab", offset_ns=lambda: OFFSET_NS)
        tracer.call_ended(ended())
        await tracer.close()

    (resource,) = ExportTraceServiceRequest.FromString(bodies[0]).resource_spans
    service = {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"]
    spans = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert service == "lab"
    assert spans.count("bargein.mute") == 2


async def test_nobody_at_the_other_end_harms_no_call() -> None:
    tracer = CallTracer.start("http://127.0.0.1:9/v1/traces", "lab", offset_ns=lambda: OFFSET_NS)

    for number in range(50):
        tracer.call_ended(ended(f"{number:016x}"))

    async with asyncio.timeout(15):
        await tracer.close()
    tracer.call_ended(ended())
    assert tracer.dropped == 1


async def test_several_observers_see_the_same() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer, metrics = CallTracer(provider, offset_ns=lambda: 0), Metrics()
    both = Observers(Meter(metrics), tracer)

    both.call_started(ended())
    both.barge_in({"mute": 40.0}, ["mute"])
    both.call_ended(ended())
    await tracer.close()

    assert metrics.registry.get_sample_value("cosybridge_calls_active") == 0
    assert len(exporter.get_finished_spans()) > 5


def test_nothing_is_loaded_where_it_is_off() -> None:
    check = (
        "import sys, bridge.app.server, bridge.app.otel;"
        " sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
