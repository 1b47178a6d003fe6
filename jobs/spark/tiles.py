"""Batch tiles: the partial states of a tiling from its events."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.spark.compile import state, tile_start
from lamina.semantics.plan import Tiling

ENTITY_ID, START, EVENTS = "entity_id", "start", "n"


def first_ms(tiling: Tiling, through_ms: int) -> int:
    """Start of the oldest tile that a question asked at `through_ms` or later can reach."""
    return through_ms - tiling.horizon_s * 1000


def make_tiles(tiling: Tiling, events: DataFrame, through_ms: int) -> DataFrame:
    """Tiles that start in `[first_ms, through_ms)`: entity_id, start (epoch ms), n, then every state by its label.

    Args: events: of the tiling's source, without duplicates.
    """
    ts = F.col(tiling.source.timestamp)
    return (
        events.where((ts >= first_ms(tiling, through_ms)) & (ts < through_ms))
        .groupBy(F.col(tiling.entity.key).alias(ENTITY_ID), tile_start(tiling).alias(START))
        .agg(
            F.count("*").alias(EVENTS),
            *(state(s, tiling) for s in (*tiling.states, *tiling.keyed)),
        )
    )
