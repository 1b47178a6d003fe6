"""The sink: tiles from topic `feature-tiles` into the online store, in the order of each tile's own writes.

`python -m lamina.streams.sink`. An offset is committed only after the store has acknowledged what stands before it:
whatever dies, the next start repeats some writes, and a repeated write changes nothing. A store that does not answer
stops the sink, it never makes it skip. With `--from-start` an empty store is rebuilt from the topic.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from lamina.clock import system_clock
from lamina.contracts.decisions import DeadLetter
from lamina.contracts.topics import FEATURE_TILES
from lamina.errors import LaminaError, StoreUnavailable, StreamError
from lamina.settings import load_settings
from lamina.store.protocol import OnlineStore, TileWrite
from lamina.streams import dead_letters
from lamina.streams.sink_metrics import NoMetrics, SinkMetrics

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0
KAFKA_TIMEOUT_S = 30.0
GROUP = "lamina-sink"


@dataclass
class Batch:
    """Messages as tiles: of each tile the newest, what could not be read, and each partition's next offset."""

    tiles: list[TileWrite] = field(default_factory=list)
    broken: list[DeadLetter] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)
    oldest_ms: int | None = None


def read_tile(key: bytes | None, payload: bytes) -> TileWrite | str:
    r"""The tile in a message, or a sentence saying why there is none.

    >>> read_tile(b"user:7\ttransactions@1s#ab12cd/1533686400000", b"1\x1f2.5").key
    'user:7'
    >>> read_tile(b"user:7", b"1")
    'key: not <entity>:<id>, a tab and <tiling>/<start>'
    """
    try:
        entity_key, tab, name = (key or b"").decode().partition("\t")
    except UnicodeDecodeError:
        return "key: not UTF-8"
    if not tab or ":" not in entity_key or "/" not in name:
        return "key: not <entity>:<id>, a tab and <tiling>/<start>"
    if not payload.partition(b"\x1f")[0].isdigit():
        return "payload: does not start with an event count"
    return TileWrite(entity_key, name, payload)


def make_batch(messages: Iterable[Message], at_ms: int) -> Batch:
    """What `messages`, in order of arrival, ask to be written; one without a value removes nothing, as tiles expire."""
    batch = Batch()
    newest: dict[bytes | None, TileWrite] = {}
    for message in messages:
        key, payload = message.key(), message.value()
        # Typed as optional for the sake of messages that are errors, which do not come here.
        partition: int = message.partition()  # type: ignore[assignment]
        offset: int = message.offset()  # type: ignore[assignment]
        batch.offsets[partition] = offset + 1
        if payload is None:
            continue
        written_ms = message.timestamp()[1]
        if batch.oldest_ms is None or written_ms < batch.oldest_ms:
            batch.oldest_ms = written_ms
        tile = read_tile(key, payload)
        if isinstance(tile, TileWrite):
            newest[key] = tile
        else:
            batch.broken.append(dead_letters.make_letter(FEATURE_TILES, partition, offset, tile, payload, at_ms))
    batch.tiles = list(newest.values())
    return batch


@dataclass(frozen=True, kw_only=True)
class SinkOptions:
    """How the sink works. A batch ends after `batch_messages` or `batch_ms`, whichever comes first.

    give_up_s: how long a store may stay silent before the sink ends with an error, to be started again by its
    supervisor; less than Kafka's `max.poll.interval.ms` of five minutes. commit_every_s: offsets are committed at least
    this far apart.
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
        self._stopped = False
        self._written: dict[int, int] = {}
        self._committed_at = 0.0

    def stop(self) -> None:
        """Finish the batch in hand, commit, and return from `run`; may be called from a signal handler."""
        self._stopped = True

    def run(self) -> None:
        """Move tiles.

        Raises: StoreUnavailable: when the store did not answer for `give_up_s`; StreamError: when Kafka fails for good.
        What was not committed is read again by the next run.
        """
        from confluent_kafka import KafkaException

        consumer = self._consumer()
        try:
            ends = self._ends(consumer) if self._options.until_now else {}
            while not self._stopped:
                messages = consumer.consume(self._options.batch_messages, self._options.batch_ms / 1000)
                if messages:
                    self._move([m for m in messages if m.error() is None or self._is_data(m)])
                self._commit(consumer)
                if self._options.until_now and all(
                    self._written.get(p, begin) >= end for p, (begin, end) in ends.items()
                ):
                    break
            self._commit(consumer, now=True)
        except KafkaException as error:
            raise StreamError(f"{self._options.topic} on {self._options.bootstrap} cannot be read: {error}") from error
        finally:
            consumer.close()

    def _consumer(self) -> Consumer:
        from confluent_kafka import OFFSET_BEGINNING, Consumer

        def assigned(client: Consumer, partitions: list[TopicPartition]) -> None:
            if self._options.from_start:
                for partition in partitions:
                    partition.offset = self._written.get(partition.partition, OFFSET_BEGINNING)
            client.assign(partitions)

        def revoked(client: Consumer, partitions: list[TopicPartition]) -> None:
            self._commit(client, now=True)
            for partition in partitions:
                self._written.pop(partition.partition, None)

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
        consumer.subscribe([self._options.topic], on_assign=assigned, on_revoke=revoked)
        return consumer

    def _ends(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        """Where reading begins in each partition, and where it ended just now."""
        from confluent_kafka import TopicPartition

        topic = self._options.topic
        places = [
            TopicPartition(topic, p) for p in consumer.list_topics(topic, KAFKA_TIMEOUT_S).topics[topic].partitions
        ]
        begins = (
            {}
            if self._options.from_start
            else {p.partition: p.offset for p in consumer.committed(places, KAFKA_TIMEOUT_S)}
        )
        found = {}
        for place in places:
            low, high = consumer.get_watermark_offsets(place, KAFKA_TIMEOUT_S)
            found[place.partition] = (max(low, begins.get(place.partition, low)), high)
        return found

    def _is_data(self, message: Message) -> bool:
        from confluent_kafka import KafkaError, KafkaException

        error = message.error()
        if error is None:
            return True
        if error.retriable() or error.code() in (KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN):
            return False
        raise KafkaException(error)

    def _move(self, messages: list[Message]) -> None:
        batch = make_batch(messages, system_clock())
        begun = time.perf_counter()
        applied = self._until_done(lambda: self._store.write_tiles(batch.tiles)) if batch.tiles else 0
        if batch.broken:
            dead_letters.write(self._options.bootstrap, self._options.topic_prefix, batch.broken)
        self._written.update(batch.offsets)
        self._metrics.moved(
            messages=len(messages),
            written=applied,
            left_out=len(batch.tiles) - applied,
            broken=len(batch.broken),
            seconds=time.perf_counter() - begun,
            oldest_s=(system_clock() - batch.oldest_ms) / 1000 if batch.oldest_ms is not None else None,
        )

    def _until_done(self, write: Callable[[], int]) -> int:
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

    def _commit(self, consumer: Consumer, *, now: bool = False) -> None:
        from confluent_kafka import TopicPartition

        if not self._written or not (now or time.monotonic() - self._committed_at >= self._options.commit_every_s):
            return
        offsets = [TopicPartition(self._options.topic, p, offset) for p, offset in self._written.items()]
        if now:
            consumer.commit(offsets=offsets, asynchronous=False)
        else:
            consumer.commit(offsets=offsets, asynchronous=True)
        self._committed_at = time.monotonic()
        self._metrics.lag(_lag(consumer, self._options.topic, self._written))


def _lag(consumer: Consumer, topic: str, written: Mapping[int, int]) -> dict[int, int]:
    """Messages that wait, by partition, as far as the client knows without asking."""
    from confluent_kafka import TopicPartition

    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), cached=True)[1] for p in written}
    return {p: max(ends[p] - offset, 0) for p, offset in written.items()}


def main(
    metrics_port: Annotated[int, typer.Option(help="Port for Prometheus; 0 for none.", min=0, max=65535)] = 0,
    from_start: Annotated[bool, typer.Option(help="Read the whole topic again: rebuilds an empty store.")] = False,
    until_now: Annotated[bool, typer.Option(help="End at the tiles that are there now.")] = False,
    batch_messages: Annotated[int, typer.Option(min=1)] = 2000,
    batch_ms: Annotated[int, typer.Option(min=1, help="Longest time a tile waits for others.")] = 20,
    give_up_s: Annotated[float, typer.Option(min=1, max=240, help="End when the store is silent this long.")] = 120.0,
) -> None:
    """Move tiles from Kafka to Redis until told to stop (SIGTERM or SIGINT)."""
    from lamina.store.redis import RedisStore

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
    metrics = SinkMetrics(metrics_port) if metrics_port else None
    sink = TileSink(options, RedisStore(settings.redis_url.get_secret_value()), metrics)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sink.stop())
    try:
        sink.run()
    except LaminaError as error:
        sys.stderr.write(f"sink: {error}\n")
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
