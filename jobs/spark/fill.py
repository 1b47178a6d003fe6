"""The batch tiles of features that are to go live: built and published for one day, beside those that are read.

`python -m jobs.spark.fill --system fraud --date 2018-08-14` makes what the definitions have and the live generation
lacks, and nothing else. A run that was killed is run again.
"""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from pyspark.sql import SparkSession

from jobs.spark import batch_features
from jobs.spark import publish as publishing
from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.session import make_session
from lamina.clock import Clock, midnight_ms, next_day, system_clock
from lamina.definitions import load
from lamina.rollout.generation import lacking, reaching
from lamina.rollout.records import live_of, read_records
from lamina.semantics.plan import Plan, make_plan
from lamina.settings import load_settings
from lamina.store.redis import RedisStore
from lamina.store.staleness import batch_watermark


def fill(
    spark: SparkSession, lake: str, own: Plan, live: Plan | None, day: date, redis_url: str, clock: Clock = system_clock
) -> dict[str, Any]:
    """Build and publish what `own` keeps and `live` does not, through the end of `day`; returns the counts of both.

    Raises: as `jobs.spark.publish.publish`.
    """
    only = frozenset(spec.key for spec in lacking(own, [live] if live else []))
    if live:
        # What both keep stays as the live generation needs it.
        own = Plan(own.features, tuple(reaching(spec, live.tile_specs) for spec in own.tile_specs))
    built = batch_features.build(spark, lake, own, day, only)
    entities = publishing.publish(spark, lake, own, day, redis_url, clock=clock, only=only)
    for entity in own.features.entities:
        # Of one that nobody kept before, this is all there is; the others are complete when the daily run says so.
        if live is None or entity not in live.features.entities:
            name = batch_watermark(own.features.system, entity)
            RedisStore(redis_url).advance_watermark(name, midnight_ms(next_day(day)))
    return {"tiles": built["tiles"], "entities": entities}


def main(day: LogicalDate, system: SystemName = DEFAULT_SYSTEM, lake_url: LakeUrl = None) -> None:
    """Build and publish what the live features lack, for a logical date; the last line is the counts as JSON."""
    settings = load_settings(**overrides(lake_url))
    logical, own = processed(day, settings), make_plan(load(system))
    live = live_of(read_records(settings.lake_url, system))
    began, redis_url = time.monotonic(), settings.redis_url.get_secret_value()
    read = live.generation.plan if live else None
    counts = fill(make_session("fill"), settings.lake_url, own, read, logical, redis_url, settings.clock)
    report("fill", system, logical, {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)
