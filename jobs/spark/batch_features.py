"""Archived events to batch tiles in the lake: every tile spec of a system, complete through the end of a day.

`python -m jobs.spark.batch_features --system fraud --date 2018-08-14`. All tiles are made anew from the events, so that
late ones and removed duplicates correct what earlier runs said; a rerun replaces the day's tiles. While a rollout is
under way, those of the other generations are made as well.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import date
from typing import Any

from pyspark.sql import SparkSession

from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.lake import spark_url, written_rows
from jobs.spark.revisions import events_of, standing
from jobs.spark.session import make_session
from jobs.spark.tiles import ENTITY_ID, first_ms, make_tiles
from lamina.clock import midnight_ms, next_day
from lamina.definitions import load
from lamina.features.built import tiles_url
from lamina.lake.write import replacing
from lamina.rollout.records import beside, readable_records
from lamina.semantics.plan import Plan, make_plan, sources_of
from lamina.settings import load_settings


def build(spark: SparkSession, lake: str, plan: Plan, day: date, only: Collection[str] | None = None) -> dict[str, Any]:
    """Write the tiles of every tile spec of `plan` through the end of `day`; returns the counts.

    Counts: `events` (rows read) and `duplicates` (rows left out) by source, `tiles` (rows written) by tile spec.

    Args: only: keys of the tile specs to build; None for all.
    """
    through = next_day(day)
    batch_end_ms = midnight_ms(through)
    counts: dict[str, dict[str, int]] = {"events": {}, "duplicates": {}, "tiles": {}}
    chosen = [t for t in plan.tile_specs if only is None or t.key in only]
    for source in sources_of(plan, chosen):
        tile_specs = [t for t in chosen if t.source == source]
        oldest = min(first_ms(t, batch_end_ms) for t in tile_specs)
        events = events_of(spark, lake, source, from_ms=oldest, until=day)
        stood = standing(events.frame, source, batch_end_ms)
        counts["events"][source.name] = events.read
        counts["duplicates"][source.name] = events.duplicates
        for tile_spec in tile_specs:
            with replacing(tiles_url(lake, tile_spec, through)) as staging:
                tiles = make_tiles(tile_spec, stood, batch_end_ms)
                tiles.sortWithinPartitions(ENTITY_ID).write.mode("append").parquet(spark_url(staging))
                counts["tiles"][tile_spec.key] = written_rows(staging)
    return {"through": through.isoformat(), **counts}


def build_beside(spark: SparkSession, lake: str, plan: Plan, day: date) -> dict[str, Any]:
    """`build` of every tile spec of `plan`, and of what the generations recorded beside it keep more; the counts."""
    counts = build(spark, lake, plan, day)
    for other, only in beside(readable_records(lake, plan.features.system), plan):
        counts["tiles"] |= build(spark, lake, other, day, only)["tiles"]
    return counts


def main(day: LogicalDate, system: SystemName = DEFAULT_SYSTEM, lake_url: LakeUrl = None) -> None:
    """Build the batch tiles of a system for a logical date; the last line is the counts as JSON."""
    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    began = time.monotonic()
    counts = build_beside(make_session("batch_features"), settings.lake_url, make_plan(load(system)), logical)
    report("batch_features", system, logical, {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)
