"""librdkafka as the event log uses it: its producer, an event under way, a letter about one that is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from prometheus_client import Counter

from lamina.contracts.base import Event
from lamina.contracts.topics import DEAD_LETTERS, LETTER_BYTES
from lamina.monitoring import metrics
from lamina.streams.refusals import is_final
from serving.stages.journal import Place
from serving.stages.segments import JournaledEvent

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

Told = Callable[["Sent", "KafkaError | None", "Message"], None]
QUEUE_EVENTS = 20_000
LINGER_MS = 25
"""Nobody waits for it, and a request to the broker costs as much as many events in it."""


class Sent:
    """An event that librdkafka has: where it ends in the journal, and whether Kafka has it too.

    `event` where it was sent with nothing beside it, so that a refusal is about it; `letter`: a dead letter is under
    way in its stead; `told`: is given what became of it.
    """

    __slots__ = ("done", "event", "letter", "place", "told")

    def __init__(self, told: Told, place: Place, event: JournaledEvent | None = None) -> None:
        self.told, self.place, self.event, self.done, self.letter = told, place, event, False, False

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Take what became of it."""
        self.told(self, error, message)


@lru_cache
def delivered_to(topic: str) -> Counter:
    """The metric of events that Kafka has, of one topic without the prefix; looked up once."""
    return metrics.EVENTS_DELIVERED.labels(topic)


def make_producer(bootstrap: str, on_error: Callable[[KafkaError], None]) -> Producer:
    """A producer that keeps the order of each key and gives up on no event."""
    from confluent_kafka import Producer

    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            # For ever: an event that was given up would have to go again, behind those that followed it.
            "delivery.timeout.ms": 0,
            "queue.buffering.max.messages": QUEUE_EVENTS,
            # What its topic takes is the broker's to say; a letter about it is larger than an event.
            "message.max.bytes": LETTER_BYTES,
            # The partitioner of Java clients and so of Flink: a key has one partition whoever writes it.
            "partitioner": "murmur2_random",
            "error_cb": on_error,
            "reconnect.backoff.max.ms": 1_000,
            # What it says while Kafka is away, many times a second, `on_error` says once.
            "log_level": 2,
        }
    )


def send_event(
    producer: Producer, event: JournaledEvent, on_delivery: Callable[[KafkaError | None, Message], None]
) -> None:
    """Hand an event over, with its trace as the header `traceparent` where it has one.

    Raises: BufferError, KafkaException: as the producer.
    """
    if event.trace:
        headers: list[tuple[str, str | bytes | None]] = [("traceparent", event.trace)]
        producer.produce(event.topic, event.value, event.key, on_delivery=on_delivery, headers=headers)
    else:
        producer.produce(event.topic, event.value, event.key, on_delivery=on_delivery)


def send_letter(
    producer: Producer,
    prefix: str,
    key: bytes,
    letter: Event,
    on_delivery: Callable[[KafkaError | None, Message], None],
) -> Literal["queued", "later", "never"]:
    """Send a dead letter; whether it was queued, may be sent again later, or will never be taken by Kafka.

    Args: prefix: put before every topic; key: that of the event that the letter is about.
    """
    from confluent_kafka import KafkaException

    try:
        producer.produce(prefix + DEAD_LETTERS, letter.to_json(), key, on_delivery=on_delivery)
    except BufferError:
        return "later"
    except KafkaException as error:
        return "never" if is_final(error.args[0]) else "later"
    return "queued"
