"""Everything that is on a topic, read once."""

from __future__ import annotations

from lamina.settings import Settings


def consume(settings: Settings, topic: str) -> list[tuple[bytes, bytes]]:
    """Keys and values of everything on `topic`, partition by partition."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": "lamina-benchmarks", "enable.partition.eof": True}
    )
    try:
        name = settings.topic_prefix + topic
        partitions = sorted(consumer.list_topics(name, timeout=30).topics[name].partitions)
        consumer.assign([TopicPartition(name, p, 0) for p in partitions])
        found: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in partitions}
        left = set(partitions)
        while left:
            message = consumer.poll(30)
            assert message is not None, f"{name} could not be read to its end"
            if (error := message.error()) is None:
                found[message.partition() or 0].append((message.key() or b"", message.value() or b""))
            else:
                assert error.name() == "_PARTITION_EOF", error
                left.discard(message.partition())
        return [event for p in partitions for event in found[p]]
    finally:
        consumer.close()
