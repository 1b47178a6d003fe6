"""The end of the batch layer moved back: after a run for a day that was not over, or for a wrong one.

`python -m jobs.spark.take_back --system fraud --date 2018-08-14`: afterwards lake and Redis are complete through the
end of that day, and what came later is the speed layer's again. Every step may be repeated, so a run that was killed
is run again. Serving goes on meanwhile and is at no moment worse than before: an entity's speed tiles are back before
the blob that hides them is replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from jobs.spark import batch_features, offsets
from jobs.spark import publish as publishing
from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from lamina.clock import Clock, midnight_ms, next_day, require_over
from lamina.definitions import load
from lamina.errors import DayNotOver
from lamina.features.built import built_later, built_through
from lamina.lake import layout
from lamina.lake.files import children, move_all, name_of, remove
from lamina.lake.write import open_lake
from lamina.orchestration.jobs import archived_topics
from lamina.rollout.records import beside, readable_records
from lamina.semantics.plan import Plan, make_plan
from lamina.settings import Settings, load_settings
from lamina.store.staleness import batch_watermark
from lamina.streams.identity import identity_of
from lamina.streams.rebuild import replay
from lamina.streams.store import store_for_tiles

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def take_back(spark: Callable[[], SparkSession], settings: Settings, plan: Plan, day: date) -> dict[str, Any]:
    """Make the end of `day` the end of the batch layer of `plan`, and of the generations beside it; returns the counts.

    Counts: `archives` (partitions of days that are not over, which the next archive reads again) and `kept_archives`
    (those of which Kafka no longer holds everything: they are `day`'s now), `folders` (of later batch tiles, removed
    from the lake), `reports` (parity of days that are not over, removed), `entities` as `jobs.spark.publish` counts
    them, `removed` (blobs of entities that have no tiles through `day`).

    Raises: DayNotOver: when `day` itself is not over. StreamError, StoreUnavailable: when Kafka or Redis does not
    answer; run it again.
    """
    require_over(day, settings.clock)
    through = next_day(day)
    counts: dict[str, Any] = _archives(settings, plan.features.system, day)
    others = beside(readable_records(settings.lake_url, plan.features.system), plan)
    for own, only in ((plan, None), *others):
        if through not in built_through(settings.lake_url, own):
            batch_features.build(spark(), settings.lake_url, own, day, only)
    plans = (plan, *(other for other, _ in others))
    later = list(dict.fromkeys(url for own in plans for url in built_later(settings.lake_url, own, through)))
    for url in later:
        fs, path = open_lake(url)
        remove(fs, path)
    store = store_for_tiles(settings)
    if plan.speed:
        # Readers ignore these until the blob before them goes.
        replay(settings.kafka_bootstrap, settings.topic_prefix, store)
    url, removed = settings.redis_url.get_secret_value(), 0
    published = publishing.publish(
        spark(), settings.lake_url, plan, day, url, again=True, takes_back=True, clock=settings.clock
    )
    for entity in dict.fromkeys(e for own in plans for e in own.features.entities):
        ids = list(dict.fromkeys(t.id for own in plans for t in own.of_entity(entity)))
        watermark = batch_watermark(plan.features.system, entity)
        removed += store.take_back(entity.name, ids, midnight_ms(through), watermark)
    reports = _reports(settings, plan.features.system)
    return {**counts, "folders": len(later), "reports": reports, "entities": published, "removed": removed}


def _reports(settings: Settings, system: str) -> int:
    """Remove parity reports of days that are not over: the newest one is asked before a model is promoted."""
    fs, path = open_lake(layout.parity(settings.lake_url, system, date.min).rsplit("/", 1)[0])
    wrong = [f for f in children(fs, path) if not _is_over(date.fromisoformat(name_of(f)), settings.clock)]
    for folder in wrong:
        remove(fs, folder)
    return len(wrong)


def _archives(settings: Settings, system: str, day: date) -> dict[str, int]:
    """Free the messages that were archived for days that are not over: as such a day's, no run would ever read on."""
    counts = {"archives": 0, "kept_archives": 0}
    for topic in archived_topics(system):
        records = offsets.records(settings.lake_url, topic)
        wrong = [d for d in records if not _is_over(d, settings.clock)]
        if not wrong:
            continue
        name = settings.topic_prefix + topic
        identity = identity_of(settings.kafka_bootstrap, name)
        earliest, latest = offsets.held(settings.kafka_bootstrap, name)
        for ahead in wrong:
            same = records[ahead].topic in (None, identity)
            held = same and offsets.are_held(records[ahead].ranges, earliest, latest)
            for partition in (layout.events, layout.quarantine):
                fs, path = open_lake(f"{partition(settings.lake_url, topic, ahead)}/{layout.ORIGIN}")
                if not fs.exists(path):
                    continue
                if held:
                    remove(fs, path)
                else:
                    kept = open_lake(partition(settings.lake_url, topic, day))[1]
                    fs.makedirs(kept, exist_ok=True)
                    move_all(fs, path, f"{kept}/{layout.ORIGIN}-{ahead.isoformat()}")
            counts["archives" if held else "kept_archives"] += 1
    return counts


def _is_over(day: date, clock: Clock) -> bool:
    try:
        require_over(day, clock)
    except DayNotOver:
        return False
    return True


def main(day: LogicalDate, system: SystemName = DEFAULT_SYSTEM, lake_url: LakeUrl = None) -> None:
    """Move the end of a system's batch layer back to the end of a day; the last line is the counts as JSON."""
    from jobs.spark.session import make_session

    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    began = time.monotonic()
    counts = take_back(lambda: make_session("take_back"), settings, make_plan(load(system)), logical)
    report("take_back", system, logical, {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)
