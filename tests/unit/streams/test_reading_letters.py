"""Dead letters as they are read from their topic, and sent again."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message

from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.topics import DEAD_LETTERS
from lamina.contracts.transactions import TRANSACTIONS
from lamina.errors import StreamError
from lamina.streams import dead_letters
from lamina.streams.dead_letters import ReplayReport, make_letter, read, replay
from serving.systems.fraud.routes import TRANSACTION
from tests.unit.streams.fake_kafka import Consumer, Log, Time

AT_MS = 1_700_000_000_000


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.time = Log("p." + DEAD_LETTERS, partitions=3), Time()
        self.consumer = Consumer(self.log, self.time, {})
        monkeypatch.setattr("confluent_kafka.Consumer", self._consumer)
        monkeypatch.setattr(dead_letters, "time", self.time)

    def _consumer(self, options: dict[str, Any]) -> Consumer:
        self.consumer.options = options
        return self.consumer

    def put(self, partition: int, letter: DeadLetter) -> None:
        self.log.put(partition, None, letter.to_json())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def letter(offset: int, topic: str = TRANSACTIONS, at_ms: int = AT_MS, raw: bytes = b"x") -> DeadLetter:
    return make_letter(topic, 0, offset, "is broken", raw, at_ms)


def offsets(**which: Any) -> list[int]:
    return [found.offset for found in read("b:1", "p.", **which)]


@pytest.mark.parametrize("first", [0, 1, 7])
def test_each_partition_is_read_to_its_end(world: World, first: int) -> None:
    world.log.first = first
    for n in range(7):
        world.put(n % 2, letter(n))
    assert sorted(offsets()) == list(range(7))
    assert set(world.consumer.positions) == {0, 1}, "one without messages is not waited for"
    assert world.consumer.closed
    options = world.consumer.options
    assert (options["bootstrap.servers"], options["enable.auto.commit"], options["log_level"]) == ("b:1", False, 0)
    assert options["enable.partition.eof"] is True


def test_an_empty_topic_holds_no_letters(world: World) -> None:
    assert offsets() == []
    assert world.consumer.asked == []


def test_what_comes_after_the_beginning_is_left(world: World) -> None:
    world.put(0, letter(1))
    world.put(0, letter(2))
    found = []
    for each in read("b:1", "p."):
        found.append(each.offset)
        if len(found) < 5:
            world.put(0, letter(10 + len(found)))
    assert found == [1, 2]


def test_the_end_may_be_a_marker_that_is_no_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(0, letter(1))
    world.put(1, letter(2))
    world.consumer.eof = True
    monkeypatch.setattr(world.log, "span", lambda p: (0, 2) if p < 2 else (0, 0))
    assert sorted(offsets()) == [1, 2]


def test_each_place_is_told_once_and_without_prefix(world: World) -> None:
    for topic, offset in (("p.transactions", 1), (TRANSACTIONS, 1), (TRANSACTIONS, 2), ("user-events", 1)):
        world.put(0, letter(offset, topic))
    found = [(each.topic, each.offset) for each in read("b:1", "p.")]
    assert found == [(TRANSACTIONS, 1), (TRANSACTIONS, 2), ("user-events", 1)]


def test_only_letters_of_a_topic_or_a_time_are_given(world: World) -> None:
    for n, topic in enumerate((TRANSACTIONS, "user-events", "p.transactions", "zebra", "a")):
        world.put(0, letter(n, topic, AT_MS + n))
    assert offsets(topic=TRANSACTIONS) == [0, 2]
    assert offsets(since_ms=AT_MS + 2) == [2, 3, 4]
    assert offsets(topic=TRANSACTIONS, since_ms=AT_MS + 1) == [2]
    assert offsets(since_ms=AT_MS + 5) == []


def test_what_is_no_letter_is_named(world: World) -> None:
    world.log.put(0, None, b"{}")
    with pytest.raises(StreamError, match=r"topic p\.dead-letters holds what is no dead letter"):
        offsets()


def test_a_topic_that_is_not_there_is_named(world: World) -> None:
    world.log.error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "unknown")
    with pytest.raises(StreamError, match=r"p\.dead-letters on b:1 cannot be read .*`make up` creates it"):
        offsets()
    assert world.consumer.closed
    world.log.error, world.log.messages = None, {}
    with pytest.raises(StreamError, match="`make up` creates it"):
        offsets()


def test_an_error_among_the_messages_is_raised(world: World) -> None:
    world.put(0, letter(1))
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not for you")
    world.consumer.errors = [Message(topic="t", partition=0, offset=0, error=error)]
    with pytest.raises(StreamError, match=r"cannot be read: .*not for you"):
        offsets()
    assert world.consumer.closed


def test_a_broker_that_cannot_be_asked_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.log.refusals = 1
    world.put(0, letter(1))
    with pytest.raises(StreamError, match=r"p\.dead-letters on b:1 cannot be read: .*no leader"):
        offsets()
    assert world.consumer.closed

    def fails(options: dict[str, Any]) -> None:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "no such option"))

    monkeypatch.setattr("confluent_kafka.Consumer", fails)
    with pytest.raises(StreamError, match="no such option"):
        offsets()


def test_a_broker_that_stops_answering_is_given_up_after_ten_seconds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(0, letter(1))
    monkeypatch.setattr(world.log, "span", lambda p: (0, 2) if p == 0 else (0, 0))
    began_s = world.time.now_s
    with pytest.raises(StreamError, match="stopped answering"):
        offsets()
    assert 10.0 <= world.time.now_s - began_s <= 10.5
    assert {timeout for _, timeout in world.consumer.asked} == {0.2}


def test_one_that_answers_now_and_then_is_not_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.log, "span", lambda p: (0, 3) if p == 0 else (0, 0))
    left = iter(range(1000))

    def empty() -> None:
        if next(left) % 40 == 39:
            world.put(0, letter(len(world.log.messages[0])))

    world.consumer.on_empty = empty
    world.put(0, letter(0))
    assert offsets() == [0, 1, 2]


class Producer:
    """`EventProducer` without a broker."""

    sent: list[tuple[str, bytes | None, bytes]]

    def __init__(self, bootstrap: str, prefix: str, *, one_by_one: bool) -> None:
        assert (bootstrap, prefix, one_by_one) == ("b:1", "p.", True)
        self.sent = Producer.sent = []

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send_bytes(self, topic: str, key: bytes | None, value: bytes) -> None:
        self.sent.append((topic, key, value))


def test_a_replay_counts_what_became_of_each_letter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import orjson

    monkeypatch.setattr(dead_letters, "EventProducer", Producer)
    good = orjson.dumps(TRANSACTION | {"unknown": 1})
    for n, (topic, raw) in enumerate(
        ((TRANSACTIONS, good), (TRANSACTIONS, b"{}"), (TRANSACTIONS, b"{}"), ("nobodys", b"x"), (TRANSACTIONS, good))
    ):
        world.put(0, letter(n, topic, raw=raw))
    report = replay("b:1", "p.")
    assert (report.read, report.sent, report.still_dead, report.unknown) == (5, 2, 2, 1)
    assert sorted(report.reasons.values()) == [1, 2]
    assert any("'nobodys' has no contract" in reason for reason in report.reasons)
    key = str(TRANSACTION["user_id"]).encode()
    assert Producer.sent == [(TRANSACTIONS, key, good)] * 2
    dry = replay("b:1", "p.", dry_run=True)
    assert dry == report and Producer.sent == []
    assert replay("b:1", "p.", TRANSACTIONS, AT_MS + 1) == ReplayReport()
