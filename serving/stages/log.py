"""The last stage: what happened goes to Kafka, or to the spool while Kafka is away. Never makes a request wait.

`publish` is hot path: it hands the event to librdkafka's bounded queue and returns. One thread of its own takes the
acknowledgements, notices that Kafka is away, and replays the spool when it is back.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from lamina.errors import StreamError
from lamina.monitoring import metrics
from lamina.streams.topics import create_topics
from serving.stages.spool import Spool, SpooledEvent

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

QUEUE_EVENTS = 50_000
LINGER_MS = 5
DELIVERY_TIMEOUT_MS = 5_000  # after this an event that was not acknowledged is spooled
POLL_S = 0.1
CHECK_EVERY_POLLS = 20  # 2 s
PROBE_TIMEOUT_S = 2.0
REPLAY_EVENTS = 10_000


class EventLog:
    """Publishes events, at least once. The constructor opens no connection; `start` does.

    Args: bootstrap: Kafka's addresses; topic_prefix: put before every topic; spool: where events wait while Kafka is
    away.
    """

    def __init__(self, bootstrap: str, topic_prefix: str, spool: Spool) -> None:
        self._bootstrap = bootstrap
        self._prefix = topic_prefix
        self._spool = spool
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._away = threading.Event()
        self._fatal = threading.Event()
        self._has_topics = False
        self.problem: str | None = "not started"

    def start(self) -> None:
        """Begin to deliver; events of an earlier run that still wait are replayed first."""
        self._producer = self._make_producer()
        self.problem = None
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Send `value` to `topic`; when Kafka is away it is spooled and sent later."""
        event = SpooledEvent(self._prefix + topic, key.encode(), value)
        if self._away.is_set() or not self._send(event):
            self._keep(event)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Deliver what is queued; what Kafka has not taken after `timeout_s` is in the spool when this returns."""
        if self._producer is None or self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        if self._producer.flush(0 if self._away.is_set() else timeout_s):
            # Purged events come back through the acknowledgement as failed, and so into the spool.
            self._producer.purge()
            self._producer.flush(1.0)
        self._producer = None

    @property
    def waiting_bytes(self) -> int:
        """Size of the events in the spool."""
        return self._spool.waiting_bytes()

    def _make_producer(self) -> Producer:
        from confluent_kafka import Producer

        return Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": LINGER_MS,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "queue.buffering.max.messages": QUEUE_EVENTS,
                # The partitioner of Java clients and so of Flink: a key has one partition whoever writes it.
                "partitioner": "murmur2_random",
                "error_cb": self._on_error,
                "reconnect.backoff.max.ms": 1_000,
                # What it says while Kafka is away, many times a second, `_on_error` says once.
                "log_level": 2,
            }
        )

    def _send(self, event: SpooledEvent) -> bool:
        producer = self._producer
        if producer is None:
            return False
        from confluent_kafka import KafkaException

        try:
            producer.produce(event.topic, event.value, event.key, on_delivery=partial(self._on_delivery, event))
        except (BufferError, KafkaException):
            return False
        return True

    def _keep(self, event: SpooledEvent) -> None:
        self._spool.append(event)
        metrics.EVENTS_SPOOLED.labels(event.topic.removeprefix(self._prefix)).inc()

    def _on_delivery(self, event: SpooledEvent, error: KafkaError | None, _: Message) -> None:
        if error is None:
            metrics.EVENTS_DELIVERED.labels(event.topic.removeprefix(self._prefix)).inc()
            return
        self._keep(event)
        self._went_away(error.str())

    def _on_error(self, error: KafkaError) -> None:
        from confluent_kafka import KafkaError as Kinds

        if error.fatal():
            self._fatal.set()
        if error.fatal() or error.code() == Kinds._ALL_BROKERS_DOWN:
            self._went_away(error.str())

    def _went_away(self, reason: str) -> None:
        if not self._away.is_set():
            self._away.set()
            self.problem = reason
            log.error("Kafka at %s is away (%s): events are spooled until it is back", self._bootstrap, reason)

    def _run(self) -> None:
        polls = 0
        while not self._stopping.is_set():
            if self._producer is not None:
                self._producer.poll(POLL_S)
            if polls % CHECK_EVERY_POLLS == 0:
                self._check()
            polls += 1

    def _check(self) -> None:
        """Come back to Kafka when it answers, and replay what waits."""
        waiting = self._spool.waiting_bytes()
        metrics.SPOOL_BYTES.set(waiting)
        if self._has_topics and not self._away.is_set() and not waiting:
            return
        if not self._answers():
            return
        if self._away.is_set():
            log.info("Kafka at %s is back", self._bootstrap)
        self._away.clear()
        self.problem = None
        for file in self._spool.take():
            events = self._spool.read(file)
            while chunk := list(islice(events, REPLAY_EVENTS)):
                if not self._replay(chunk):
                    return
            self._spool.remove(file)

    def _answers(self) -> bool:
        """Whether Kafka answers and has every topic."""
        from confluent_kafka import KafkaException

        if self._fatal.is_set() and self._producer is not None:
            # An idempotent producer does not recover from a fatal error. What it still holds goes to the spool.
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = self._make_producer()
            self._fatal.clear()
        if self._producer is None:
            return False
        try:
            self._producer.list_topics(timeout=PROBE_TIMEOUT_S)
            if not self._has_topics:
                create_topics(self._bootstrap, self._prefix)
                self._has_topics = True
        except (KafkaException, StreamError) as error:
            self._went_away(str(error))
            return False
        return True

    def _replay(self, events: list[SpooledEvent]) -> bool:
        """Whether Kafka acknowledged every one of `events`."""
        from confluent_kafka import KafkaException

        producer = self._producer
        if producer is None:
            return False
        taken = 0

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            nonlocal taken
            taken += error is None

        for event in events:
            while True:
                try:
                    producer.produce(event.topic, event.value, event.key, on_delivery=on_delivery)
                    break
                except BufferError:
                    producer.poll(POLL_S)
                except KafkaException as error:
                    self._went_away(str(error))
                    return False
        producer.flush(2 * DELIVERY_TIMEOUT_MS / 1000)
        if taken < len(events):
            self._went_away(f"took {taken} of {len(events)} spooled events")
            return False
        for event in events:
            metrics.EVENTS_REPLAYED.labels(event.topic.removeprefix(self._prefix)).inc()
        log.info("replayed %d events", taken)
        return True
