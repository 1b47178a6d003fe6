"""A log of Kafka in this process, the consumer that reads it, and a clock that goes by what is waited for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

NOW = 1_533_729_600_000


LONGEST = 2000
"""Nothing here waits so often: whoever does would wait for ever."""


class Time:
    """In the place of the module `time`."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        assert len(self.slept) < LONGEST, "waits for ever"
        self.slept.append(seconds)
        self.now_s += seconds


class Log:
    """One topic: by partition the first offset and the messages. `refusals`: how often it does not tell offsets."""

    def __init__(self, topic: str, partitions: int = 1, first: int = 0) -> None:
        self.topic, self.first = topic, first
        self.messages: dict[int, list[Message]] = {p: [] for p in range(partitions)}
        self.cluster, self.refusals = "cluster-1", 0
        self.error: KafkaError | None = None

    def put(self, partition: int, key: bytes | None, value: bytes | None, at_ms: int = NOW) -> None:
        offset = self.first + len(self.messages[partition])
        self.messages[partition].append(
            Message(topic=self.topic, partition=partition, offset=offset, key=key, value=value, timestamp=(1, at_ms))
        )

    def span(self, partition: int) -> tuple[int, int]:
        return self.first, self.first + len(self.messages[partition])


class Consumer:
    """confluent_kafka's consumer. `errors` are delivered first; `on_empty` is called when nothing is left to read."""

    def __init__(self, log: Log, time: Time, options: dict[str, Any]) -> None:
        self.log, self.time, self.options = log, time, options
        self.positions: dict[int, int] = {}
        self.read: list[tuple[int, int]] = []
        self.asked: list[tuple[int, float]] = []
        self.commits: list[tuple[dict[int, int], bool]] = []
        self.errors: list[Message] = []
        self.on_empty: Callable[[], None] = lambda: None
        self.on_assign: Callable[[Any, list[TopicPartition]], None] | None = None
        self.on_revoke: Callable[[Any, list[TopicPartition]], None] | None = None
        self.refuses_commits = self.closed = self.eof = False

    def subscribe(self, topics: list[str], *, on_assign: Any, on_revoke: Any) -> None:
        assert topics == [self.log.topic]
        self.on_assign, self.on_revoke = on_assign, on_revoke
        self.due = True

    def assign(self, places: list[TopicPartition]) -> None:
        first = self.log.first
        self.positions = {p.partition: first if p.offset == OFFSET_BEGINNING else p.offset for p in places}
        self.left = set(self.positions)

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(self.log.topic, p) for p in self.positions]

    def consume(self, count: int, timeout: float) -> list[Message]:
        assert len(self.asked) < LONGEST, "reads for ever"
        self.asked.append((count, timeout))
        if self.on_assign is not None and self.due:
            self.due = False
            self.on_assign(self, [TopicPartition(self.log.topic, p) for p in self.log.messages])
        if self.errors:
            return [self.errors.pop(0)]
        found: list[Message] = []
        for p, position in self.positions.items():
            taken = self.log.messages[p][position - self.log.first :][: count - len(found)]
            self.positions[p] = position + len(taken)
            found += taken
        self.read += [(m.partition() or 0, m.offset() or 0) for m in found]
        if not found and self.eof and self.left:
            error = KafkaError(KafkaError._PARTITION_EOF)
            found = [Message(topic=self.log.topic, partition=p, offset=0, error=error) for p in sorted(self.left)]
            self.left = set()
        elif not found:
            self.time.now_s += timeout
            self.on_empty()
        return found

    def list_topics(self, topic: str, timeout: float) -> Any:
        told = SimpleNamespace(partitions=dict.fromkeys(self.log.messages), error=self.log.error)
        return SimpleNamespace(cluster_id=self.log.cluster, topics={topic: told})

    def get_watermark_offsets(
        self, place: TopicPartition, timeout: float = 0.0, *, cached: bool = False
    ) -> tuple[int, int]:
        if self.log.refusals and not cached:
            self.log.refusals -= 1
            raise KafkaException(KafkaError(KafkaError._WAIT_COORD, "no leader"))
        return self.log.span(place.partition)

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        if self.refuses_commits:
            raise KafkaException(KafkaError(KafkaError._NO_OFFSET))
        self.commits.append(({place.partition: place.offset for place in offsets}, asynchronous))

    def close(self) -> None:
        self.closed = True
