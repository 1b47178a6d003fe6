"""A topic that is deleted and made again has other offsets under its old name: neither archive nor sink mix them up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from confluent_kafka import Producer
from redis import Redis

from jobs.spark import offsets
from jobs.spark.archive_events import archive
from lamina.contracts.topics import FEATURE_TILES
from lamina.contracts.user_events import USER_EVENTS, UserEvent
from lamina.errors import StreamError, TopicChanged
from lamina.settings import Settings, load_settings
from lamina.store.protocol import ReadKey
from lamina.store.redis import RedisStore
from lamina.streams.identity import identity_of
from lamina.streams.produce import EventProducer
from lamina.streams.rebuild import replay
from lamina.streams.sink import SinkOptions, TileSink
from lamina.streams.topics import create_topics

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.services
DAYS = [date(2018, 8, day) for day in range(20, 25)]
EVENT = UserEvent.from_json((Path(__file__).parent.parent / "data" / "events" / "user_event-v1.json").read_bytes())
FIELD = "transactions@1s#ab12cd/1533686400000"


@pytest.fixture
def settings(kafka: str, topic_prefix: str, tmp_path: Path) -> Settings:
    create_topics(kafka, topic_prefix)
    return load_settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix, lake_url=str(tmp_path / "lake"))


@pytest.fixture
def session(spark: SparkSession) -> Callable[[], SparkSession]:
    return lambda: spark


def make_anew(settings: Settings, topic: str) -> None:
    """Delete a topic and create it again under its name."""
    from kafka import KafkaAdminClient

    name = settings.topic_prefix + topic
    before = identity_of(settings.kafka_bootstrap, name)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    admin.delete_topics([name])
    deadline = time.monotonic() + 60
    while name in admin.list_topics():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    admin.close()
    create_topics(settings.kafka_bootstrap, settings.topic_prefix)
    after = identity_of(settings.kafka_bootstrap, name)
    assert (after.cluster, after.topic_id != before.topic_id) == (before.cluster, True)


def send(settings: Settings, first: int, n: int) -> None:
    with EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer:
        for i in range(first, first + n):
            producer.send(USER_EVENTS, EVENT.model_copy(update={"event_id": f"e-{i}"}))


def test_the_archive_of_another_topic_is_not_gone_on_with(
    settings: Settings, session: Callable[[], SparkSession]
) -> None:
    monday, tuesday, wednesday, thursday, friday = DAYS
    send(settings, 0, 3)
    archive(session, settings, USER_EVENTS, monday)
    manifest = Path(offsets.folder(settings.lake_url, USER_EVENTS, monday)) / offsets.MANIFEST
    noted = orjson.loads(manifest.read_bytes())
    identity = identity_of(settings.kafka_bootstrap, settings.topic_prefix + USER_EVENTS)
    assert (noted["cluster"], noted["topic_id"]) == (identity.cluster, identity.topic_id)

    # As it was written before: taken for the topic that is there, and noted, once.
    manifest.write_bytes(orjson.dumps({k: v for k, v in noted.items() if k not in ("cluster", "topic_id")}))
    send(settings, 3, 2)
    assert archive(session, settings, USER_EVENTS, tuesday)["archived"] == 2
    assert orjson.loads(manifest.read_bytes()) == noted

    # More than was archived of the old one: by offsets alone this would go on in the middle.
    make_anew(settings, USER_EVENTS)
    send(settings, 100, 9)
    with pytest.raises(TopicChanged, match=r"made anew.*--allow-gap"):
        archive(session, settings, USER_EVENTS, wednesday)
    for allow_gap in (False, True):
        with pytest.raises(TopicChanged, match="left as it is"):
            archive(session, settings, USER_EVENTS, monday, allow_gap=allow_gap)
    assert archive(session, settings, USER_EVENTS, wednesday, allow_gap=True)["archived"] == 9
    send(settings, 200, 1)
    assert archive(session, settings, USER_EVENTS, thursday)["archived"] == 1
    assert archive(session, settings, USER_EVENTS, wednesday)["archived"] == 9
    with pytest.raises(StreamError, match="left as it is"):
        archive(session, settings, USER_EVENTS, tuesday)
    assert archive(session, settings, USER_EVENTS, friday)["archived"] == 0


def tiles(settings: Settings, n: int, users: int) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    name = settings.topic_prefix + FEATURE_TILES
    for user in range(users):
        producer.produce(name, b"%d\x1f%d" % (n, user), f"user:{user}\t{FIELD}".encode())
    assert producer.flush(30) == 0


def stored(store: RedisStore, users: int) -> list[bytes | None]:
    replies = store.read([ReadKey("user", str(user), ()) for user in range(users)]).replies
    return [reply.speed.get(FIELD.encode()) for reply in replies]


def test_the_sink_does_not_go_on_in_another_topic(settings: Settings, clean_redis: str) -> None:
    store = RedisStore(clean_redis)
    options = SinkOptions(bootstrap=settings.kafka_bootstrap, topic_prefix=settings.topic_prefix, until_now=True)
    tiles(settings, 1, 5)
    TileSink(options, store).run()
    redis = Redis.from_url(clean_redis)
    (log,) = redis.scan_iter("lamina:offsets:*")
    # As it was noted before ids were.
    redis.hdel(log, "topic_id")
    TileSink(options, store).run()
    identity = identity_of(settings.kafka_bootstrap, settings.topic_prefix + FEATURE_TILES)
    assert redis.hget(log, "topic_id") == identity.topic_id.encode()

    make_anew(settings, FEATURE_TILES)
    tiles(settings, 2, 40)
    with pytest.raises(TopicChanged, match=r"made anew.*lamina features rebuild"):
        TileSink(options, store).run()
    assert stored(store, 40)[5:] == [None] * 35
    replay(settings.kafka_bootstrap, settings.topic_prefix, store)
    assert stored(store, 40) == [b"2\x1f%d" % user for user in range(40)]
    tiles(settings, 3, 40)
    TileSink(options, store).run()
    assert stored(store, 40) == [b"3\x1f%d" % user for user in range(40)]
