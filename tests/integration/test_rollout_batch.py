"""The batch layer while features go live: what is new is filled beside what is read, and a daily run makes both."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from jobs.spark import batch_features, publish
from jobs.spark.fill import fill
from lamina.clock import DAY_MS, day_of, midnight_ms, next_day
from lamina.contracts.features import FeatureSet
from lamina.rollout.generation import Generation, lacking
from lamina.rollout.progress import unfilled
from lamina.rollout.records import Record, beside, write_record
from lamina.semantics.events import EventRow
from lamina.semantics.reference import evaluate
from lamina.store.filled import Filled
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore
from tests.parity.generated import START_MS, generate
from tests.parity.lake import write_lake
from tests.unit.rollout.sets import NEW, OLD

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.services
OLDER, NEWER = Generation(OLD), Generation(NEW)
DAY = day_of(START_MS) + timedelta(days=9)


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[EventRow]]:
    """A lake, and the transactions in it."""
    folder = tmp_path_factory.mktemp("lake")
    written = write_lake(folder, generate(17, n=200, users=12, strained=False))
    return str(folder), [event for _, event in written["transactions"]]


def wrong(features: FeatureSet, url: str, events: list[EventRow], day: date) -> list[str]:
    """Values at the end of a day that are not what the events say."""
    reader, store = Reader(Generation(features).plan), RedisStore(url)
    at_ms, found = midnight_ms(next_day(day)) - 1, []
    for user in sorted({str(event["user_id"]) for event in events}):
        values = reader.read(store, {"user_id": user, "timestamp": at_ms}, at_ms).values
        for feature in features.window_features:
            wanted = evaluate(feature, events, user, at_ms)
            if values[feature.name] != pytest.approx(wanted):
                found.append(f"{user} {feature.name}: {values[feature.name]}, not {wanted}")
    return found


def test_what_is_new_is_filled_and_daily_runs_keep_both(
    spark: SparkSession, arrived: tuple[str, list[EventRow]], clean_redis: str
) -> None:
    lake, events = arrived
    batch_features.build(spark, lake, OLDER.plan, DAY)
    publish.publish(spark, lake, OLDER.plan, DAY, clean_redis)
    before = Redis.from_url(clean_redis).hgetall("lamina:through")
    new = lacking(NEWER.plan, [OLDER.plan])
    end_ms = midnight_ms(next_day(DAY))
    assert unfilled(new, Filled(clean_redis).read(), end_ms) == list(new) != []

    counts = fill(spark, lake, NEWER.plan, OLDER.plan, DAY, clean_redis)
    assert set(counts["tiles"]) == {spec.key for spec in new}
    assert unfilled(new, Filled(clean_redis).read(), end_ms) == []
    assert Redis.from_url(clean_redis).hgetall("lamina:through") == before
    assert wrong(OLD, clean_redis, events, DAY) == []
    assert wrong(NEW, clean_redis, events, DAY) == []
    # Killed and called again: what is published is not published once more.
    again = fill(spark, lake, NEWER.plan, OLDER.plan, DAY, clean_redis)
    assert set(again["tiles"]) == {spec.key for spec in new}

    after = next_day(DAY)
    records = Record(OLDER, 1, 2), Record(NEWER, 3, 4)
    for record in records:
        write_record(lake, record)
    for plan, only in [(NEWER.plan, None), *beside(records, NEWER.plan)]:
        batch_features.build(spark, lake, plan, after, only)
    publish.publish(spark, lake, NEWER.plan, after, clean_redis)
    filled = Filled(clean_redis).read()
    assert unfilled((*OLDER.plan.tile_specs, *NEWER.plan.tile_specs), filled, end_ms + DAY_MS) == []
    assert wrong(OLD, clean_redis, events, after) == []
    assert wrong(NEW, clean_redis, events, after) == []
