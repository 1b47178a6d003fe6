"""Messages that Kafka refuses for what they are, and so for ever: telling them from those it will take later."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from lamina.contracts.dead_letters import DeadLetter
from lamina.streams.dead_letters import make_letter

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

UNSENT = -1
"""The partition of a message that never came to stand in one."""


def is_final(error: KafkaError) -> bool:
    """Whether the broker, or librdkafka before it, will never take the message: it is too large, or invalid."""
    from confluent_kafka import KafkaError as Kinds

    return error.code() in (
        Kinds.MSG_SIZE_TOO_LARGE,
        Kinds.RECORD_LIST_TOO_LARGE,
        Kinds.INVALID_MSG_SIZE,
        Kinds.INVALID_RECORD,
        Kinds.INVALID_TIMESTAMP,
    )


def is_purge(error: KafkaError) -> bool:
    """Whether the producer itself gave the message up because it was told to, as it will go again."""
    from confluent_kafka import KafkaError as Kinds

    return error.code() in (Kinds._PURGE_QUEUE, Kinds._PURGE_INFLIGHT)


def letter_of_unsent(topic: str, key: bytes, value: bytes, reason: str, at_ms: int) -> DeadLetter:
    """A dead letter about a message that was never on `topic` (named without prefix).

    Its place is partition -1 and a number made of its content: the same message has the same place, whoever refused it.

    >>> letter_of_unsent("transactions", b"u1", b"{}", "too large", 1533686400000).partition
    -1
    """
    digest = blake2b(b"\t".join((topic.encode(), key, value)), digest_size=8).digest()
    number = int.from_bytes(digest, "big") >> 1
    return make_letter(topic, UNSENT, number, f"Kafka refuses it: {reason}", value, at_ms)
