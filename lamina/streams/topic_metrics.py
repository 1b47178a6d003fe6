"""What Kafka itself says of the topics, for Prometheus: how much came in, and what the stream jobs have not read yet.

It is asked when somebody scrapes, at most once in `KEPT_S`: between scrapes it costs nothing. How far a stream job has
come is what it committed at its last checkpoint, so a healthy job lags by what arrives between two of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.admin._listoffsets import OffsetSpec

TIMEOUT_S = 3.0
"""Of each question: less than Prometheus waits for an answer."""
KEPT_S = 5.0
Offsets = dict[tuple[str, int], int]
"""By topic, with its prefix, and partition."""


@dataclass(frozen=True)
class Reader:
    """A stream job: its system, the consumer group in which it commits, and the topics that it reads, unprefixed."""

    system: str
    group: str
    topics: tuple[str, ...]


@dataclass(frozen=True)
class TopicState:
    """What one look at Kafka found, by names without a prefix: `unread` goes by system and topic."""

    messages: Mapping[str, int]
    unread: Mapping[tuple[str, str], int]


class TopicCollector(Collector):
    """Gives Prometheus what `look` finds; without an answer of Kafka only that there is none.

    Args: look: raises anything where Kafka does not answer; monotonic: seconds of a clock.
    """

    def __init__(self, look: Callable[[], TopicState], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._look, self._monotonic = look, monotonic
        self._turn = threading.Lock()
        self._found: TopicState | None = None
        self._looked_at: float | None = None

    def describe(self) -> Iterable[Metric]:
        """The metrics without values: who registers this asks nothing of Kafka."""
        return _families(None)

    def collect(self) -> Iterator[Metric]:
        """The metrics as of now."""
        with self._turn:
            if self._looked_at is None or self._monotonic() - self._looked_at >= KEPT_S:
                try:
                    self._found = self._look()
                except Exception:
                    # Whatever it is, the one metric that says so is there, and an alert is on it.
                    self._found = None
                self._looked_at = self._monotonic()
            found = self._found
        yield from _families(found, up=found is not None)


def _families(found: TopicState | None, *, up: bool | None = None) -> list[Metric]:
    answers = GaugeMetricFamily("lamina_kafka_up", "Whether Kafka answers")
    messages = CounterMetricFamily("lamina_topic_messages", "Messages that ever came to a topic", labels=["topic"])
    lag = GaugeMetricFamily(
        "lamina_stream_lag_messages",
        "Messages that the stream job of a system had not read at its last checkpoint",
        labels=["system", "topic"],
    )
    if up is not None:
        answers.add_metric([], float(up))
    if found is not None:
        for topic, count in sorted(found.messages.items()):
            messages.add_metric([topic], count)
        for (system, topic), count in sorted(found.unread.items()):
            lag.add_metric([system, topic], count)
    return [answers, messages, lag]


def looking(bootstrap: str, prefix: str, topics: Iterable[str], readers: Iterable[Reader]) -> Callable[[], TopicState]:
    """A look at Kafka, as often as it is called. Opens nothing now.

    Args: topics: those to count, without prefix; one that is not there is left out.
    """
    names, jobs, clients = tuple(topics), tuple(readers), list["AdminClient"]()

    def look() -> TopicState:
        if not clients:
            from confluent_kafka.admin import AdminClient

            # What goes wrong is raised; librdkafka would write it to stderr several times a second.
            clients.append(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}))
        return look_at(clients[0], prefix, names, jobs)

    return look


def look_at(admin: AdminClient, prefix: str, topics: Iterable[str], readers: Iterable[Reader]) -> TopicState:
    """What Kafka says now.

    Raises: KafkaException: it does not answer.
    """
    from confluent_kafka.admin._listoffsets import OffsetSpec

    newest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    oldest: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
    there = admin.list_topics(timeout=TIMEOUT_S).topics
    wanted = {prefix + topic for topic in topics} & there.keys()
    places = [(topic, partition) for topic in sorted(wanted) for partition in there[topic].partitions]
    ends = _offsets(admin, places, newest)
    messages = dict.fromkeys((topic.removeprefix(prefix) for topic in wanted), 0)
    for (topic, _), end in ends.items():
        messages[topic.removeprefix(prefix)] += end
    unread: dict[tuple[str, str], int] = {}
    for reader in readers:
        own = [place for place in places if place[0].removeprefix(prefix) in reader.topics]
        read = _committed(admin, reader.group)
        # A job that has committed nothing has everything before it that the topic still holds.
        read |= _offsets(admin, [place for place in own if place not in read], oldest)
        for topic, partition in own:
            key = (reader.system, topic.removeprefix(prefix))
            behind = max(0, ends[topic, partition] - read[topic, partition])
            unread[key] = unread.get(key, 0) + behind
    return TopicState(messages, unread)


def _offsets(admin: AdminClient, places: Iterable[tuple[str, int]], which: OffsetSpec) -> Offsets:
    from confluent_kafka import TopicPartition

    asked = {TopicPartition(topic, partition): which for topic, partition in places}
    if not asked:
        return {}
    found = admin.list_offsets(asked, request_timeout=TIMEOUT_S)
    return {(place.topic, place.partition): future.result(TIMEOUT_S).offset for place, future in found.items()}


def _committed(admin: AdminClient, group: str) -> Offsets:
    from confluent_kafka import ConsumerGroupTopicPartitions

    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=TIMEOUT_S)
    places = asked[group].result(TIMEOUT_S).topic_partitions or []
    return {(place.topic, place.partition): place.offset for place in places if place.offset >= 0}
