"""The last stage: what happened is written to the journal, and from there to Kafka. Never makes a request wait.

`publish` is hot path: an append to a file, then a hand-over to librdkafka's bounded queue. One thread of its own takes
the acknowledgements. Kafka's queue is a window on the journal: when it is full, because Kafka is away, events are only
journaled, and the thread hands them over later, in their order; a key's events never overtake each other.

An event that Kafka will never take (it is too large, or the broker finds it invalid) would hold up all behind it: it
becomes a dead letter, with its bytes and the reason, and the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lamina.clock import Clock, system_clock
from lamina.contracts.topics import DEAD_LETTERS
from lamina.errors import StreamError
from lamina.monitoring import metrics
from lamina.streams.refusals import is_final, is_purge, letter_of_unsent
from lamina.streams.topics import create_topics
from serving.stages.delivery import Sent, delivered_to, make_producer, send_event, send_letter
from serving.stages.journal import Journal, Place
from serving.stages.segments import UNDELIVERABLE, JournaledEvent
from serving.stages.trace import header

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

POLL_S = 0.05
CHECK_EVERY_S = 1.0
PROBE_TIMEOUT_S = 2.0
RECALLED_BYTES = 16 * 1024 * 1024
"""As much as waits where a process was killed between an answer and Kafka; more waits where Kafka is away."""


class Outgoing(NamedTuple):
    """An event to publish: its topic, without the prefix, its key, its JSON and the trace that it carries, if any."""

    topic: str
    key: str
    value: bytes
    trace: bytes = b""


class EventLog:
    """Publishes events, at least once, each key's in order. The constructor opens nothing; `start` does.

    Args: bootstrap: Kafka's addresses; topic_prefix: put before every topic; journal: where events wait for Kafka;
    clock: epoch milliseconds, for dead letters.
    """

    def __init__(self, bootstrap: str, topic_prefix: str, journal: Journal, clock: Clock = system_clock) -> None:
        self._bootstrap = bootstrap
        self._prefix = topic_prefix
        self._journal = journal
        self._clock = clock
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._sent: deque[Sent] = deque()
        self._settled: Place | None = None
        self._suspects: set[Place] = set()
        self._handed_over = Place(0, 0)
        self._direct = False
        self._failed = False
        self._stopping = threading.Event()
        self._has_topics = False
        self._checked_at = 0.0
        self._problem: str | None = "not started"

    def start(self, recall: Callable[[str, bytes], None] | None = None) -> None:
        """Begin to deliver; what an earlier process could not deliver goes first.

        Args: recall: is given topic, without the prefix, and value of each event of that before anything else, unless
        there are more than `RECALLED_BYTES`.
        Raises: JournalTaken: when another process has the journal.
        """
        self._journal.open()
        self._handed_over = self._journal.acknowledged
        if recall is not None and self._journal.waiting_bytes <= RECALLED_BYTES:
            for event, _ in self._journal.read(self._journal.acknowledged):
                recall(event.topic.removeprefix(self._prefix), event.value)
        self._producer = self._make_producer()
        self._problem = None
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Send `value` to `topic`; it is delivered in the end, whatever dies after this returns."""
        self.publish_all([Outgoing(topic, key, value, header())])

    def publish_all(self, outgoing: Sequence[Outgoing]) -> None:
        """Send all of these, in their order, for the price of one write to the journal."""
        prefix = self._prefix
        events = [JournaledEvent(prefix + topic, key.encode(), value, trace) for topic, key, value, trace in outgoing]
        with self._turn:
            places = self._journal.append(events)
            for event, place in zip(events, places, strict=True):
                if self._direct:
                    self._direct = self._hand_over(event, place)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Deliver what is queued; what Kafka has not taken after `timeout_s` waits for the next start."""
        if self._producer is None or self._thread is None:
            return
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            # It may use the journal still, which the end of the process closes as well.
            log.error("the event log waits for Kafka at %s and is left: events wait in the journal", self._bootstrap)
            return
        try:
            if self.problem is None:
                self._producer.flush(max(0.1, deadline - time.monotonic()))
                self._settle()
        finally:
            self._producer = None
            self._journal.close()

    @property
    def problem(self) -> str | None:
        """What keeps events from Kafka, or None."""
        if self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set():
            return "the thread of the event log has ended: restart the process"
        return self._problem

    @property
    def refusing(self) -> str | None:
        """Why events cannot be written down, so that requests are refused, or None."""
        return self._journal.problem

    @property
    def waiting_bytes(self) -> int:
        """Size of the events that Kafka has not acknowledged."""
        return self._journal.waiting_bytes

    def _make_producer(self) -> Producer:
        return make_producer(self._bootstrap, self._on_error)

    def _hand_over(self, event: JournaledEvent, place: Place, *, alone: bool = False) -> bool:
        """Whether librdkafka took the event, or a letter about it; `alone`: nothing else is under way."""
        from confluent_kafka import KafkaException

        sent = Sent(self._delivered, place, event if alone else None)
        refused: KafkaError | None = None
        try:
            send_event(self._producer, event, sent.delivered)  # type: ignore[arg-type]
        except BufferError:
            return False
        except KafkaException as error:
            refused = error.args[0]
            if not is_final(refused):
                return False
        self._sent.append(sent)
        self._handed_over = place
        if refused is not None:
            sent.event = event
            self._lay_aside(sent, refused.str())
        return True

    def _delivered(self, sent: Sent, error: KafkaError | None, message: Message) -> None:
        if error is None:
            sent.done = True
            delivered_to((message.topic() or "").removeprefix(self._prefix)).inc()
        elif is_final(error) and sent.event is not None:
            self._lay_aside(sent, error.str())
        else:
            self._failed = True
            if is_final(error):
                # One event of those that went together; each of them is tried alone now.
                self._suspects.add(sent.place)
            elif not is_purge(error):
                self._trouble(error.str())

    def _lay_aside(self, sent: Sent, reason: str) -> None:
        """Send a dead letter in the stead of an event that Kafka will never take; what takes none is for a file."""
        event = sent.event
        assert event is not None, "laid aside alone"
        topic = event.topic.removeprefix(self._prefix)
        if not sent.letter:
            sent.letter = True
            log.error("Kafka will never take an event of %s (%s): it becomes a dead letter", topic, reason)
            letter = letter_of_unsent(topic, event.key, event.value, reason, self._clock())
            assert self._producer is not None, "started"
            went = send_letter(self._producer, self._prefix, event.key, letter, sent.delivered)
            if went == "queued":
                metrics.EVENTS_DEAD.labels(topic, DEAD_LETTERS).inc()
                return
            if went == "later":
                self._failed = True
                return
        try:
            file = self._journal.keep_undeliverable(event)
        except OSError as error:
            self._failed = True
            self._trouble(f"an event that Kafka will never take cannot be kept: {error}")
            return
        metrics.EVENTS_DEAD.labels(topic, UNDELIVERABLE).inc()
        log.error("an event of %s is in %s: Kafka takes no letter about it either", topic, file)
        sent.done = True

    def _on_error(self, error: KafkaError) -> None:
        from confluent_kafka import KafkaError as Kinds

        self._failed = self._failed or error.fatal()
        if error.fatal() or error.code() == Kinds._ALL_BROKERS_DOWN:
            self._trouble(error.str())

    def _trouble(self, reason: str) -> None:
        if self._problem is None:
            log.error("Kafka at %s does not take events (%s): they wait in the journal", self._bootstrap, reason)
        self._problem = reason

    def _run(self) -> None:
        # Acknowledgements are taken many at once: each turn that this thread has, requests wait for theirs.
        while not self._stopping.wait(POLL_S):
            try:
                self._step()
            except Exception as error:
                # Whatever it is, the journal has the events, and the next step goes on from there.
                log.exception("the event log failed")
                metrics.BACKGROUND_FAILURES.labels("event log").inc()
                self._problem = f"the event log failed and tries again: {type(error).__name__}"
                self._stopping.wait(CHECK_EVERY_S)

    def _step(self) -> None:
        assert self._producer is not None, "started"
        self._producer.poll(0)
        self._settle()
        if self._failed:
            self._begin_again()
        due = self._watch()
        if due and (self._problem is not None or not self._direct) and self._answers():
            if self._problem is not None:
                log.info("Kafka at %s is back", self._bootstrap)
            self._problem = None
        if not self._direct and self._problem is None and self._has_topics:
            self._catch_up()

    def _watch(self) -> bool:
        """Look at the journal when it is time to; whether it was."""
        if time.monotonic() - self._checked_at < CHECK_EVERY_S:
            return False
        self._checked_at = time.monotonic()
        metrics.JOURNAL_BYTES.set(self._journal.waiting_bytes)
        metrics.JOURNAL_OLDEST.set(self._journal.oldest_s)
        with self._turn:
            self._journal.check()
        return True

    def _settle(self) -> None:
        """Forget, in order, what Kafka has."""
        while self._sent and self._sent[0].done:
            self._settled = self._sent.popleft().place
        if self._settled is not None:
            # Kept until it was noted: a full disk may refuse it now.
            self._journal.acknowledge(self._settled)
            self._settled = None

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
            if place in self._suspects:
                if not self._try_alone(event, place):
                    return
                continue
            while not self._hand_over(event, place):
                self._producer.poll(POLL_S)  # type: ignore[union-attr]
                self._settle()
                self._watch()
                if self._failed or self._stopping.is_set():
                    return
            metrics.EVENTS_REPLAYED.labels(event.topic.removeprefix(self._prefix)).inc()
        with self._turn:
            # What was written since, with requests waiting: a moment.
            self._direct = all(self._hand_over(event, place) for event, place in self._journal.read(self._handed_over))

    def _try_alone(self, event: JournaledEvent, place: Place) -> bool:
        """Send an event with nothing before or behind it, and wait; whether Kafka has it, or a letter about it."""
        if not self._all_delivered() or not self._hand_over(event, place, alone=True) or not self._all_delivered():
            return False
        self._suspects.discard(place)
        return True

    def _all_delivered(self) -> bool:
        while self._sent:
            self._producer.poll(POLL_S)  # type: ignore[union-attr]
            self._settle()
            self._watch()
            if self._failed or self._stopping.is_set():
                return False
        return True
