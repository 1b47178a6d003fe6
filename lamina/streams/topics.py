"""Topics on the broker: their real names, creating those that are missing, and keeping what the others promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lamina.catalog import CONTRACTS, EVENT_TOPICS, TOPICS
from lamina.contracts.base import Event
from lamina.contracts.topics import Topic
from lamina.errors import ContractError, StreamError, UnknownTopic

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

OF_TOPIC = "DYNAMIC_TOPIC_CONFIG"
RETENTION = "retention.ms"


def contract_of(topic: str) -> type[Event]:
    """The contract of the events on `topic`, named without prefix.

    Raises: UnknownTopic: when no events with a contract are on it.

    >>> contract_of("transactions").__name__
    'Transaction'
    """
    if topic not in CONTRACTS:
        raise UnknownTopic(f"topic {topic!r} has no contract; those that have: {', '.join(CONTRACTS)}")
    return CONTRACTS[topic]


def read_event(topic: str, raw: bytes) -> Event:
    """The event that a message on `topic`, named without prefix, holds, also as an older version wrote it.

    Raises: UnknownTopic: as `contract_of`; ContractError: the message breaks the contract.
    """
    contract = contract_of(topic)
    try:
        return contract.from_json(raw)
    except ContractError as error:
        older = EVENT_TOPICS[topic].older if topic in EVENT_TOPICS else None
        if older is None:
            raise
        try:
            return older(raw)
        except ContractError:
            raise error from None


def create_topics(
    bootstrap: str, prefix: str = "", topics: Iterable[Topic] = TOPICS, *, replication: int = -1
) -> list[str]:
    """Create the topics that do not exist and wait until each has a leader; returns the real names of those created.

    An existing topic gets the settings that differ, but for a longer retention of its own, which somebody chose. Its
    partitions stay: more would move keys and so break the order of their events.

    Args: replication: copies of each topic; -1 leaves it to the broker.
    Raises: StreamError: when the broker does not answer or refuses.
    """
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    topics = list(topics)
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            there = set(admin.list_topics())
            wanted = {
                prefix + t.name: {
                    "num_partitions": t.partitions,
                    "replication_factor": replication,
                    "configs": t.config,
                }
                for t in topics
                if prefix + t.name not in there
            }
            if wanted:
                try:
                    admin.create_topics(wanted)
                except TopicAlreadyExistsError:
                    pass  # somebody else was faster: what counts is that they are there
                admin.wait_for_topics(list(wanted))
            _settle(admin, {prefix + t.name: t for t in topics if prefix + t.name in there})
            return list(wanted)
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise StreamError(
            f"topics cannot be created on {bootstrap} ({error}): is Kafka up? see `make status`"
        ) from error


def _settle(admin: KafkaAdminClient, topics: Mapping[str, Topic]) -> None:
    """Change the settings of existing topics, by real name, that are not as they should be."""
    from kafka.admin import ConfigResource, ConfigResourceType

    if not topics:
        return
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    found = admin.describe_configs(asked).get("topic", {})
    changes = {name: changed(topic.config, found.get(name, {})) for name, topic in topics.items()}
    wrong = [ConfigResource(ConfigResourceType.TOPIC, name, own) for name, own in changes.items() if own]
    refused = {n: why for n, why in admin.alter_configs(wrong).get("topic", {}).items() if why != "OK"} if wrong else {}
    if refused:
        raise StreamError(f"the broker keeps the settings of some topics as they are: {refused}; change them there")


def changed(wanted: Mapping[str, str], found: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """The settings of a topic that have to change.

    Args: found: by name `value`, and `config_source`, which tells what was set for this topic.

    >>> held = {"value": "-1", "config_source": "DYNAMIC_TOPIC_CONFIG"}
    >>> changed({"retention.ms": "1000"}, {"retention.ms": held})
    {}
    """
    own = {name: str(held["value"]) for name, held in found.items() if held["config_source"] == OF_TOPIC}
    # Somebody may have chosen to keep more; a negative number is for ever.
    longer = RETENTION in own and (int(own[RETENTION]) < 0 or int(own[RETENTION]) > int(wanted.get(RETENTION, 0)))
    kept = {RETENTION} if longer else set()
    return {name: value for name, value in wanted.items() if own.get(name) != value and name not in kept}
