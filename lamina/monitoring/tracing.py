"""OpenTelemetry: spans of this process, sent by OTLP over HTTP, and the trace of what becomes of an event's tiles.

Flink SQL makes tiles of events and hands no headers on, so the trace of a request ends at Kafka. What becomes of it is
told in a second trace, whose id both sides work out by themselves: from the source, the entity and the second. The API
links to it; the sink, which knows a tile by the same three, adds to it. Two events of one entity in one second share a
tile, and so that trace.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lamina.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext

NS_PER_MS = 1_000_000
API, SINK = "lamina-api", "lamina-sink"
TRACES = "/v1/traces"
"""Where a collector takes them, below its address."""


def tracer_provider(settings: Settings, service: str) -> TracerProvider | None:
    """What makes the spans of `service` and sends them to the collector; None where tracing is off.

    A collector that is away costs spans, and nothing else: they are queued, sent by a thread, and left out when the
    queue is full.
    """
    if not settings.otlp_url:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    by_id = TraceIdRatioBased(settings.trace_share)
    provider = TracerProvider(
        # A client that is trusted has decided already. Of a tile nobody has: the id of its trace decides.
        sampler=by_id if service == SINK else ParentBased(by_id),
        resource=Resource.create({"service.name": service}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=settings.otlp_url.rstrip("/") + TRACES)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def tile_context(source: str, key: str, second: int) -> SpanContext:
    """Where the trace of a tile begins: of an entity's events of `source` within one second since the epoch.

    >>> tile_context("transactions", "user:7", 43200) == tile_context("transactions", "user:7", 43200)
    True
    """
    from opentelemetry.trace import SpanContext, TraceFlags

    digest = hashlib.sha256(f"{source}\t{key}\t{second}".encode()).digest()
    return SpanContext(
        trace_id=int.from_bytes(digest[:16]),
        span_id=int.from_bytes(digest[16:24]),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
