"""The sink: tiles from topic `feature-tiles` into the online store, in the order of each tile's own writes.

`python -m lamina.streams.sink`. How far the topic has been moved is kept in the store itself, behind the tiles: a store
that was restarted with less than it had acknowledged, or with nothing, is filled again from where it says. Kafka's
committed offsets are for whoever looks at the group. Whatever dies, the next start repeats some writes, and a repeated
write changes nothing. A store that does not answer stops the sink, it never makes it skip.
"""

from __future__ import annotations

import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lamina import entry
from lamina.clock import system_clock
from lamina.contracts.topics import FEATURE_TILES
from lamina.errors import LaminaError, StoreUnavailable, StreamError, TopicChanged, WritesLost
from lamina.settings import load_settings
from lamina.store.protocol import OnlineStore, WriteSequence
from lamina.store.staleness import stream_watermark
from lamina.streams import dead_letters
from lamina.streams.batch import is_data, make_batch
from lamina.streams.identity import identity_of
from lamina.streams.sink_metrics import NoMetrics, SinkMetrics, waiting
from lamina.streams.tile_traces import TellTiles, tracing, untold

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0
KAFKA_TIMEOUT_S = 30.0
GROUP = "lamina-sink"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SinkOptions:
    """How the sink works. A batch ends after `batch_messages` or `batch_ms`, whichever comes first.

    give_up_s: how long a store may stay silent before the sink ends with an error, to be started again by its
    supervisor; less than Kafka's `max.poll.interval.ms` of five minutes. commit_every_s: offsets are noted at least
    this far apart, also when nothing arrives: so long it takes to see that the store lost something. from_start: read
    each partition from its beginning, whatever the store says.
    """

    bootstrap: str
    topic_prefix: str = ""
    group_id: str = GROUP
    batch_messages: int = 2000
    batch_ms: int = 20
    give_up_s: float = 120.0
    commit_every_s: float = 0.5
    from_start: bool = False
    until_now: bool = False

    @property
    def topic(self) -> str:
        """The real name of the topic."""
        return self.topic_prefix + FEATURE_TILES


class TileSink:
    """Moves tiles until `stop` is called. `run` is everything; the rest is its steps."""

    def __init__(self, options: SinkOptions, store: OnlineStore, metrics: NoMetrics | None = None) -> None:
        self._options, self._store, self._metrics = options, store, metrics or NoMetrics()
        self.tell: TellTiles = untold
        self._stopped = False
        self._log, self._topic_id = "", ""
        self._sequence = WriteSequence(uuid.uuid4().hex, 0)
        self._written: dict[int, int] = {}
        self._newest_ms: dict[str, int] = {}
        self._replayed: set[int] = set()
        self._settled_at = 0.0

    def stop(self) -> None:
        """Finish the batch in hand, commit, and return from `run`; may be called from a signal handler."""
        self._stopped = True

    def run(self) -> None:
        """Move tiles.

        Raises: StoreUnavailable: when the store did not answer for `give_up_s`; TopicChanged: when the topic is not the
        one that the store was filled from; StreamError: when Kafka fails for good.
        What the store does not know of is read again by the next run.
        """
        from confluent_kafka import KafkaException

        consumer = self._consumer()
        try:
            cluster = consumer.list_topics(self._options.topic, KAFKA_TIMEOUT_S)
            # Another cluster's topic of this name is another log.
            self._log = f"{cluster.cluster_id}:{self._options.topic}"
            self._topic_id = identity_of(self._options.bootstrap, self._options.topic).topic_id
            ends = self._ends(consumer) if self._options.until_now else {}
            while not self._stopped:
                try:
                    self._step(consumer)
                except WritesLost:
                    self._rewind(consumer)
                if self._options.until_now and all(
                    self._written.get(p, begin) >= end for p, (begin, end) in ends.items()
                ):
                    break
            self._commit_offsets(consumer, now=True)
        except KafkaException as error:
            raise StreamError(f"{self._options.topic} on {self._options.bootstrap} cannot be read: {error}") from error
        finally:
            consumer.close()

    def _step(self, consumer: Consumer) -> None:
        messages = consumer.consume(self._options.batch_messages, self._options.batch_ms / 1000)
        if messages:
            self._move([m for m in messages if m.error() is None or is_data(m)])
        self._commit_offsets(consumer)

    def _consumer(self) -> Consumer:
        from confluent_kafka import Consumer

        def revoked(client: Consumer, partitions: list[TopicPartition]) -> None:
            try:
                self._commit_offsets(client, now=True)
            except (StoreUnavailable, WritesLost):
                pass  # whoever takes the partitions over begins where the store says
            for place in partitions:
                self._written.pop(place.partition, None)

        consumer = Consumer(
            {
                "bootstrap.servers": self._options.bootstrap,
                "group.id": self._options.topic_prefix + self._options.group_id,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 65536,
            }
        )
        consumer.subscribe([self._options.topic], on_assign=self._assign, on_revoke=revoked)
        return consumer

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Read `partitions` from where the store says, one it does not know from its beginning."""
        from confluent_kafka import OFFSET_BEGINNING

        known = self._known(consumer, [place.partition for place in partitions])
        for place in partitions:
            if self._options.from_start and place.partition not in self._replayed:
                known.pop(place.partition, None)
            place.offset = known.get(place.partition, OFFSET_BEGINNING)
        self._replayed.update(place.partition for place in partitions)
        # Noted again and again even if nothing arrives, so that a loss is seen.
        self._written = known
        consumer.assign(partitions)

    def _known(self, consumer: Consumer, partitions: Iterable[int]) -> dict[int, int]:
        """Offsets up to which the store holds these partitions, where they exist; begins a sequence of writes."""
        self._require_same_topic()
        known = dict(self._until_done(lambda: self._store.begin(self._log, self._sequence.writer)))
        self._sequence = WriteSequence(self._sequence.writer, 0)
        found = {}
        for p in partitions:
            if p in known:
                low, high = self._span(consumer, p)
                # Outside of these: the topic was made anew.
                if low <= known[p] <= high:
                    found[p] = known[p]
        return found

    def _require_same_topic(self) -> None:
        """Refuse a topic that was made anew: what the store says of the old one's offsets means nothing in it.

        Reading from the start takes the new one for what it is.
        """
        anew = self._options.from_start
        noted = self._until_done(lambda: self._store.identify(self._log, self._topic_id, anew=anew))
        if noted != self._topic_id:
            raise TopicChanged(
                f"{self._options.topic} was made anew: Redis was filled from the topic with id {noted}, and it has "
                f"id {self._topic_id} now. `lamina features rebuild` reads it from its beginning; then start the sink"
            )

    def _span(self, consumer: Consumer, partition: int) -> tuple[int, int]:
        """First offset of a partition and the one after its last; a leader that is just being chosen is waited for."""
        from confluent_kafka import KafkaException, TopicPartition

        deadline = time.monotonic() + KAFKA_TIMEOUT_S
        while True:
            try:
                low, high = consumer.get_watermark_offsets(
                    TopicPartition(self._options.topic, partition), KAFKA_TIMEOUT_S
                )
                return low, high
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise StreamError(
                        f"{self._options.topic} has no offsets for partition {partition}: {error}"
                    ) from None
            time.sleep(FIRST_WAIT_S)

    def _rewind(self, consumer: Consumer) -> None:
        """Go back to where the store says, as it lost what stood behind."""
        self._metrics.rewound()
        self._assign(consumer, consumer.assignment())

    def _ends(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        """Where reading begins in each partition, and where it ended just now."""
        topic = self._options.topic
        partitions = list(consumer.list_topics(topic, KAFKA_TIMEOUT_S).topics[topic].partitions)
        known = {} if self._options.from_start else self._known(consumer, partitions)
        spans = {p: self._span(consumer, p) for p in partitions}
        return {p: (known.get(p, low), high) for p, (low, high) in spans.items()}

    def _move(self, messages: list[Message]) -> None:
        batch = make_batch(messages, system_clock())
        begun = time.perf_counter()
        applied = 0
        if batch.tiles:
            sequence = self._sequence.next()
            applied = self._until_done(lambda: self._store.write_tiles(batch.tiles, sequence))
            self._sequence = sequence
            self.tell(batch, system_clock())
        if batch.broken:
            dead_letters.write(self._options.bootstrap, self._options.topic_prefix, batch.broken)
        self._written.update(batch.offsets)
        for source, newest_ms in batch.newest_ms.items():
            self._newest_ms[source] = max(newest_ms, self._newest_ms.get(source, 0))
        self._metrics.moved(
            messages=len(messages),
            written=applied,
            left_out=len(batch.tiles) - applied,
            broken=len(batch.broken),
            seconds=time.perf_counter() - begun,
            late=batch.late,
            oldest_s=_age_s(batch.oldest_ms),
            newest_event_s=_age_s(batch.newest_event_ms),
        )

    def _until_done(self, write: Callable[[], T]) -> T:
        deadline, wait = time.monotonic() + self._options.give_up_s, FIRST_WAIT_S
        while True:
            try:
                return write()
            except StoreUnavailable:
                self._metrics.refused()
                if self._stopped or time.monotonic() > deadline:
                    raise
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    def _commit_offsets(self, consumer: Consumer, *, now: bool = False) -> None:
        """Note in the store how far it is filled, and commit the same to Kafka."""
        from confluent_kafka import KafkaException, TopicPartition

        if not self._written or not (now or time.monotonic() - self._settled_at >= self._options.commit_every_s):
            return
        written, newest_ms = dict(self._written), self._newest_ms
        self._newest_ms = {}

        def note() -> None:
            self._store.commit_offsets(self._log, self._sequence, written)
            for source, ms in newest_ms.items():
                self._store.advance_watermark(stream_watermark(source), ms)

        if now:
            note()
        else:
            self._until_done(note)
        self._settled_at = time.monotonic()
        offsets = [TopicPartition(self._options.topic, p, offset) for p, offset in written.items()]
        try:
            if now:
                consumer.commit(offsets=offsets, asynchronous=False)
            else:
                consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException:
            self._metrics.uncommitted()  # the store knows
        self._metrics.lag(waiting(consumer, self._options.topic, written))


def _age_s(at_ms: int | None) -> float | None:
    return None if at_ms is None else (system_clock() - at_ms) / 1000


def main(
    metrics_port: Annotated[
        int, typer.Option(help="Port for Prometheus, on LAMINA_METRICS_HOST; 0: none.", min=0, max=65535)
    ] = 0,
    from_start: Annotated[bool, typer.Option(help="Read the whole topic again: rebuilds an empty store.")] = False,
    until_now: Annotated[bool, typer.Option(help="End at the tiles that are there now.")] = False,
    batch_messages: Annotated[int, typer.Option(min=1)] = 2000,
    batch_ms: Annotated[int, typer.Option(min=1, help="Longest time a tile waits for others.")] = 20,
    give_up_s: Annotated[float, typer.Option(min=1, max=240, help="End when the store is silent this long.")] = 120.0,
) -> None:
    """Move tiles from Kafka to Redis until told to stop (SIGTERM or SIGINT)."""
    from lamina.rollout.watched import topic_collector
    from lamina.streams.store import store_for_tiles

    settings = load_settings()
    options = SinkOptions(
        bootstrap=settings.kafka_bootstrap,
        topic_prefix=settings.topic_prefix,
        batch_messages=batch_messages,
        batch_ms=batch_ms,
        give_up_s=give_up_s,
        from_start=from_start,
        until_now=until_now,
    )
    metrics = SinkMetrics(metrics_port, settings.metrics_host, [topic_collector(settings)]) if metrics_port else None
    sink = TileSink(options, store_for_tiles(settings), metrics)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sink.stop())
    try:
        with tracing(settings) as sink.tell:
            sink.run()
    except LaminaError as error:
        sys.stderr.write(f"sink: {error}\n")
        raise typer.Exit(1) from error


if __name__ == "__main__":
    entry.run(lambda: typer.run(main))
