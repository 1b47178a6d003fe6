"""What is asked of a broker's administration, and what is made of its answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import errors

from lamina.catalog import TOPICS
from lamina.contracts.topics import Topic
from lamina.errors import StreamError
from lamina.streams.identity import TopicIdentity, identity_of
from lamina.streams.topics import OF_TOPIC, create_topics

FIRST, SECOND = Topic("transactions", 4, 1000), Topic("user-events", 2, 2000, compacted=True)


class Admin:
    """kafka-python's administration of a broker with some topics."""

    def __init__(self) -> None:
        self.configs: dict[str, dict[str, str]] = {}
        self.created: dict[str, Any] = {}
        self.awaited: list[str] = []
        self.altered: dict[str, dict[str, str]] = {}
        self.answer = "OK"
        self.closed = 0
        self.failing: Exception | None = None
        self.described: list[dict[str, Any]] = []

    def __call__(self, *, bootstrap_servers: str, bootstrap_timeout_ms: int = 30_000) -> Admin:
        assert bootstrap_servers == "b:1"
        return self

    def list_topics(self) -> list[str]:
        if self.failing is not None:
            raise self.failing
        return list(self.configs)

    def create_topics(self, wanted: dict[str, Any]) -> None:
        self.created |= wanted
        if self.answer == "exists":
            raise errors.TopicAlreadyExistsError("exists")

    def wait_for_topics(self, names: list[str]) -> None:
        self.awaited += names

    def describe_configs(self, asked: list[Any]) -> Any:
        return {
            "topic": {
                each.name: {
                    name: {"value": value, "config_source": OF_TOPIC} for name, value in self.configs[each.name].items()
                }
                for each in asked
            }
        }

    def alter_configs(self, wrong: list[Any]) -> Any:
        self.altered |= {each.name: each.configs for each in wrong}
        return {"topic": {each.name: self.answer.encode().decode() for each in wrong}}

    def describe_cluster(self) -> dict[str, Any]:
        if self.failing is not None:
            raise self.failing
        return {"cluster_id": "c-1"}

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return self.described

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    made = Admin()
    monkeypatch.setattr("kafka.KafkaAdminClient", made)
    return made


def test_topics_that_are_missing_are_created_and_waited_for(admin: Admin) -> None:
    admin.configs["p-user-events"] = dict(SECOND.config)
    assert create_topics("b:1", "p-", [FIRST, SECOND]) == ["p-transactions"]
    wanted = {"num_partitions": 4, "replication_factor": -1, "configs": FIRST.config}
    assert admin.created == {"p-transactions": wanted}
    assert admin.awaited == ["p-transactions"]
    assert (admin.altered, admin.closed) == ({}, 1)


def test_without_more_said_it_is_all_topics_and_copies_as_asked(admin: Admin) -> None:
    assert create_topics("b:1", replication=3) == [topic.name for topic in TOPICS]
    assert {made["replication_factor"] for made in admin.created.values()} == {3}
    with pytest.raises(TypeError):
        create_topics("b:1", "", TOPICS, 3)  # type: ignore[call-arg]


def test_topics_that_are_there_are_not_created_again(admin: Admin) -> None:
    admin.configs = {"transactions": dict(FIRST.config), "user-events": {}}
    assert create_topics("b:1", "", [FIRST, SECOND]) == []
    assert (admin.created, admin.awaited) == ({}, [])
    assert admin.altered == {"user-events": dict(SECOND.config)}


def test_one_that_somebody_else_creates_meanwhile_is_waited_for(admin: Admin) -> None:
    admin.answer = "exists"
    assert create_topics("b:1", "", [FIRST]) == ["transactions"]
    assert admin.awaited == ["transactions"]


def test_settings_that_the_broker_refuses_are_named(admin: Admin) -> None:
    admin.configs, admin.answer = {"transactions": {}}, "POLICY_VIOLATION"
    with pytest.raises(
        StreamError, match=r"keeps the settings .*'transactions': 'POLICY_VIOLATION'.*change them there"
    ):
        create_topics("b:1", "", [FIRST])
    assert admin.closed == 1


@pytest.mark.parametrize("error", [errors.KafkaConnectionError("gone"), OSError("no route")])
def test_a_broker_that_does_not_answer_is_named(admin: Admin, error: Exception) -> None:
    admin.failing = error
    with pytest.raises(StreamError, match="topics cannot be created on b:1"):
        create_topics("b:1", "", [FIRST])
    with pytest.raises(StreamError, match="topic transactions on b:1 cannot be looked up"):
        identity_of("b:1", "transactions")
    assert admin.closed == 2


def found(name: str, topic_id: str, error_code: int = 0) -> dict[str, Any]:
    return {"name": name.encode().decode(), "topic_id": topic_id, "error_code": error_code}


def test_a_topic_is_told_by_its_id_and_its_clusters(admin: Admin) -> None:
    admin.described = [found("a", "id-a"), found("zebra", "id-z"), found("transactions", "id-t")]
    identity = identity_of("b:1", "transactions")
    assert identity == TopicIdentity("c-1", "id-t")
    assert str(identity) == "id id-t on cluster c-1"
    with pytest.raises(AttributeError):
        identity.cluster = "c-2"  # type: ignore[misc]
    assert admin.closed == 1


@pytest.mark.parametrize("described", [[], [found("transactions", "x", 3)], [found("a", "x"), found("z", "x")]])
def test_one_that_is_not_there_has_no_identity(admin: Admin, described: list[dict[str, Any]]) -> None:
    admin.described = described
    with pytest.raises(StreamError, match="transactions does not exist on b:1: `make up` creates the topics"):
        identity_of("b:1", "transactions")


@pytest.mark.parametrize(("one_by_one", "idempotent"), [(False, None), (True, False)])
def test_a_producer_waits_for_all_copies(
    monkeypatch: pytest.MonkeyPatch, one_by_one: bool, idempotent: bool | None
) -> None:
    from lamina.streams.produce import EventProducer

    made: list[dict[str, Any]] = []
    closed: list[float] = []

    def client(**options: Any) -> Any:
        made.append(options)
        sent = SimpleNamespace(add_errback=lambda told: None)
        return SimpleNamespace(
            send=lambda topic, value, key: sent, flush=lambda: None, close=lambda timeout: closed.append(timeout)
        )

    monkeypatch.setattr("kafka.KafkaProducer", client)
    producer = EventProducer("b:1", one_by_one=one_by_one)
    producer.flush()
    producer.close()
    assert not made and not closed
    with producer:
        for _ in range(2):
            producer.send_bytes("t", None, b"x")
    (options,) = made
    assert (options["bootstrap_servers"], options["acks"], options["linger_ms"]) == ("b:1", "all", 5)
    assert options.get("enable_idempotence") is idempotent
    if one_by_one:
        assert (options["batch_size"], options["max_in_flight_requests_per_connection"]) == (0, 1)
        assert options["max_request_size"] == 4 * 2**20
    assert closed == [30]


@pytest.mark.parametrize("error", [errors.KafkaConnectionError("gone"), OSError("no route")])
def test_a_producer_without_a_broker_names_it(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    from lamina.streams.produce import EventProducer

    def fails(**options: Any) -> None:
        raise error

    monkeypatch.setattr("kafka.KafkaProducer", fails)
    with pytest.raises(StreamError, match="Kafka at b:1 does not answer"), EventProducer("b:1") as producer:
        producer.send_bytes("t", None, b"x")
