"""A topic's new name in Kafka: messages that the old topic still holds are sent to the new one.

How far that is done are offsets that a consumer group has committed on the old topic: a second run sends what came
since, such as from an API of the version before. A run that was ended sends some messages twice, which does no harm:
events are counted once an id, and of equal labels one stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from lamina.errors import ContractError, StreamError
from lamina.migrations.step import Task
from lamina.settings import Settings
from lamina.streams.produce import EventProducer

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

GROUP = "lamina-migrate"
ANSWER_S = 10
"""Longest wait for the broker."""
AT_ONCE = 500


def renamed_topic(
    settings: Settings,
    old: str,
    new: str,
    archived: Mapping[int, int] | None = None,
    convert: Callable[[bytes], bytes] | None = None,
) -> list[Task]:
    """The task of sending what the old topic holds and was not sent yet; none where there is nothing.

    Args: archived: up to which offset of each partition nobody needs it any more; all of it is sent when left out.
    convert: a message in the form that is sent; one for which it raises `ContractError` goes as it is, and becomes a
    dead letter where it is read.
    Raises: StreamError: when Kafka does not answer.
    """
    name = settings.topic_prefix + old
    with _consumer(settings, name) as consumer:
        left = sum(part.end - part.start for part in _parts(consumer, name, archived or {}))
    if not left:
        return []
    what = f"send {left:,} messages of topic {name} to {settings.topic_prefix + new}"
    return [Task(what, partial(_send, settings, old, new, archived or {}, convert))]


def shared_topic(settings: Settings, old: str, new: str, of_new: Callable[[bytes], bool]) -> list[Task]:
    """The task of sending those messages that are the new topic's, and were not sent yet; the old one has others now.

    At the beginning of the old topic they are deleted besides: whoever reads it as what it is now would find them
    broken. None where there is nothing to send or delete.

    Args: of_new: whether a message is the new topic's.
    Raises: StreamError: when Kafka does not answer.
    """
    name = settings.topic_prefix + old
    with _consumer(settings, name) as consumer:
        found = [_sorted_out(consumer, each, of_new) for each in _parts(consumer, name, {}, whole=True)]
        starts = {part.partition: part.start for part in _parts(consumer, name, {})}
    unsent = sum(offset >= starts[part.partition] for part, theirs, _ in found for offset in theirs)
    done = sum(stays > part.start for part, _, stays in found)
    if not unsent and not done:
        return []
    what = f"send {unsent:,} messages of topic {name} to {settings.topic_prefix + new}, and delete those before others"
    return [Task(what, partial(_send_some, settings, old, new, of_new))]


def _sorted_out(consumer: Consumer, part: _Part, of_new: Callable[[bytes], bool]) -> tuple[_Part, list[int], int]:
    """The part, the offsets of the new topic's messages in it, and the first offset of another message."""
    theirs, stays = [], part.end
    for offset, _, value in part.placed(consumer):
        if of_new(value):
            theirs.append(offset)
        else:
            stays = min(stays, offset)
    return part, theirs, stays if theirs and theirs[0] < stays else part.start


def _send_some(settings: Settings, old: str, new: str, of_new: Callable[[bytes], bool]) -> None:
    _send(settings, old, new, {}, None, of_new)
    name = settings.topic_prefix + old
    with _consumer(settings, name) as consumer:
        found = [_sorted_out(consumer, each, of_new) for each in _parts(consumer, name, {}, whole=True)]
        # What came in between is neither sent nor deleted now.
        sent = {part.partition: part.start for part in _parts(consumer, name, {})}
        ends = [part.at(min(stays, sent[part.partition])) for part, _, stays in found]
    delete_before(settings.kafka_bootstrap, ends)


def delete_before(bootstrap: str, places: Sequence[TopicPartition]) -> None:
    """Delete the messages before these places.

    Raises: StreamError: when Kafka does not answer or refuses.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # Held until the answers are there: they never come to a client that nobody holds.
    admin = AdminClient({"bootstrap.servers": bootstrap})
    try:
        for future in admin.delete_records(list(places)).values():
            future.result(ANSWER_S)
    except (KafkaException, TimeoutError) as error:
        raise StreamError(f"messages on {bootstrap} cannot be deleted ({error}): see `make status`") from error


def _send(
    settings: Settings,
    old: str,
    new: str,
    archived: Mapping[int, int],
    convert: Callable[[bytes], bytes] | None,
    wanted: Callable[[bytes], bool] = lambda value: True,
) -> None:
    name = settings.topic_prefix + old
    with (
        _consumer(settings, name) as consumer,
        EventProducer(settings.kafka_bootstrap, settings.topic_prefix) as producer,
    ):
        for part in _parts(consumer, name, archived):
            for key, value in part.messages(consumer):
                if wanted(value):
                    producer.send_bytes(new, key, _converted(value, convert))
            producer.flush()
            consumer.commit(offsets=[part.at(part.end)], asynchronous=False)


def _converted(value: bytes, convert: Callable[[bytes], bytes] | None) -> bytes:
    if convert is None:
        return value
    try:
        return convert(value)
    except ContractError:
        return value


class _Part:
    """What a partition of the old topic holds and was not sent: offsets from `start` up to and without `end`."""

    def __init__(self, topic: str, partition: int, start: int, end: int) -> None:
        self._topic, self.partition = topic, partition
        self.start, self.end = start, end

    def at(self, offset: int) -> TopicPartition:
        """The place of `offset` in this partition."""
        from confluent_kafka import TopicPartition

        return TopicPartition(self._topic, self.partition, offset)

    def messages(self, consumer: Consumer) -> Iterator[tuple[bytes | None, bytes]]:
        """Key and value of each message, in order."""
        return ((key, value) for _, key, value in self.placed(consumer))

    def placed(self, consumer: Consumer) -> Iterator[tuple[int, bytes | None, bytes]]:
        """Offset, key and value of each message, in order."""
        from confluent_kafka import KafkaError

        if self.start == self.end:
            return
        consumer.assign([self.at(self.start)])
        answered = time.monotonic()
        while True:
            for message in consumer.consume(AT_ONCE, timeout=0.2):
                answered = time.monotonic()
                error, offset = message.error(), message.offset() or 0
                if error and error.code() == KafkaError._PARTITION_EOF:
                    return
                if error:
                    raise StreamError(f"topic {self._topic} cannot be read: {error}")
                if offset >= self.end:
                    return
                key, value = message.key(), message.value()
                yield offset, None if key is None else bytes(key), bytes(value or b"")
            if time.monotonic() - answered > ANSWER_S:
                raise StreamError(f"topic {self._topic} stopped answering: see `make status`")


@contextmanager
def _consumer(settings: Settings, name: str) -> Iterator[Consumer]:
    """A consumer whose failures are Kafka's, told in words."""
    from confluent_kafka import Consumer, KafkaException

    options: dict[str, str | int | bool] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "group.id": f"{settings.topic_prefix}{GROUP}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "log_level": 0,
    }
    try:
        consumer = Consumer(options)
        try:
            yield consumer
        finally:
            consumer.close()
    except KafkaException as error:
        raise StreamError(
            f"topic {name} on {settings.kafka_bootstrap} cannot be read ({error}): is Kafka up? see `make status`"
        ) from error


def _parts(consumer: Consumer, name: str, archived: Mapping[int, int], *, whole: bool = False) -> list[_Part]:
    """What was not sent of each partition; `whole`: all that it holds."""
    # All topics, not this one: a broker that makes topics by itself would make it when it is asked for.
    topics = consumer.list_topics(timeout=ANSWER_S).topics
    if name not in topics:
        return []
    found = []
    for partition in sorted(topics[name].partitions):
        place = _Part(name, partition, 0, 0).at(0)
        first, end = _bounds(consumer, place)
        (done,) = consumer.committed([place], timeout=ANSWER_S)
        # A topic that was made anew ends before what was committed, or archived, of the old one.
        ends = () if whole else (done.offset, archived.get(partition, 0))
        start = max([first, *(at for at in ends if at <= end)])
        found.append(_Part(name, partition, start, end))
    return found


def _bounds(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """The first offset of a partition, and the one after its last."""
    from confluent_kafka import KafkaError, KafkaException

    def led_by_another(error: BaseException) -> bool:
        return isinstance(error, KafkaException) and error.args[0].code() in (
            KafkaError.NOT_LEADER_FOR_PARTITION,
            KafkaError.LEADER_NOT_AVAILABLE,
        )

    # A topic that was made a moment ago, or whose broker has changed: the client learns of it by asking.
    patient = Retrying(
        retry=retry_if_exception(led_by_another), stop=stop_after_delay(ANSWER_S), wait=wait_fixed(0.2), reraise=True
    )
    first, end = patient(consumer.get_watermark_offsets, place, timeout=ANSWER_S)
    return first, end
