"""What Kafka will never take holds up nothing else: producers at the pace of people, letters, replays."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from kafka import errors

from lamina.catalog import TOPICS
from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.topics import DEAD_LETTERS, LETTER_BYTES
from lamina.contracts.transactions import TRANSACTIONS, Transaction
from lamina.errors import MessageRefused, StreamError
from lamina.streams import dead_letters
from lamina.streams.dead_letters import make_letter
from lamina.streams.produce import EventProducer
from serving.systems.fraud.routes import TRANSACTION


class Client:
    """kafka-python's producer in front of a broker that takes messages up to a size."""

    def __init__(self, largest: int, of_client: int = LETTER_BYTES) -> None:
        self.largest, self.of_client = largest, of_client
        self.has: list[tuple[str, bytes]] = []
        self.error: type[errors.KafkaError] = errors.MessageSizeTooLargeError
        self.late: list[tuple[Any, Exception]] = []
        self.refused: Exception | None = None

    def send(self, topic: str, *, value: bytes, key: bytes | None) -> Client:
        if len(value) > self.of_client:
            raise errors.MessageSizeTooLargeError("longer than max_request_size")
        self.refused = self.error("refused") if len(value) > self.largest else None
        if self.refused is None:
            self.has.append((topic, value))
        return self

    def add_errback(self, told: Any) -> None:
        if self.refused is not None:
            self.late.append((told, self.refused))

    def flush(self) -> None:
        late, self.late = self.late, []
        for told, error in late:
            told(error)

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client(largest=5000)

    def producer(self: EventProducer) -> Client:
        self._client = made
        return made

    monkeypatch.setattr(EventProducer, "_producer", producer)
    return made


def letter(n: int, size: int) -> DeadLetter:
    return make_letter(TRANSACTIONS, 0, n, "is broken", b"x" * size, 1_700_000_000_000)


@pytest.mark.parametrize("by", ["the broker", "the client"])
def test_a_letter_too_large_goes_without_the_bytes_and_holds_up_no_other(client: Client, by: str) -> None:
    if by == "the client":
        client.of_client = 5000
    assert dead_letters.write("nowhere", "p.", [letter(0, 10), letter(1, 9000), letter(2, 10)]) == 3
    found = {DeadLetter.from_json(raw).offset: DeadLetter.from_json(raw) for _, raw in client.has}
    assert {topic for topic, _ in client.has} == {"p." + DEAD_LETTERS}
    assert sorted(found) == [0, 1, 2]
    assert base64.b64decode(found[2].raw) == b"x" * 10
    assert found[1].raw == "" and found[1].reason.startswith("is broken (its 9000 bytes do not fit")


def test_other_failures_are_still_errors(client: Client) -> None:
    client.error = errors.TopicAuthorizationFailedError
    with pytest.raises(StreamError) as error:
        dead_letters.write("nowhere", "", [letter(0, 10), letter(1, 9000)])
    assert not isinstance(error.value, MessageRefused)


def test_flush_says_that_the_others_are_acknowledged(client: Client) -> None:
    with pytest.raises(MessageRefused, match="All others are acknowledged") as error, EventProducer("x") as producer:
        for size in (10, 9000, 9000, 10):
            producer.send_bytes("t", None, b"x" * size)
    assert error.value.count == 2 and len(client.has) == 2
    with pytest.raises(MessageRefused, match="5000001 bytes"), EventProducer("x") as producer:
        producer.send_bytes("t", None, b"x" * 5_000_001)


def test_the_first_failure_is_the_one_named(client: Client) -> None:
    producer = EventProducer("b:1")
    for error in (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.InvalidRecordError):
        client.error = error
        producer.send_bytes("t", None, b"x" * 9000)
    with pytest.raises(MessageRefused, match=r"b:1 refuses 3 messages .* the first: \[Error 10\] MessageSizeTooLarge"):
        producer.flush()
    producer.flush()
    client.error = errors.InvalidTimestampError
    producer.send_bytes("t", None, b"x" * 9000)
    client.error = errors.TopicAuthorizationFailedError
    producer.send_bytes("t", None, b"x" * 9000)
    with pytest.raises(StreamError, match=r"2 messages for b:1 were not acknowledged, the first: .*InvalidTimestamp"):
        producer.flush()


def test_what_is_sent_before_an_exception_is_not_waited_for(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), EventProducer("b:1") as producer:
        producer.send_bytes("t", None, b"x" * 9000)
        raise ZeroDivisionError
    assert client.late


def test_a_broker_that_goes_away_is_an_error(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise errors.KafkaTimeoutError("too slow")

    producer = EventProducer("b:1", "p.")
    producer.send_bytes("t", None, b"x")
    monkeypatch.setattr(client, "flush", fails)
    with pytest.raises(StreamError, match=r"messages for b:1 were not acknowledged: .*too slow"):
        producer.flush()
    monkeypatch.setattr(client, "send", fails)
    with pytest.raises(StreamError, match=r"p\.t on b:1 takes no message: .*too slow"):
        producer.send_bytes("t", None, b"x")


def test_an_event_is_keyed_by_its_user_where_it_has_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[bytes | None] = []

    def send(topic: str, *, value: bytes, key: bytes | None) -> Client:
        keys.append(key)
        return client

    client.refused = None
    monkeypatch.setattr(client, "send", send)
    transaction = Transaction.model_validate(TRANSACTION)
    with EventProducer("b:1") as producer:
        producer.send(TRANSACTIONS, transaction)
        producer.send(DEAD_LETTERS, letter(0, 1))
    assert keys == [transaction.user_id.encode(), None]


def test_a_replay_goes_on_behind_what_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import orjson

    def raw(n: int, padding: int = 0) -> bytes:
        return orjson.dumps(TRANSACTION | {"transaction_id": f"t-{n}"}) + b" " * padding

    found = [make_letter(TRANSACTIONS, 0, n, "was broken", raw(n), 1_700_000_000_000) for n in range(4)]
    monkeypatch.setattr(dead_letters, "read", lambda *_: iter(found))
    client.largest = len(raw(0)) - 60
    report = dead_letters.replay("nowhere", "")
    assert (report.read, report.sent, report.still_dead) == (4, 0, 4)
    client.largest = 5000
    client.of_client = 10
    report = dead_letters.replay("nowhere", "")
    assert (report.read, report.sent, report.still_dead) == (4, 0, 4)
    client.of_client = 5000
    report = dead_letters.replay("nowhere", "")
    assert (report.read, report.sent, report.still_dead) == (4, 4, 0) and len(client.has) == 4


def test_a_letter_fits_where_its_message_did() -> None:
    (topic,) = (topic for topic in TOPICS if topic.name == DEAD_LETTERS)
    largest = letter(0, 2**20)
    assert len(largest.to_json()) < int(topic.config["max.message.bytes"]) == LETTER_BYTES
