"""Batch tiles: the partial states of a tile spec from its events."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.spark.compile import state, tile_start
from lamina.semantics.plan import TileSpec

ENTITY_ID, START, EVENTS = "entity_id", "start", "n"


def first_ms(tile_spec: TileSpec, batch_end_ms: int) -> int:
    """Start of the oldest tile that a question asked at `batch_end_ms` or later can reach."""
    return batch_end_ms - tile_spec.horizon_s * 1000


def make_tiles(tile_spec: TileSpec, events: DataFrame, batch_end_ms: int) -> DataFrame:
    """Tiles that start in `[first_ms, batch_end_ms)`: entity_id, start (epoch ms), n, then every state by its label.

    Args: events: of the tile spec's source, without duplicates.
    """
    ts = F.col(tile_spec.source.timestamp)
    return (
        events.where((ts >= first_ms(tile_spec, batch_end_ms)) & (ts < batch_end_ms))
        .groupBy(F.col(tile_spec.entity.key).alias(ENTITY_ID), tile_start(tile_spec).alias(START))
        .agg(
            F.count("*").alias(EVENTS),
            *(state(s, tile_spec) for s in (*tile_spec.states, *tile_spec.keyed)),
        )
    )
