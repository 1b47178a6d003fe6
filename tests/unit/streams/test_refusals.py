from __future__ import annotations

import base64

import pytest
from confluent_kafka import KafkaError

from lamina.streams.refusals import is_final, is_purge, letter_of_unsent

FINAL = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
)
PURGED = KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT
PASSING = KafkaError._MSG_TIMED_OUT, KafkaError.NOT_ENOUGH_REPLICAS, KafkaError._TRANSPORT


@pytest.mark.parametrize("code", [*FINAL, *PURGED, *PASSING])
def test_what_is_refused_for_ever_is_told_from_what_will_go(code: int) -> None:
    assert is_final(KafkaError(code)) is (code in FINAL)
    assert is_purge(KafkaError(code)) is (code in PURGED)


def test_a_message_that_never_was_on_a_topic_has_a_place_by_its_content() -> None:
    first = letter_of_unsent("transactions", b"u1", b"{}", "too large", 1_533_686_400_000)
    again = letter_of_unsent("transactions", b"u1", b"{}", "too old", 1_533_686_400_999)
    assert (first.topic, first.partition, first.timestamp) == ("transactions", -1, 1_533_686_400_000)
    assert first.reason == "Kafka refuses it: too large"
    assert base64.b64decode(first.raw) == b"{}"
    others = {
        letter_of_unsent(topic, key, value, "too large", 1_533_686_400_000).offset
        for topic, key, value in (
            ("transactions", b"u1", b"{}"),
            ("user-events", b"u1", b"{}"),
            ("transactions", b"u2", b"{}"),
            ("transactions", b"u1", b"[]"),
        )
    }
    assert len(others) == 4 and first.offset == again.offset and first.offset in others
    many = [letter_of_unsent("transactions", b"u%d" % n, b"{}", "x", 1_533_686_400_000).offset for n in range(200)]
    assert len(set(many)) == 200
    assert 2**62 <= max(many) < 2**63, "as wide as an offset can be, and never negative"
    assert first.offset == 2_693_517_360_962_360_897, "whichever process finds it, and whenever"
