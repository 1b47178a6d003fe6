"""What the sink reports about itself to Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import Consumer
    from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
AGES = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0)


class NoMetrics:
    """The interface of `SinkMetrics`; keeps nothing."""

    def moved(
        self,
        *,
        messages: int,
        written: int,
        left_out: int,
        broken: int,
        late: int,
        seconds: float,
        oldest_s: float | None,
        newest_event_s: float | None,
    ) -> None:
        """A batch is in the store.

        Args: left_out: tiles of which the store held a newer state; broken: messages for the dead letters; late: tiles
        older than the stream job's memory; seconds: the write took; oldest_s: age of the batch's oldest message, None
        when it held no tile; newest_event_s: age of the newest event, None when no tile tells.
        """

    def refused(self) -> None:
        """The store did not take a batch, which will be tried again."""

    def rewound(self) -> None:
        """The store lost what it had acknowledged; the topic is read again from where it says."""

    def uncommitted(self) -> None:
        """Kafka did not take the offsets, which the store holds anyway."""

    def lag(self, by_partition: Mapping[int, int]) -> None:
        """Messages that wait, by partition."""


class SinkMetrics(NoMetrics):
    """Serves metrics on `port` of the address `host`, in a thread of its own.

    Args: others: what is told beside the sink's own.
    """

    def __init__(self, port: int, host: str, others: Iterable[Collector] = ()) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            ProcessCollector,
            start_http_server,
        )

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        for other in others:
            registry.register(other)
        self._messages = Counter("lamina_sink_messages", "Messages read", registry=registry)
        self._tiles = Counter("lamina_sink_tiles", "Tiles by outcome", ["outcome"], registry=registry)
        self._broken = Counter("lamina_sink_dead_letters", "Messages that were no tile", registry=registry)
        self._refused = Counter("lamina_sink_refused_batches", "Writes to be tried again", registry=registry)
        self._rewound = Counter("lamina_sink_rewinds", "Restarts of a store that had lost writes", registry=registry)
        self._uncommitted = Counter("lamina_sink_uncommitted", "Offsets that Kafka did not take", registry=registry)
        self._seconds = Histogram("lamina_sink_batch_seconds", "Write of a batch", buckets=SECONDS, registry=registry)
        self._age = Histogram(
            "lamina_sink_record_age_seconds",
            "From the stream job's write to Kafka to the store's answer, of the oldest message of each batch",
            buckets=SECONDS,
            registry=registry,
        )
        self._event_age = Histogram(
            "lamina_sink_event_age_seconds",
            "Age of the newest event of each batch when the store has it, to the length of its tile",
            buckets=AGES,
            registry=registry,
        )
        self._late = Counter(
            "lamina_sink_late_tiles",
            "Tiles older than the stream job remembers; the batch layer corrects them",
            registry=registry,
        )
        self._lag = Gauge("lamina_sink_lag_messages", "Messages that wait", ["partition"], registry=registry)
        start_http_server(port, host, registry=registry)

    def moved(
        self,
        *,
        messages: int,
        written: int,
        left_out: int,
        broken: int,
        late: int,
        seconds: float,
        oldest_s: float | None,
        newest_event_s: float | None,
    ) -> None:
        """See `NoMetrics.moved`."""
        self._messages.inc(messages)
        self._tiles.labels("written").inc(written)
        self._tiles.labels("left_out").inc(left_out)
        self._broken.inc(broken)
        self._late.inc(late)
        self._seconds.observe(seconds)
        if oldest_s is not None:
            self._age.observe(max(oldest_s, 0.0))
        if newest_event_s is not None:
            self._event_age.observe(max(newest_event_s, 0.0))

    def refused(self) -> None:
        """See `NoMetrics.refused`."""
        self._refused.inc()

    def rewound(self) -> None:
        """See `NoMetrics.rewound`."""
        self._rewound.inc()

    def uncommitted(self) -> None:
        """See `NoMetrics.uncommitted`."""
        self._uncommitted.inc()

    def lag(self, by_partition: Mapping[int, int]) -> None:
        """See `NoMetrics.lag`."""
        # A partition that another sink has by now would wait here for ever.
        self._lag.clear()
        for partition, messages in by_partition.items():
            self._lag.labels(str(partition)).set(messages)


def waiting(consumer: Consumer, topic: str, written: Mapping[int, int]) -> dict[int, int]:
    """Messages that wait, by partition, as far as the client knows without asking."""
    from confluent_kafka import TopicPartition

    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), cached=True)[1] for p in written}
    return {p: max(ends[p] - offset, 0) for p, offset in written.items()}
