"""Messages that broke their contract: writing them down, looking at them, sending those again that are good by now."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from lamina.contracts.cards import IS_CARD_NUMBER, STARRED, is_card_like, starred
from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.topics import DEAD_LETTERS
from lamina.errors import ContractError, MessageRefused, StreamError, UnknownTopic
from lamina.streams.produce import EventProducer, key_of
from lamina.streams.topics import read_event

ANSWER_S = 10
"""Longest wait for the broker."""
FILL_S = 0.2
"""Longest wait for a full batch: the client waits so long even when the partition's end is among the messages."""
MESSAGES_AT_ONCE = 500
MASKED = STARRED.encode()
"""Begins the bytes of a letter that are not those of its message."""


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

    It holds the message's bytes, unless these hold a card number, which is kept nowhere.

    >>> make_letter("transactions", 0, 7, "is empty", b"{}", 1533686400000).raw
    'e30='
    """
    text = base64.b64encode(_without_card_numbers(raw or b"", reason)).decode()
    return DeadLetter(topic=topic, partition=partition, offset=offset, reason=reason, raw=text, timestamp=at_ms)


def _without_card_numbers(raw: bytes, reason: str) -> bytes:
    """The bytes as they are; with card numbers starred, and then no longer JSON: nobody shall replay stars as an id."""
    text = raw.decode(errors="replace")
    if IS_CARD_NUMBER not in reason and not is_card_like(text):
        return raw
    return MASKED + starred(text).encode()


def write(bootstrap: str, prefix: str, letters: Iterable[DeadLetter]) -> int:
    """Send letters to topic `dead-letters`; returns how many, all acknowledged.

    A letter that is too large for its topic goes without the bytes: they stand at its place, and it holds up no other.

    Raises: StreamError: when one is not; a repetition does no harm, because letters are read once a place.
    """
    sent = list(letters)
    with EventProducer(bootstrap, prefix, one_by_one=True) as producer:
        try:
            for letter in sent:
                _send(producer, letter)
            producer.flush()
        except MessageRefused:
            # Nobody says which: each alone, and a repetition does no harm.
            with suppress(MessageRefused):
                producer.flush()
            for letter in sent:
                try:
                    _send(producer, letter)
                    producer.flush()
                except MessageRefused:
                    _send(producer, without_bytes(letter))
                    producer.flush()
    return len(sent)


def _send(producer: EventProducer, letter: DeadLetter) -> None:
    key = f"{letter.topic}/{letter.partition}/{letter.offset}"
    producer.send_bytes(DEAD_LETTERS, key.encode(), letter.to_json())


def without_bytes(letter: DeadLetter) -> DeadLetter:
    """The letter without the message, which its reason says.

    >>> without_bytes(make_letter("transactions", 0, 7, "is empty", b"{}", 1533686400000)).reason
    'is empty (its 2 bytes do not fit into a letter: read them at their place, while the topic keeps them)'
    """
    size = len(base64.b64decode(letter.raw))
    note = f"its {size} bytes do not fit into a letter: read them at their place, while the topic keeps them"
    return letter.model_copy(update={"raw": "", "reason": f"{letter.reason} ({note})"})


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
    try:
        with EventProducer(bootstrap, prefix, one_by_one=True) as producer:
            for letter in read(bootstrap, prefix, topic, since_ms):
                report.read += 1
                raw = base64.b64decode(letter.raw)
                try:
                    event = read_event(letter.topic, raw)
                    if not dry_run:
                        # The bytes, not the event: they may have fields that this version does not know.
                        producer.send_bytes(letter.topic, key_of(event), raw)
                except (ContractError, MessageRefused) as error:
                    report.still_dead += 1
                    report.reasons[str(error)] += 1
                except UnknownTopic as error:
                    report.unknown += 1
                    report.reasons[str(error)] += 1
                else:
                    report.sent += 1
    except MessageRefused as error:
        report.sent -= error.count
        report.still_dead += error.count
        report.reasons[str(error)] += error.count
    return report


def _messages(bootstrap: str, topic: str) -> Iterator[bytes]:
    """Values from the oldest message to what is the newest at the start."""
    # Not kafka-python: it cannot read lz4, in which the broker keeps the topic, without a further library.
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

    options: dict[str, str | int | bool] = {
        "bootstrap.servers": bootstrap,
        "group.id": "lamina-dead-letters",
        "enable.auto.commit": False,
        # What goes wrong is raised; librdkafka would write it to stderr several times a second.
        "log_level": 0,
        # The last offset may be a transaction's marker, which no message has.
        "enable.partition.eof": True,
    }
    try:
        consumer = Consumer(options)
        try:
            known = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
            if known.error or not known.partitions:
                raise StreamError(f"topic {topic} on {bootstrap} cannot be read ({known.error}): `make up` creates it")
            left = {}
            for p in known.partitions:
                first, end = consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=ANSWER_S)
                if first < end:
                    left[p] = (first, end)
            consumer.assign([TopicPartition(topic, p, first) for p, (first, _) in left.items()])
            answered = time.monotonic()
            while left:
                messages = consumer.consume(MESSAGES_AT_ONCE, timeout=FILL_S)
                if not messages:
                    if time.monotonic() - answered > ANSWER_S:
                        raise StreamError(f"topic {topic} on {bootstrap} stopped answering: see `make status`")
                    continue
                answered = time.monotonic()
                for message in messages:
                    p, offset, error = message.partition() or 0, message.offset() or 0, message.error()
                    if error and error.code() == KafkaError._PARTITION_EOF:
                        left.pop(p, None)
                        continue
                    if error:
                        raise StreamError(f"topic {topic} on {bootstrap} cannot be read: {error}")
                    if p in left and offset < left[p][1]:
                        yield bytes(message.value() or b"")
                    if p in left and offset >= left[p][1] - 1:
                        del left[p]
        finally:
            consumer.close()
    except KafkaException as error:
        raise StreamError(f"topic {topic} on {bootstrap} cannot be read: {error}") from error
