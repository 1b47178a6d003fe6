"""Topics on a real broker: how long each is kept, also of those that were there before."""

from __future__ import annotations

import time

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from lamina.catalog import TOPICS
from lamina.contracts.topics import DEAD_LETTERS, FEATURE_TILES, TILES_MS, Topic
from lamina.contracts.transactions import TRANSACTIONS
from lamina.streams.topics import create_topics

pytestmark = pytest.mark.services


def settings(bootstrap: str, name: str) -> dict[str, str]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])["topic"][name]
    finally:
        admin.close()
    return {key: str(held["value"]) for key, held in found.items()}


def test_tiles_are_compacted_and_deleted_by_the_time_of_their_arrival(kafka: str, topic_prefix: str) -> None:
    create_topics(kafka, topic_prefix)
    found = settings(kafka, topic_prefix + FEATURE_TILES)
    assert set(found["cleanup.policy"].split(",")) == {"compact", "delete"}
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert int(found["retention.ms"]) == TILES_MS
    assert settings(kafka, topic_prefix + TRANSACTIONS)["cleanup.policy"] == "delete"


def test_topics_from_before_are_altered_and_keep_what_is_in_them(kafka: str, topic_prefix: str) -> None:
    """As an earlier version made them: tiles compacted only; and an operator's longer retention stays."""
    tiles, letters, events = (topic_prefix + name for name in (FEATURE_TILES, DEAD_LETTERS, TRANSACTIONS))
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    old = {"cleanup.policy": "compact", "compression.type": "lz4"}
    admin.create_topics([NewTopic(tiles, 2, 1, topic_configs=old)])
    admin.create_topics([NewTopic(letters, 1, 1, topic_configs={"retention.ms": "-1"})])
    admin.create_topics([NewTopic(events, 3, 1, topic_configs={"retention.ms": "60000"})])
    admin.wait_for_topics([tiles, letters, events])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send(tiles, b"1", b"user:7\tt/1", partition=0).get(timeout=30)
    assert create_topics(kafka, topic_prefix) == [
        topic_prefix + t.name for t in TOPICS if topic_prefix + t.name not in (tiles, letters, events)
    ]
    # The controller has the change; this broker learns of it a moment later.
    deadline = time.monotonic() + 30
    while (found := settings(kafka, tiles))["cleanup.policy"] == "compact":
        assert time.monotonic() < deadline, "the topic is as it was"
        time.sleep(0.1)
    assert set(found["cleanup.policy"].split(",")) == {"compact", "delete"}
    assert (found["message.timestamp.type"], int(found["retention.ms"])) == ("LogAppendTime", TILES_MS)
    assert settings(kafka, letters)["retention.ms"] == "-1"
    assert int(settings(kafka, events)["retention.ms"]) > 60_000
    before = time.time() * 1000
    # A message that names a time long past is kept like any other: the broker's own time counts.
    producer.send(tiles, b"2", b"user:7\tt/2", partition=0, timestamp_ms=1_000_000).get(timeout=30)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", consumer_timeout_ms=10_000)
    consumer.assign([TopicPartition(tiles, 0)])
    first, second = next(consumer), next(consumer)
    consumer.close()
    assert (first.value, second.value) == (b"1", b"2")
    assert second.timestamp >= before - 5_000
    assert create_topics(kafka, topic_prefix) == []  # a second start changes nothing
    assert settings(kafka, tiles) == found


def test_old_tiles_leave_the_topic(kafka: str, topic_prefix: str) -> None:
    """Retention by the broker's time, in small: what is older than it goes with its segment."""
    short = Topic(FEATURE_TILES, partitions=1, retention_ms=1_000, compacted=True)
    create_topics(kafka, topic_prefix, [short])
    name = topic_prefix + FEATURE_TILES
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    quick = {"segment.ms": "500", "file.delete.delay.ms": "100"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, quick)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka)
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    place = TopicPartition(name, 0)
    deadline = time.monotonic() + 60
    i = 0
    while consumer.beginning_offsets([place])[place] == 0:
        producer.send(name, b"1", f"user:7\tt/{i}".encode(), partition=0).get(timeout=30)
        i += 1
        time.sleep(0.5)
        assert time.monotonic() < deadline, "nothing was deleted"
    producer.close()
    consumer.close()
