"""The event log over a broker of the test's own: nothing is lost, nothing waits behind what Kafka will never take."""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException

from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.topics import DEAD_LETTERS
from lamina.contracts.transactions import TRANSACTIONS
from lamina.monitoring import metrics
from serving.stages import log as logs
from serving.stages.journal import Journal
from serving.stages.log import EventLog, Outgoing
from serving.stages.segments import JournaledEvent

AT_MS = 1_700_000_000_000
Delivered = Callable[[KafkaError | None, object], None]


@dataclass
class Broker:
    """What Kafka has, by topic, and what it refuses: a request with one message that is too large as a whole."""

    has: dict[str, list[bytes]] = field(default_factory=dict)
    largest: dict[str, int] = field(default_factory=dict)
    largest_of_client: int = 10**9
    code: int = KafkaError.MSG_SIZE_TOO_LARGE
    away: bool = False
    producers: int = 0


class Producer:
    """librdkafka's interface, as far as the log uses it; messages of one topic that wait together are one request."""

    def __init__(self, broker: Broker) -> None:
        self.broker, self.queue = broker, deque[tuple[str, bytes, Delivered]]()
        broker.producers += 1

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Delivered) -> None:
        if len(value) > self.broker.largest_of_client:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.queue.append((topic, value, on_delivery))

    def poll(self, seconds: float) -> int:
        if self.broker.away:
            return 0
        waiting, self.queue = list(self.queue), deque()
        for topic in dict.fromkeys(topic for topic, _, _ in waiting):
            request = [(value, told) for name, value, told in waiting if name == topic]
            error = None
            if max(len(value) for value, _ in request) > self.broker.largest.get(topic, 10**9):
                error = KafkaError(self.broker.code)
            else:
                self.broker.has.setdefault(topic, []).extend(value for value, _ in request)
            for _, told in request:
                told(error, Mock(topic=lambda topic=topic: topic))
        return len(waiting)

    def flush(self, seconds: float) -> int:
        return self.poll(seconds)

    def purge(self) -> None:
        waiting, self.queue = self.queue, deque()
        for topic, _, told in waiting:
            told(KafkaError(KafkaError._PURGE_QUEUE), Mock(topic=lambda topic=topic: topic))


class Log(EventLog):
    """The real log on that broker."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        super().__init__("nowhere", "", Journal(folder / "journal"), clock=lambda: AT_MS)
        self.broker, self.made = broker, list[Producer]()

    def _make_producer(self) -> Producer:  # type: ignore[override]
        self.made.append(Producer(self.broker))
        return self.made[-1]

    def _answers(self) -> bool:
        self._has_topics = self._has_topics or not self.broker.away
        return not self.broker.away


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "POLL_S", 0.005)
    monkeypatch.setattr(logs, "CHECK_EVERY_S", 0.02)


@contextmanager
def running(folder: Path, broker: Broker) -> Iterator[Log]:
    log = Log(folder, broker)
    log.start()
    try:
        yield log
    finally:
        log.stop(1)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.005)


def value(n: int, size: int = 20) -> bytes:
    return b"%d:" % n + b"x" * size


def publish(log: EventLog, *values: bytes, topic: str = TRANSACTIONS) -> None:
    log.publish_all([Outgoing(topic, "user-1", each) for each in values])


def dead(topic: str, where: str) -> float:
    return float(metrics.EVENTS_DEAD.labels(topic, where)._value.get())


@pytest.mark.parametrize("by", ["the broker", "the client"])
@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD])
def test_what_kafka_will_never_take_becomes_a_letter_and_the_rest_goes_on(tmp_path: Path, by: str, code: int) -> None:
    broker = Broker(away=True, code=code)
    if by == "the broker":
        broker.largest[TRANSACTIONS] = 1000
    else:
        broker.largest_of_client = 4000
    before = dead(TRANSACTIONS, DEAD_LETTERS)
    huge = value(2, 3500 if by == "the broker" else 5000)
    with running(tmp_path, broker) as log:
        publish(log, value(0), value(1), huge, value(3))
        publish(log, value(4))
        # A letter of a message beyond the client's limit is beyond it as well.
        broker.largest_of_client = 10**9 if by == "the broker" else broker.largest_of_client
        broker.away = False
        until(lambda: log.waiting_bytes == 0)
        publish(log, value(5))
        until(lambda: log.waiting_bytes == 0)
        assert log.problem is None
    seen = list(dict.fromkeys(broker.has[TRANSACTIONS]))
    assert seen == [value(n) for n in (0, 1, 3, 4, 5)], "in order, each at least once"
    kept = tmp_path / "journal" / "undeliverable"
    if by == "the broker":
        (letter,) = {DeadLetter.from_json(raw) for raw in broker.has[DEAD_LETTERS]}
        assert base64.b64decode(letter.raw) == huge
        assert (letter.topic, letter.partition, letter.timestamp) == (TRANSACTIONS, -1, AT_MS)
        assert "Kafka refuses it" in letter.reason
        assert dead(TRANSACTIONS, DEAD_LETTERS) == before + 1
        assert not kept.exists()
    else:
        assert kept.read_bytes() == JournaledEvent(TRANSACTIONS, b"user-1", huge).line


def test_a_letter_that_is_refused_is_kept_in_a_file(tmp_path: Path) -> None:
    broker = Broker(largest={TRANSACTIONS: 1000, DEAD_LETTERS: 1000})
    before = dead(TRANSACTIONS, "undeliverable")
    with running(tmp_path, broker) as log:
        until(lambda: log._direct)
        for n in range(5):
            publish(log, value(n, 3000 if n == 2 else 20))
        until(lambda: log.waiting_bytes == 0)
    assert list(dict.fromkeys(broker.has[TRANSACTIONS])) == [value(n) for n in (0, 1, 3, 4)]
    assert (tmp_path / "journal" / "undeliverable").read_bytes() == b"transactions\tuser-1\t" + value(2, 3000) + b"\n"
    assert dead(TRANSACTIONS, "undeliverable") == before + 1


def test_what_kafka_takes_later_waits_and_is_no_letter(tmp_path: Path) -> None:
    broker = Broker(largest={TRANSACTIONS: 1000}, code=KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with running(tmp_path, broker) as log:
        publish(log, value(0, 3000), value(1))
        until(lambda: broker.producers > 2)
        assert log.waiting_bytes > 0 and DEAD_LETTERS not in broker.has
        broker.largest.clear()
        until(lambda: log.waiting_bytes == 0)
    assert list(dict.fromkeys(broker.has[TRANSACTIONS])) == [value(0, 3000), value(1)]


def test_a_start_sends_what_was_not_acknowledged_and_nothing_else(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal")
    first.open()
    events = [JournaledEvent(TRANSACTIONS, b"user-1", value(n)) for n in range(5)]
    places = [first.append([event])[0] for event in events]
    first.acknowledge(places[2])
    first.close()
    broker = Broker()
    with running(tmp_path, broker) as log:
        until(lambda: log.waiting_bytes == 0)
    assert broker.has[TRANSACTIONS] == [value(3), value(4)]


def test_a_failed_producer_is_replaced_and_everything_it_held_goes_again(tmp_path: Path) -> None:
    broker = Broker()
    with running(tmp_path, broker) as log:
        until(lambda: log._direct)
        broker.away = True
        publish(log, *(value(n) for n in range(10)))
        assert len(log.made[-1].queue) == 10, "handed over at once"
        log._failed = True
        broker.away = False
        until(lambda: log.waiting_bytes == 0)
        assert broker.producers == 2
    assert list(dict.fromkeys(broker.has[TRANSACTIONS])) == [value(n) for n in range(10)]


def test_a_step_that_raises_is_seen_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    before = metrics.BACKGROUND_FAILURES.labels("event log")._value.get()
    with running(tmp_path, broker) as log:
        until(lambda: log._direct)
        with monkeypatch.context() as full:
            full.setattr(log._journal, "_note", Mock(side_effect=OSError(28, "No space left on device")))
            publish(log, value(0))
            until(lambda: "tries again" in (log.problem or ""))
            assert metrics.BACKGROUND_FAILURES.labels("event log")._value.get() > before
            assert log.waiting_bytes > 0
        # Nothing more comes: what was delivered is noted all the same.
        until(lambda: log.waiting_bytes == 0 and log.problem is None)


def test_a_thread_that_ended_is_seen(tmp_path: Path) -> None:
    with running(tmp_path, Broker()) as log:
        thread, log._thread = log._thread, Mock(is_alive=lambda: False)
        said = log.problem
        log._thread = thread
    assert said is not None and "has ended" in said


def test_an_end_that_kafka_holds_up_comes_in_time(tmp_path: Path) -> None:
    log = Log(tmp_path, Broker())
    log.start()
    thread = log._thread
    log._thread = Mock(is_alive=lambda: True, join=time.sleep)
    began = time.monotonic()
    log.stop(0.2)
    assert 0.2 <= time.monotonic() - began < 1
    assert log._journal._file >= 0, "the thread may still use it"
    log._thread = thread
    log.stop(1)
