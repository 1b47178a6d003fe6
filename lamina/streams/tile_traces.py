"""The sink's part of a trace: that the tile of an event is in the store, and how long that took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lamina.monitoring.tracing import NS_PER_MS, SINK, tile_context, tracer_provider
from lamina.settings import Settings
from lamina.store.protocol import TileWrite
from lamina.streams.batch import Batch

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

TellTiles = Callable[[Batch, int], None]
MS_PER_S = 1000
FINEST = "1s"
"""Tiles of a second are an event's own; those of a minute are of many."""


def untold(batch: Batch, written_ms: int) -> None:
    """Tell nobody: tracing is off."""


@contextmanager
def tracing(settings: Settings) -> Iterator[TellTiles]:
    """Tells of tiles while it is open, if traces are collected; at its end what was told is sent."""
    provider = tracer_provider(settings, SINK)
    if provider is None:
        yield untold
        return
    try:
        yield telling(provider.get_tracer("lamina"))
    finally:
        provider.shutdown()


def telling(tracer: Tracer) -> TellTiles:
    """Tells the trace of each finest tile of a batch that it is stored."""

    def tell(batch: Batch, written_ms: int) -> None:
        begin_ns = (written_ms if batch.oldest_ms is None else min(batch.oldest_ms, written_ms)) * NS_PER_MS
        for tile in batch.tiles:
            _tell(tracer, tile, begin_ns, written_ms * NS_PER_MS)

    return tell


def _tell(tracer: Tracer, tile: TileWrite, begin_ns: int, end_ns: int) -> None:
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context

    spec, _, start = tile.field.partition("/")
    source, _, resolution = spec.partition("#")[0].rpartition("@")
    if resolution != FINEST or not start.isdigit():
        return
    parent = NonRecordingSpan(tile_context(source, tile.key, int(start) // MS_PER_S))
    span = tracer.start_span(
        "tile in store", set_span_in_context(parent), attributes={"lamina.tile_spec": spec}, start_time=begin_ns
    )
    span.end(end_ns)
