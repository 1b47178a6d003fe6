"""What the sink tells of tiles: the finest, in the trace to which the API links."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lamina.monitoring.tracing import SINK, tile_context, tracer_provider
from lamina.settings import Settings
from lamina.store.protocol import TileWrite
from lamina.streams.batch import Batch
from lamina.streams.tile_traces import telling, tracing, untold

TILES = [
    TileWrite("user:7", "transactions@1s#ab12cd/43200000", b"1"),
    TileWrite("user:7", "transactions@1m#ab12cd/43200000", b"1"),
    TileWrite("user:7", "transactions@1s#ab12cd/43200000/0/beef", b"1"),
]


def test_the_finest_tile_of_an_event_is_told_in_the_trace_that_its_request_links_to() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    telling(provider.get_tracer("tests"))(Batch(tiles=TILES, oldest_ms=5_000), 7_000)
    (span,) = spans.get_finished_spans()
    linked = tile_context("transactions", "user:7", 43_200)
    context = span.get_span_context()
    assert context is not None and context.trace_id == linked.trace_id
    assert span.parent is not None and span.parent.span_id == linked.span_id
    assert (span.start_time, span.end_time) == (5_000_000_000, 7_000_000_000)
    # Whose it was stays out of it.
    assert dict(span.attributes or {}) == {"lamina.tile_spec": "transactions@1s#ab12cd"}


def test_another_second_user_or_source_is_another_trace() -> None:
    found = {
        tile_context(source, key, second).trace_id
        for source in ("transactions", "views")
        for key in ("user:7", "user:8")
        for second in (1, 2)
    }
    assert len(found) == 8 and 0 not in found


def test_a_share_of_tiles_is_told_by_the_trace_s_own_id() -> None:
    provider = tracer_provider(Settings(otlp_url="http://127.0.0.1:1", trace_share=0.25), SINK)
    assert provider is not None
    spans = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tell = telling(provider.get_tracer("tests"))
    tell(Batch(tiles=[TileWrite("user:7", f"t@1s#ab/{n}000", b"1") for n in range(400)]), 7_000)
    assert 60 <= len(spans.get_finished_spans()) <= 140
    provider.shutdown()


def test_without_a_collector_nobody_is_told() -> None:
    assert tracer_provider(Settings(), SINK) is None
    with tracing(Settings()) as tell:
        assert tell is untold
        tell(Batch(tiles=TILES), 1)
    told: Any = untold
    assert told(Batch(), 1) is None
