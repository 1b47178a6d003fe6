"""A run for a wrong day hides what the stream knows; the batch layer's end goes back, and all of it is there again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from redis import Redis

from benchmarks.tiles import speed_writes
from jobs.spark import backfill, batch_features, offsets, publish
from jobs.spark.archive_events import archive
from jobs.spark.take_back import take_back
from lamina.clock import day_of, midnight_ms, next_day
from lamina.contracts.topics import FEATURE_TILES
from lamina.contracts.transactions import TRANSACTIONS, Transaction
from lamina.contracts.user_events import USER_EVENTS, UserEvent
from lamina.definitions import load
from lamina.errors import DayNotOver
from lamina.features.built import built_through
from lamina.lake import layout
from lamina.semantics.plan import make_plan
from lamina.settings import Settings, load_settings
from lamina.store.protocol import TileWrite
from lamina.store.reader import FeatureVector, Reader
from lamina.store.redis import THROUGH_KEY, RedisStore
from lamina.streams.produce import EventProducer
from lamina.streams.rebuild import replay
from lamina.streams.topics import create_topics
from tests.parity.generated import START_MS, generate
from tests.parity.lake import write_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.services
PLAN = make_plan(load("fraud"))
DAY = day_of(START_MS) + timedelta(days=8)
THROUGH_MS = midnight_ms(next_day(DAY))
AT_MS = THROUGH_MS + 20 * 3_600_000
WRONG = DAY + timedelta(days=20)
"""Near enough that users have tiles of their own through it."""


@pytest.fixture
def settings(kafka: str, topic_prefix: str, clean_redis: str, tmp_path: Path) -> Settings:
    create_topics(kafka, topic_prefix)
    return load_settings(
        kafka_bootstrap=kafka,
        topic_prefix=topic_prefix,
        redis_url=clean_redis,
        lake_url=str(tmp_path / "la[k]e"),
        clock_at=datetime.fromtimestamp(AT_MS / 1000, tz=UTC),
    )


@pytest.fixture
def session(spark: SparkSession) -> Callable[[], SparkSession]:
    return lambda: spark


def long_after() -> int:
    return midnight_ms(WRONG + timedelta(days=2))


def last_hour(vector: FeatureVector) -> int:
    return round(float(str(vector.values["txn_count_1h"])))


def stream(settings: Settings, tiles: list[TileWrite]) -> None:
    """Tiles as the stream job writes them, in Redis as well."""
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    for tile in tiles:
        producer.produce(settings.topic_prefix + FEATURE_TILES, tile.payload, f"{tile.key}\t{tile.field}".encode())
    assert producer.flush(30) == 0
    replay(settings.kafka_bootstrap, settings.topic_prefix, RedisStore(settings.redis_url.get_secret_value()))


def test_what_a_run_for_a_wrong_day_has_hidden_comes_back(
    spark: SparkSession, session: Callable[[], SparkSession], settings: Settings
) -> None:
    generated = generate(5, n=300)
    lake, url = settings.lake_url, settings.redis_url.get_secret_value()
    write_lake(Path(lake), generated)
    batch_features.build(spark, lake, PLAN, DAY)
    publish.publish(spark, lake, PLAN, DAY, url)
    last = [e for e in generated.transactions if THROUGH_MS <= int(str(e["timestamp"])) < AT_MS][-1]
    more = [
        {**last, "transaction_id": f"more-{i}", "user_id": user, "timestamp": AT_MS - 60_000 * (i + 1)}
        for user in (last["user_id"], "u-new")
        for i in range(20)
    ]
    known = [e for e in generated.transactions if int(str(e["timestamp"])) < AT_MS - 21 * 60_000] + more
    stream(settings, speed_writes(PLAN.speed, {"transactions": known}, THROUGH_MS))
    requests = [{**last, "transaction_id": f"now-{user}", "user_id": user} for user in (last["user_id"], "u-new")]

    def served() -> list[FeatureVector]:
        return [Reader(PLAN).read(RedisStore(url), request, AT_MS) for request in requests]

    before = served()
    assert last_hour(before[0]) > 20
    assert not before[0].stale

    # As it was before days were looked at: the rest of that day goes on, and a user is new on it.
    late = {**last, "transaction_id": "late", "user_id": "u-late", "timestamp": THROUGH_MS + 1}
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        producer.send(TRANSACTIONS, Transaction.model_validate(late))
    ahead = settings.model_copy(update={"clock_at": datetime.fromtimestamp(long_after() / 1000, tz=UTC)})
    assert archive(session, ahead, TRANSACTIONS, WRONG)["archived"] == 1
    batch_features.build(spark, lake, PLAN, WRONG)
    publish.publish(spark, lake, PLAN, WRONG, url, clock=long_after)
    hidden = served()
    assert last_hour(hidden[0]) < 20, "a wrong day hides what the stream knows"
    assert not hidden[0].stale

    # Nothing else leads back.
    with pytest.raises(DayNotOver, match="take-back"):
        backfill.backfill(spark, lake, PLAN, DAY, DAY, url, clock=settings.clock)
    publish.publish(spark, lake, PLAN, DAY, url, again=True, clock=settings.clock)
    assert served() == hidden

    for day in (DAY, WRONG):
        Path(layout.parity(lake, "fraud", day)).mkdir(parents=True)
    counts = take_back(session, settings, PLAN, DAY)
    assert [p.name for p in Path(layout.parity(lake, "fraud", DAY)).parent.iterdir()] == [DAY.isoformat()]
    assert (counts["archives"], counts["kept_archives"], counts["folders"]) == (1, 0, len(PLAN.tile_specs))
    assert [v.values for v in served()] == [v.values for v in before]
    assert [(v.seen, v.through, v.stale) for v in served()] == [(v.seen, v.through, v.stale) for v in before]
    assert built_through(lake, PLAN) == [next_day(DAY)]
    redis = Redis.from_url(url)
    end = str(THROUGH_MS).encode()
    assert redis.hgetall(THROUGH_KEY).items() >= {b"user": end, b"merchant": end}.items()
    assert not list(redis.scan_iter("user_batch:u-late"))
    assert take_back(session, settings, PLAN, DAY)["folders"] == 0
    assert [v.values for v in served()] == [v.values for v in before]

    # What had been archived as of the wrong day is archived as of the day that comes next.
    tomorrow = settings.model_copy(update={"clock_at": datetime.fromtimestamp(THROUGH_MS / 1000 + 86_400, tz=UTC)})
    assert archive(session, tomorrow, TRANSACTIONS, next_day(DAY))["archived"] == 1
    backfill.backfill(spark, lake, PLAN, next_day(DAY), next_day(DAY), url, clock=tomorrow.clock)
    assert built_through(lake, PLAN) == [next_day(DAY), next_day(next_day(DAY))]


def test_an_archive_that_kafka_no_longer_holds_becomes_the_days(
    session: Callable[[], SparkSession], settings: Settings
) -> None:
    from kafka import KafkaAdminClient, TopicPartition

    recorded = Path(__file__).parent.parent / "data" / "events" / "user_event-v1.json"
    event = UserEvent.from_json(recorded.read_bytes())
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        producer.send(USER_EVENTS, event)
    ahead = settings.model_copy(update={"clock_at": datetime.fromtimestamp(long_after() / 1000, tz=UTC)})
    found = archive(session, ahead, USER_EVENTS, WRONG)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    name = settings.topic_prefix + USER_EVENTS
    admin.delete_records({TopicPartition(name, int(p)): end for p, (_, end) in found["offsets"].items() if end})
    admin.close()
    plan = make_plan(load("activity"))
    batch_features.build(session(), settings.lake_url, plan, WRONG)
    counts = take_back(session, settings, plan, DAY)
    assert (counts["archives"], counts["kept_archives"]) == (0, 1)
    assert offsets.recorded(settings.lake_url, USER_EVENTS) == {}
    kept = Path(layout.events(settings.lake_url, USER_EVENTS, DAY)) / f"origin=kafka-{WRONG}"
    assert list(kept.glob("*.parquet"))
