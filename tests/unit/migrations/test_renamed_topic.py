"""What a broker says of a topic that was made a moment ago."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from lamina.migrations import renamed_topic
from lamina.migrations.renamed_topic import _bounds

PLACE = TopicPartition("old", 0, 0)


class Answering(Consumer):
    def __init__(self, *codes: int) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
        self.codes: Iterator[int] = iter(codes)

    def get_watermark_offsets(self, *place: object, **options: object) -> tuple[int, int]:
        if (code := next(self.codes, None)) is not None:
            raise KafkaException(KafkaError(code))
        return 3, 7


def test_a_partition_whose_leader_is_not_known_yet_is_asked_again() -> None:
    consumer = Answering(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
    assert _bounds(consumer, PLACE) == (3, 7)


def test_what_another_try_does_not_mend_is_told_at_once() -> None:
    consumer = Answering(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        _bounds(consumer, PLACE)
    assert _bounds(consumer, PLACE) == (3, 7), "it was asked once"


def test_a_leader_that_does_not_come_ends_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed_topic, "ANSWER_S", 0.3)
    with pytest.raises(KafkaException):
        _bounds(Answering(*[KafkaError.NOT_LEADER_FOR_PARTITION] * 50), PLACE)
