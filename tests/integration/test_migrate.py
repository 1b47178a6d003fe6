"""Messages of a topic that has a new name, on a real broker."""

from __future__ import annotations

import pytest
from kafka import KafkaConsumer, KafkaProducer

from lamina.contracts.fraud_decisions import Decision, read_answer, served_of
from lamina.contracts.topics import Topic
from lamina.migrations.renamed_topic import renamed_topic, shared_topic
from lamina.settings import ROOT, Settings
from lamina.streams.topics import create_topics

pytestmark = pytest.mark.services


def values(bootstrap: str, topic: str) -> list[tuple[bytes, bytes]]:
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=5000)
    found = [(m.key, m.value) for m in consumer]
    consumer.close()
    return sorted(found)


def test_what_the_old_topic_holds_is_sent_once(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix)
    assert renamed_topic(settings, "old", "new") == [], "neither is there"
    create_topics(kafka, topic_prefix, [Topic("old", 3), Topic("new", 2)])
    assert renamed_topic(settings, "old", "new") == []
    producer = KafkaProducer(bootstrap_servers=kafka)
    sent = [(f"u{i}".encode(), f"v{i}".encode()) for i in range(1200)]
    for key, value in sent:
        producer.send(topic_prefix + "old", value, key)
    producer.flush()
    (task,) = renamed_topic(settings, "old", "new")
    assert task.what == f"send 1,200 messages of topic {topic_prefix}old to {topic_prefix}new"
    task.apply()
    assert values(kafka, topic_prefix + "new") == sorted(sent)
    assert renamed_topic(settings, "old", "new") == []
    producer.send(topic_prefix + "old", b"late", b"u0").get(timeout=30)
    producer.close()
    (task,) = renamed_topic(settings, "old", "new")
    assert task.what.startswith("send 1 messages")
    task.apply()
    assert values(kafka, topic_prefix + "new") == sorted([*sent, (b"u0", b"late")])


def test_messages_are_sent_in_the_form_of_the_new_topic(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix)
    create_topics(kafka, topic_prefix, [Topic("old", 1), Topic("new", 1)])
    decision = Decision.from_json((ROOT / "tests/data/events/decision-v3.json").read_bytes())
    producer = KafkaProducer(bootstrap_servers=kafka)
    for value in (decision.to_json(), b"of no form"):
        producer.send(topic_prefix + "old", value, b"u")
    producer.flush()
    producer.close()
    (task,) = renamed_topic(settings, "old", "new", convert=lambda raw: read_answer(raw).to_json())
    task.apply()
    sent = [(b"u", b"of no form"), (b"u", served_of(decision).to_json())]
    assert values(kafka, topic_prefix + "new") == sorted(sent), "what cannot be read is no less there than before"


def test_what_was_archived_is_not_sent(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix)
    create_topics(kafka, topic_prefix, [Topic("old", 1), Topic("new", 1)])
    producer = KafkaProducer(bootstrap_servers=kafka)
    for i in range(5):
        producer.send(topic_prefix + "old", f"v{i}".encode(), b"u")
    producer.flush()
    producer.close()
    assert renamed_topic(settings, "old", "new", {0: 5}) == []
    (whole,) = renamed_topic(settings, "old", "new", {0: 9})
    assert whole.what.startswith("send 5 messages"), "offsets of a topic that is gone"
    (task,) = renamed_topic(settings, "old", "new", {0: 3})
    task.apply()
    assert values(kafka, topic_prefix + "new") == [(b"u", b"v3"), (b"u", b"v4")]
    assert renamed_topic(settings, "old", "new", {0: 3}) == []


def test_messages_of_a_topic_that_has_others_now_are_sorted_out(kafka: str, topic_prefix: str) -> None:
    settings = Settings(kafka_bootstrap=kafka, topic_prefix=topic_prefix)

    def is_theirs(value: bytes) -> bool:
        return value.startswith(b"label")

    assert shared_topic(settings, "old", "new", is_theirs) == [], "neither is there"
    create_topics(kafka, topic_prefix, [Topic("old", 1), Topic("new", 1)])
    producer = KafkaProducer(bootstrap_servers=kafka)

    def send(*values: bytes) -> None:
        for value in values:
            producer.send(topic_prefix + "old", value, b"u")
        producer.flush()

    send(b"label 1", b"label 2", b"said 1", b"label 3", b"said 2")
    (task,) = shared_topic(settings, "old", "new", is_theirs)
    assert task.what.startswith("send 3 messages")
    task.apply()
    sent = [(b"u", b"label 1"), (b"u", b"label 2"), (b"u", b"label 3")]
    assert values(kafka, topic_prefix + "new") == sent
    assert values(kafka, topic_prefix + "old") == [(b"u", b"label 3"), (b"u", b"said 1"), (b"u", b"said 2")]
    assert shared_topic(settings, "old", "new", is_theirs) == []
    send(b"label 4")
    producer.close()
    (task,) = shared_topic(settings, "old", "new", is_theirs)
    assert task.what.startswith("send 1 messages")
    task.apply()
    assert values(kafka, topic_prefix + "new") == [*sent, (b"u", b"label 4")]
