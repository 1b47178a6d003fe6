"""The event log looks for Kafka: topics are made once it answers, and what is wrong is said until it is right."""

from __future__ import annotations

import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException

from lamina.contracts.topics import DEAD_LETTERS, LETTER_BYTES
from lamina.contracts.transactions import TRANSACTIONS
from lamina.errors import StreamError
from lamina.monitoring import metrics
from serving.stages import log as logs
from serving.stages.journal import Journal
from serving.stages.log import PROBE_TIMEOUT_S, EventLog
from serving.stages.segments import JournaledEvent
from tests.unit.serving.stages.test_log import Broker, Delivered, Log, Producer, publish, running, until, value


class Kafka(Producer):
    """Whose list of topics may be asked for."""

    def list_topics(self, timeout: float) -> None:
        assert timeout == PROBE_TIMEOUT_S
        if self.broker.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


class Asking(Log):
    """The real log, which asks for topics."""

    _answers = logs.EventLog._answers

    def _make_producer(self) -> Producer:  # type: ignore[override]
        return Kafka(self.broker)


@pytest.fixture
def log(tmp_path: Path) -> Asking:
    found = Asking(tmp_path, Broker(away=True))
    found._producer = found._make_producer()  # type: ignore[assignment]
    found._problem = None
    return found


def test_topics_are_made_once_when_kafka_is_there(log: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []
    monkeypatch.setattr(logs, "create_topics", lambda bootstrap, prefix: made.append((bootstrap, prefix)))
    assert not log._answers() and made == []
    assert "Broker transport failure" in (log.problem or "")
    log.broker.away = False
    assert log._answers() and log._answers()
    assert made == [("nowhere", "")]


def test_topics_that_cannot_be_made_are_tried_again(log: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    log.broker.away = False

    def refuses(bootstrap: str, prefix: str) -> None:
        raise StreamError("no rights")

    with monkeypatch.context() as refused:
        refused.setattr(logs, "create_topics", refuses)
        for _ in range(2):
            assert not log._answers() and log.problem == "no rights" and not log._has_topics
    monkeypatch.setattr(logs, "create_topics", lambda bootstrap, prefix: None)
    assert log._answers() and log._has_topics


def test_an_end_without_a_start_and_a_second_end_are_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path, Broker())
    log.stop()
    log.start()
    log.stop(1)
    log.stop(1)
    assert log.problem is None


def test_the_journal_is_looked_at_once_a_second(log: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    log._journal.open()
    publish(log, value(0))
    monkeypatch.setattr(log._journal, "check", Mock())
    looks: list[float] = []
    for now in (5_000.0, 5_000.9, 5_000.99, 5_001.0, 5_001.5, 5_002.0):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        if log._watch():
            looks.append(now)
    assert looks == [5_000.0, 5_001.0, 5_002.0]
    assert log._journal.check.call_count == 3  # type: ignore[attr-defined]
    assert metrics.JOURNAL_BYTES._value.get() == log.waiting_bytes > 0
    log._journal.close()


@pytest.mark.parametrize("too_many", [False, True])
def test_what_waits_is_recalled_unless_it_is_very_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_many: bool
) -> None:
    left = Journal(tmp_path / "journal")
    left.open()
    left.append([JournaledEvent(TRANSACTIONS, b"user-1", value(n)) for n in range(2)])
    left.close()
    monkeypatch.setattr(Journal, "waiting_bytes", property(lambda self: 16 * 2**20 + too_many))
    log, recalled = Log(tmp_path, Broker(away=True)), list[tuple[str, bytes]]()
    log.start(lambda topic, value: recalled.append((topic, value)))
    log.stop(1)
    assert recalled == ([] if too_many else [(TRANSACTIONS, value(0)), (TRANSACTIONS, value(1))])


class FullOnce(Producer):
    """The second one has no room for a letter."""

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Delivered) -> None:
        if topic == DEAD_LETTERS and self.broker.producers == 2:
            raise BufferError
        super().produce(topic, value, key, on_delivery)


def test_a_letter_without_room_goes_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "POLL_S", 0.005)
    monkeypatch.setattr(logs, "CHECK_EVERY_S", 0.02)
    monkeypatch.setattr(Log, "_make_producer", lambda self: FullOnce(self.broker))
    broker = Broker(largest={TRANSACTIONS: 1000})
    failures = metrics.BACKGROUND_FAILURES.labels("event log")._value.get()
    with running(tmp_path, broker) as log:
        publish(log, value(0, 3000), value(1))
        until(lambda: log.waiting_bytes == 0)
    assert list(dict.fromkeys(broker.has[TRANSACTIONS])) == [value(1)]
    assert len(set(broker.has[DEAD_LETTERS])) == 1 and broker.producers > 2
    assert metrics.BACKGROUND_FAILURES.labels("event log")._value.get() == failures


def test_an_end_gives_kafka_what_is_left_of_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Producer, "flush", lambda self, seconds: waited.append(seconds))
    for given_s in (5.0, 0.0):
        log = Log(tmp_path / str(given_s), Broker())
        log.start()
        until(lambda log=log: log._direct)  # type: ignore[misc]
        thread, log._thread = log._thread, Mock(is_alive=lambda: False, join=lambda timeout: None)
        log.stop(given_s)
        assert thread is not None
        thread.join(10)
    long, short = waited
    assert 0.1 < long <= 5 and short == 0.1


def test_an_order_of_events_is_kept_for_ever_by_any_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kafka's client is asked for: none overtakes, none is given up, and a key has the partition of Java's."""
    asked: dict[str, object] = {}
    monkeypatch.setattr("confluent_kafka.Producer", asked.update)
    EventLog("nowhere", "", Journal(tmp_path))._make_producer()
    promised = {"enable.idempotence": True, "delivery.timeout.ms": 0, "partitioner": "murmur2_random"}
    assert promised.items() <= asked.items()
    assert asked["message.max.bytes"] == LETTER_BYTES and asked["bootstrap.servers"] == "nowhere"


@pytest.mark.parametrize(
    ("error", "said", "failed"),
    [
        (KafkaError(KafkaError._TRANSPORT, "one is gone"), None, False),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN, "all are gone"), "all are gone", False),
        (KafkaError(KafkaError._FATAL, "for good", fatal=True), "for good", True),
    ],
)
def test_only_what_keeps_events_from_kafka_is_a_problem(
    log: Asking, error: KafkaError, said: str | None, failed: bool
) -> None:
    log._on_error(error)
    assert (log.problem, log._failed) == (said, failed)
    log._on_error(KafkaError(KafkaError._TRANSPORT, "one is gone"))
    assert log._failed is failed, "what has failed is not well by itself"


def test_what_kafka_will_never_take_waits_until_it_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "POLL_S", 0.005)
    monkeypatch.setattr(logs, "CHECK_EVERY_S", 0.02)
    broker = Broker(largest={TRANSACTIONS: 1000, DEAD_LETTERS: 1000})
    full = Mock(side_effect=OSError(28, "No space left on device"))
    with running(tmp_path, broker) as log:
        with monkeypatch.context() as without:
            without.setattr(log._journal, "keep_undeliverable", full)
            publish(log, value(0, 3000), value(1))
            until(lambda: full.call_count > 1)
            assert log.waiting_bytes > 0
        until(lambda: log.waiting_bytes == 0)
    kept = (tmp_path / "journal" / "undeliverable").read_bytes()
    assert value(0, 3000) in kept and broker.has[TRANSACTIONS][-1] == value(1)
