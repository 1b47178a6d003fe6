"""Messages that broke their contract: writing them down, looking at them, sending those again that are good by now."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lamina.contracts.decisions import DeadLetter
from lamina.contracts.topics import DEAD_LETTERS
from lamina.errors import ContractError, StreamError
from lamina.streams.produce import EventProducer
from lamina.streams.topics import contract_of

POLL_MS = 5_000
EMPTY_POLLS = 6
"""So many in a row, and the broker is taken for gone."""


@dataclass
class ReplayReport:
    """What a replay did, in letters. `read = sent + still_dead + unknown`."""

    read: int = 0
    sent: int = 0
    still_dead: int = 0
    unknown: int = 0  # of a topic without contract
    reasons: Counter[str] = field(default_factory=Counter)


def make_letter(topic: str, partition: int, offset: int, reason: str, raw: bytes | None, at_ms: int) -> DeadLetter:
    """A letter about the message at this place, found broken at `at_ms`; `topic` is named without prefix.

    >>> make_letter("transactions", 0, 7, "is empty", b"{}", 1533686400000).raw
    'e30='
    """
    text = base64.b64encode(raw or b"").decode()
    return DeadLetter(topic=topic, partition=partition, offset=offset, reason=reason, raw=text, timestamp=at_ms)


def write(bootstrap: str, prefix: str, letters: Iterable[DeadLetter]) -> int:
    """Send letters to topic `dead-letters`; returns how many, all acknowledged.

    Raises: StreamError: when one is not; a repetition does no harm, because letters are read once a place.
    """
    sent = 0
    with EventProducer(bootstrap, prefix) as producer:
        for letter in letters:
            producer.send_bytes(
                DEAD_LETTERS, f"{letter.topic}/{letter.partition}/{letter.offset}".encode(), letter.to_json()
            )
            sent += 1
    return sent


def read(bootstrap: str, prefix: str, topic: str | None = None, since_ms: int | None = None) -> Iterator[DeadLetter]:
    """The letters that are on the topic now, each place once; both engines may have written about the same message.

    Args: topic: only letters about this topic, named without prefix; since_ms: only those found broken at or after it.
    Raises: StreamError: when Kafka does not answer, or a letter itself cannot be read.
    """
    seen: set[tuple[str, int, int]] = set()
    for raw in _messages(bootstrap, prefix + DEAD_LETTERS):
        try:
            letter = DeadLetter.from_json(raw)
        except ContractError as error:
            raise StreamError(f"topic {prefix + DEAD_LETTERS} holds what is no dead letter: {error}") from error
        name = letter.topic.removeprefix(prefix)
        place = (name, letter.partition, letter.offset)
        if place in seen or (topic and name != topic) or letter.timestamp < (since_ms or 0):
            continue
        seen.add(place)
        yield letter.model_copy(update={"topic": name})


def replay(
    bootstrap: str, prefix: str, topic: str | None = None, since_ms: int | None = None, *, dry_run: bool = False
) -> ReplayReport:
    """Send every letter's bytes to its topic again, if they keep the contract as it is now.

    Twice does no harm: events are counted once an id. `dry_run` only counts.
    """
    report = ReplayReport()
    with EventProducer(bootstrap, prefix) as producer:
        for letter in read(bootstrap, prefix, topic, since_ms):
            report.read += 1
            try:
                event = contract_of(letter.topic).from_json(base64.b64decode(letter.raw))
            except ContractError as error:
                report.still_dead += 1
                report.reasons[str(error)] += 1
                continue
            except StreamError as error:
                report.unknown += 1
                report.reasons[str(error)] += 1
                continue
            report.sent += 1
            if not dry_run:
                producer.send(letter.topic, event)
    return report


def _messages(bootstrap: str, topic: str) -> Iterator[bytes]:
    """Values from the oldest message to what is the newest at the start."""
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    try:
        consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
            if not partitions:
                raise StreamError(f"topic {topic} does not exist on {bootstrap}: `make up` creates the topics")
            ends = consumer.end_offsets(partitions)
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            empty = 0
            while any(consumer.position(p) < ends[p] for p in partitions):
                batches = consumer.poll(timeout_ms=POLL_MS)
                empty = 0 if batches else empty + 1
                if empty == EMPTY_POLLS:
                    raise StreamError(f"topic {topic} on {bootstrap} stopped answering: see `make status`")
                for partition, records in batches.items():
                    yield from (r.value or b"" for r in records if r.offset < ends[partition])
        finally:
            consumer.close()
    except KafkaError as error:
        raise StreamError(f"topic {topic} on {bootstrap} cannot be read: {error}") from error
