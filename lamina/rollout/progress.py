"""How far a generation is: what its stream job has read, what the sink has moved, what the batch layer has published.

Everything is asked of those who know it, Kafka and Redis, each time anew: whatever was killed or emptied meanwhile, the
answer is what is there now.

The stream job's consumer group is committed with a checkpoint, when all tiles of the events before are in their topic;
the sink's offsets lie in Redis behind the tiles. So these two steps, one after the other, prove that the tiles of all
events up to a moment can be read:

    events     0 ................ E            ends of the topics, at that moment
    group      0 ................ E ...        committed up to there: their tiles are before F
    tiles      0 ......................... F   end of topic `feature-tiles`, after that
    the store  0 ......................... F   holds them all
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lamina.contracts.topics import FEATURE_TILES
from lamina.errors import StreamError
from lamina.rollout.generation import Generation, covers
from lamina.semantics.plan import TileSpec, sources_of
from lamina.settings import Settings
from lamina.store.filled import Until
from lamina.store.redis import RedisStore

if TYPE_CHECKING:
    from confluent_kafka import Consumer

KAFKA_TIMEOUT_S = 30.0
Places = Mapping[tuple[str, int], int]
"""Offsets by topic, named really, and partition."""


@dataclass(frozen=True)
class Read:
    """Of the events on a generation's topics: how many there are, and how many of these its stream job has not read.

    tiles: messages on `feature-tiles` that the sink has not moved.
    """

    events: int
    left: int
    tiles: int


class StreamProgress:
    """Looks at the topics of one generation; a context manager, as it holds a connection.

    Raises: StreamError: from any method, when Kafka does not answer. StoreUnavailable: when Redis does not.
    """

    def __init__(self, settings: Settings, generation: Generation, store: RedisStore) -> None:
        self._settings, self._store = settings, store
        prefix = settings.topic_prefix
        sources = sources_of(generation.plan, generation.plan.speed)
        self._topics = sorted({prefix + source.topic for source in sources})
        self._tiles = prefix + FEATURE_TILES
        self._group = prefix + generation.job_name

    def __enter__(self) -> Self:
        from confluent_kafka import Consumer

        chosen = {"bootstrap.servers": self._settings.kafka_bootstrap, "enable.auto.commit": False}
        self._consumer: Consumer = Consumer({**chosen, "group.id": self._group})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def ends(self) -> Places:
        """Where the events end now, of partitions that hold any."""
        return {place: high for place, (low, high) in self._spans(self._topics).items() if high > low}

    def has_read(self, ends: Places) -> bool:
        """Whether the tiles of all events before `ends` are in their topic."""
        read = self._committed(ends)
        return all(read[place] >= end for place, end in ends.items())

    def tiles_end(self) -> Places:
        """Where the tiles end now, of partitions that hold any."""
        return {place: high for place, (low, high) in self._spans([self._tiles]).items() if high > low}

    def has_moved(self, ends: Places) -> bool:
        """Whether all tiles before `ends` are in the store."""
        moved = self._moved()
        return all(moved.get(partition, 0) >= end for (_, partition), end in ends.items())

    def now(self) -> Read:
        """The figures."""
        spans = self._spans(self._topics)
        read = self._committed(spans)
        left = sum(max(high - max(read[place], low), 0) for place, (low, high) in spans.items())
        moved, tiles = self._moved(), self._spans([self._tiles])
        waiting = sum(max(high - max(moved.get(p, 0), low), 0) for (_, p), (low, high) in tiles.items())
        return Read(sum(high - low for low, high in spans.values()), left, waiting)

    def _spans(self, topics: Sequence[str]) -> dict[tuple[str, int], tuple[int, int]]:
        from confluent_kafka import KafkaException, TopicPartition

        try:
            known = self._consumer.list_topics(timeout=KAFKA_TIMEOUT_S).topics
            if gone := [topic for topic in topics if topic not in known]:
                raise StreamError(f"there is no topic {', '.join(gone)}: `lamina up` creates them")
            return {
                (topic, p): self._consumer.get_watermark_offsets(TopicPartition(topic, p), KAFKA_TIMEOUT_S)
                for topic in topics
                for p in known[topic].partitions
            }
        except KafkaException as error:
            raise self._silent(error) from error

    def _committed(self, places: Iterable[tuple[str, int]]) -> Places:
        """Up to where the stream job has read; a partition of which it has read nothing, such as an empty one: 0."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            found = self._consumer.committed([TopicPartition(*place) for place in places], KAFKA_TIMEOUT_S)
        except KafkaException as error:
            raise self._silent(error) from error
        return {(each.topic, each.partition): max(each.offset, 0) for each in found}

    def _moved(self) -> Mapping[int, int]:
        cluster = self._consumer.list_topics(self._tiles, KAFKA_TIMEOUT_S).cluster_id
        return self._store.offsets(f"{cluster}:{self._tiles}")

    def _silent(self, error: Exception) -> StreamError:
        return StreamError(f"Kafka on {self._settings.kafka_bootstrap} does not say how far it is: {error}")


def forget_group(settings: Settings, generation: Generation) -> None:
    """Drop what is noted of how far the stream job of a generation, which must not run, has read.

    Raises: StreamError: when Kafka does not answer.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    group = settings.topic_prefix + generation.job_name
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap, "log_level": 0})
    try:
        # A broker on which no group has ever been has nobody who could remove one.
        there = admin.list_consumer_groups(request_timeout=KAFKA_TIMEOUT_S).result(KAFKA_TIMEOUT_S)
        if there.errors:
            raise there.errors[0]
        if group in {each.group_id for each in there.valid}:
            admin.delete_consumer_groups([group], request_timeout=KAFKA_TIMEOUT_S)[group].result(KAFKA_TIMEOUT_S)
    except (KafkaException, TimeoutError) as error:
        raise StreamError(f"the consumer group {group} cannot be removed: {error!r}") from error


def unfilled(wanted: Iterable[TileSpec], filled: Mapping[str, Until], batch_end_ms: int) -> list[TileSpec]:
    """Those of `wanted` whose batch tiles are not all published up to `batch_end_ms`."""
    nothing = Until(0, ())
    return [
        spec
        for spec in wanted
        if (found := filled.get(spec.key, nothing)).batch_end_ms < batch_end_ms or not covers(found.reach, spec)
    ]
