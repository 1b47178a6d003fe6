"""From the topics of answers into the queue: every answer that waits for a person, once.

Reads what is logged of each answer anyway, so no answer waits for it. Up to where a topic was read is in the same
database, committed with the cases found: a restart goes on there, a database that was restored reads on from what it
knows, an empty one from the topics' beginning. Of two processes each reads some of the partitions.
An answer of which no case can be made, or no label, becomes a dead letter.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from lamina.clock import Clock
from lamina.contracts.cards import starred
from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.served import Served
from lamina.contracts.topics import predictions_of
from lamina.errors import ContractError, StreamError
from lamina.reviews.cases import Answer, NewCase, Reviewing
from lamina.reviews.queue import ReviewQueue
from lamina.streams import dead_letters
from lamina.streams.batch import is_data
from lamina.streams.identity import identity_of
from lamina.streams.topics import read_event

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

GROUP = "lamina-reviews"
MESSAGES_AT_ONCE, BATCHES_A_STEP = 500, 20
"""Who catches up with a week of answers does so in steps, between which the process does something else."""
WAIT_S = 0.2
"""How long a step waits for a message."""
NEWEST = 200
"""Answers that are kept for who looks, of each system."""
FOUND_S = 2.0
"""Longest wait for a broker: a process that ends waits for the step that it is in."""
NOTE_EVERY_S = 10.0
"""Up to where was read is noted so often where no case was found: whoever starts again reads no more than that anew."""


class Intake:
    """Reads in steps, one at a time. Opens nothing before the first.

    Args: reviewing: by system, how its answers are reviewed; None where none waits for a person.
    """

    def __init__(
        self,
        bootstrap: str,
        topic_prefix: str,
        queue: ReviewQueue,
        reviewing: Mapping[str, Reviewing | None],
        clock: Clock,
    ) -> None:
        self._bootstrap, self._prefix, self._queue, self._clock = bootstrap, topic_prefix, queue, clock
        self._systems = tuple(reviewing)
        self._of_topic = {topic_prefix + predictions_of(system): each for system, each in reviewing.items()}
        self.kept: dict[str, deque[bytes]] = {predictions_of(system): deque(maxlen=NEWEST) for system in reviewing}
        self._turn = threading.Lock()
        self._consumer: Consumer | None = None
        self._logs: dict[str, str] = {}
        self._read: dict[tuple[str, int], int] = {}
        self._lettered: set[tuple[str, int, int]] = set()
        self._noted_s = 0.0

    def step(self) -> int:
        """Read what has come; returns how many cases were opened.

        Raises: StreamError: Kafka does not answer; ReviewsUnavailable: the database does not. Nothing is lost by
        either: the next step reads the same again.
        """
        from confluent_kafka import KafkaException

        with self._turn:
            try:
                consumer = self._consumer or self._subscribed()
                opened = 0
                for _ in range(BATCHES_A_STEP):
                    messages = consumer.consume(MESSAGES_AT_ONCE, WAIT_S)
                    opened += self._take([each for each in messages if each.error() is None or is_data(each)])
                    if len(messages) < MESSAGES_AT_ONCE:
                        break
                self._note([])
                return opened
            except KafkaException as error:
                self._drop()
                raise StreamError(f"answers on {self._bootstrap} cannot be read: {error}") from error
            except BaseException:
                # The consumer is past messages that nobody took.
                self._drop()
                raise

    def newest(self) -> dict[str, list[bytes]]:
        """By system the newest answers that were read, as JSON, the oldest first."""
        return {system: list(self.kept[predictions_of(system)]) for system in self._systems}

    def close(self) -> None:
        """Leave the topics to others."""
        with self._turn:
            self._drop()

    def _subscribed(self) -> Consumer:
        from confluent_kafka import Consumer

        self._logs = {topic: identity_of(self._bootstrap, topic, FOUND_S).topic_id for topic in self._of_topic}
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": self._prefix + GROUP,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 16384,
            }
        )
        self._consumer = consumer
        consumer.subscribe(list(self._of_topic), on_assign=self._assign, on_revoke=self._revoke)
        return consumer

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        from confluent_kafka import OFFSET_BEGINNING

        known = {topic: self._queue.read_up_to(log) for topic, log in self._logs.items()}
        for place in partitions:
            place.offset = known[place.topic].get(place.partition, OFFSET_BEGINNING)
        consumer.assign(partitions)

    def _revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for place in partitions:
            self._read.pop((self._logs[place.topic], place.partition), None)

    def _take(self, messages: list[Message]) -> int:
        cases: list[NewCase] = []
        letters: list[DeadLetter] = []
        for message in messages:
            topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
            raw, reviewing = message.value() or b"", self._of_topic[topic]
            self._read[self._logs[topic], partition] = offset + 1
            name = topic.removeprefix(self._prefix)
            self.kept[name].append(raw)
            # Nearly all answers wait for nobody, and need not be parsed.
            if reviewing is None or b'"%s"' % reviewing.action.encode() not in raw:
                continue
            try:
                case = _case(name, raw, reviewing)
            except Exception as error:
                # Whatever it is: the message would hold up all that come after it.
                if (name, partition, offset) not in self._lettered:
                    reason = _reason(error)
                    letters.append(dead_letters.make_letter(name, partition, offset, reason, raw, self._clock()))
                continue
            if case is not None:
                cases.append(case)
        if letters:
            dead_letters.write(self._bootstrap, self._prefix, letters)
            self._lettered.update((each.topic, each.partition, each.offset) for each in letters)
        return self._note(cases)

    def _note(self, cases: list[NewCase]) -> int:
        now_s = time.monotonic()
        if not cases and (not self._read or now_s - self._noted_s < NOTE_EVERY_S):
            return 0
        read, self._read = self._read, {}
        opened = self._queue.open(cases, read)
        self._noted_s = now_s
        # What was noted is not read again.
        self._lettered.clear()
        return opened

    def _drop(self) -> None:
        consumer, self._consumer, self._read = self._consumer, None, {}
        if consumer is not None:
            consumer.close()


def _case(topic: str, raw: bytes, reviewing: Reviewing) -> NewCase | None:
    served = read_event(topic, raw)
    if getattr(served, "shadow", False) or getattr(served, "action", None) != reviewing.action:
        return None
    assert isinstance(served, Served), "the topic's contract"
    case = reviewing.case(served)
    # A verdict that cannot become its labels would hold up all that are said after it.
    for answer in get_args(Answer):
        reviewing.labels(served, answer, served.timestamp)
    return case


def _reason(error: Exception) -> str:
    if isinstance(error, ContractError):
        return str(error)
    return starred(f"no case can be made of it: {type(error).__name__}: {error}")
