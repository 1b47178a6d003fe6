"""The last stage: what happened is written to the journal, and from there to Kafka. Never makes a request wait.

`publish` is hot path: an append to a file, then a hand-over to librdkafka's bounded queue. One thread of its own takes
the acknowledgements. Kafka's queue is a window on the journal: when it is full, because Kafka is away, events are only
journaled, and the thread hands them over later, in their order; a key's events never overtake each other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Counter

from lamina.errors import StreamError
from lamina.monitoring import metrics
from lamina.streams.topics import create_topics
from serving.stages.journal import Journal, JournaledEvent, Place

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

QUEUE_EVENTS = 20_000
LINGER_MS = 25
"""Nobody waits for it, and a request to the broker costs as much as many events in it."""
POLL_S = 0.05
CHECK_EVERY_S = 1.0
PROBE_TIMEOUT_S = 2.0


class Outgoing(NamedTuple):
    """An event to publish: its topic, without the prefix, its key and its JSON."""

    topic: str
    key: str
    value: bytes


class _Sent:
    """An event that librdkafka has: where it ends in the journal, and whether Kafka has it too."""

    __slots__ = ("done", "log", "place")

    def __init__(self, log: EventLog, place: Place) -> None:
        self.log, self.place, self.done = log, place, False

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Take what became of it."""
        self.log._delivered(self, error, message)


class EventLog:
    """Publishes events, at least once, each key's in order. The constructor opens nothing; `start` does.

    Args: bootstrap: Kafka's addresses; topic_prefix: put before every topic; journal: where events wait for Kafka.
    """

    def __init__(self, bootstrap: str, topic_prefix: str, journal: Journal) -> None:
        self._bootstrap = bootstrap
        self._prefix = topic_prefix
        self._journal = journal
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._sent: deque[_Sent] = deque()
        self._handed_over = Place(0, 0)
        self._direct = False
        self._failed = False
        self._stopping = threading.Event()
        self._has_topics = False
        self._checked_at = 0.0
        self._counters: dict[str, Counter] = {}
        self.problem: str | None = "not started"

    def start(self) -> None:
        """Begin to deliver; what an earlier process could not deliver goes first.

        Raises: JournalTaken: when another process has the journal.
        """
        self._journal.open()
        self._handed_over = self._journal.acknowledged
        self._producer = self._make_producer()
        self.problem = None
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Send `value` to `topic`; it is delivered in the end, whatever dies after this returns."""
        self.publish_all([Outgoing(topic, key, value)])

    def publish_all(self, outgoing: Sequence[Outgoing]) -> None:
        """Send all of these, in their order, for the price of one write to the journal."""
        prefix = self._prefix
        events = [JournaledEvent(prefix + topic, key.encode(), value) for topic, key, value in outgoing]
        with self._turn:
            places = self._journal.append(events)
            for event, place in zip(events, places, strict=True):
                if self._direct:
                    self._direct = self._hand_over(event, place)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Deliver what is queued; what Kafka has not taken after `timeout_s` waits for the next start."""
        if self._producer is None or self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        if self.problem is None:
            self._producer.flush(timeout_s)
            self._settle()
        self._producer = None
        self._journal.close()

    @property
    def waiting_bytes(self) -> int:
        """Size of the events that Kafka has not acknowledged."""
        return self._journal.waiting_bytes

    def _make_producer(self) -> Producer:
        from confluent_kafka import Producer

        return Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": LINGER_MS,
                # For ever: an event that was given up would have to go again, behind those that followed it.
                "delivery.timeout.ms": 0,
                "queue.buffering.max.messages": QUEUE_EVENTS,
                # The partitioner of Java clients and so of Flink: a key has one partition whoever writes it.
                "partitioner": "murmur2_random",
                "error_cb": self._on_error,
                "reconnect.backoff.max.ms": 1_000,
                # What it says while Kafka is away, many times a second, `_on_error` says once.
                "log_level": 2,
            }
        )

    def _hand_over(self, event: JournaledEvent, place: Place) -> bool:
        """Whether librdkafka took the event."""
        from confluent_kafka import KafkaException

        sent = _Sent(self, place)
        try:
            self._producer.produce(  # type: ignore[union-attr]
                event.topic, event.value, event.key, on_delivery=sent.delivered
            )
        except (BufferError, KafkaException):
            return False
        self._sent.append(sent)
        self._handed_over = place
        return True

    def _delivered(self, sent: _Sent, error: KafkaError | None, message: Message) -> None:
        if error is None:
            sent.done = True
            topic = message.topic() or ""
            counter = self._counters.get(topic)
            if counter is None:
                counter = metrics.EVENTS_DELIVERED.labels(topic.removeprefix(self._prefix))
                self._counters[topic] = counter
            counter.inc()
        else:
            self._failed = True
            self._trouble(error.str())

    def _on_error(self, error: KafkaError) -> None:
        from confluent_kafka import KafkaError as Kinds

        self._failed = self._failed or error.fatal()
        if error.fatal() or error.code() == Kinds._ALL_BROKERS_DOWN:
            self._trouble(error.str())

    def _trouble(self, reason: str) -> None:
        if self.problem is None:
            log.error("Kafka at %s does not take events (%s): they wait in the journal", self._bootstrap, reason)
        self.problem = reason

    def _run(self) -> None:
        # Acknowledgements are taken many at once: each turn that this thread has, requests wait for theirs.
        while not self._stopping.wait(POLL_S):
            try:
                self._step()
            except Exception:
                # Whatever it is, the journal has the events, and the next step goes on from there.
                log.exception("the event log failed")
                self._stopping.wait(CHECK_EVERY_S)

    def _step(self) -> None:
        assert self._producer is not None, "started"
        self._producer.poll(0)
        self._settle()
        if self._failed:
            self._begin_again()
        due = time.monotonic() - self._checked_at >= CHECK_EVERY_S
        if due:
            self._checked_at = time.monotonic()
            metrics.JOURNAL_BYTES.set(self._journal.waiting_bytes)
        if due and (self.problem is not None or not self._direct) and self._answers():
            if self.problem is not None:
                log.info("Kafka at %s is back", self._bootstrap)
            self.problem = None
        if not self._direct and self.problem is None and self._has_topics:
            self._catch_up()

    def _settle(self) -> None:
        """Forget, in order, what Kafka has."""
        last: Place | None = None
        while self._sent and self._sent[0].done:
            last = self._sent.popleft().place
        if last is not None:
            self._journal.acknowledge(last)

    def _begin_again(self) -> None:
        """A producer that failed on an event is replaced, and everything that Kafka may not have goes once more."""
        assert self._producer is not None, "started"
        with self._turn:
            self._direct = False
        self._producer.purge()
        self._producer.flush(1.0)
        self._settle()
        self._sent.clear()
        self._handed_over = self._journal.acknowledged
        self._producer = self._make_producer()
        self._failed = False

    def _answers(self) -> bool:
        """Whether Kafka answers and has every topic."""
        from confluent_kafka import KafkaException

        try:
            self._producer.list_topics(timeout=PROBE_TIMEOUT_S)  # type: ignore[union-attr]
            if not self._has_topics:
                create_topics(self._bootstrap, self._prefix)
                self._has_topics = True
        except (KafkaException, StreamError) as error:
            self._trouble(str(error))
            return False
        return True

    def _catch_up(self) -> None:
        """Hand over what is only in the journal, oldest first; at its end requests hand over by themselves again."""
        for event, place in self._journal.read(self._handed_over):
            while not self._hand_over(event, place):
                self._producer.poll(POLL_S)  # type: ignore[union-attr]
                self._settle()
                if self._failed or self._stopping.is_set():
                    return
            metrics.EVENTS_REPLAYED.labels(event.topic.removeprefix(self._prefix)).inc()
        with self._turn:
            # What was written since, with requests waiting: a moment.
            self._direct = all(self._hand_over(event, place) for event, place in self._journal.read(self._handed_over))
