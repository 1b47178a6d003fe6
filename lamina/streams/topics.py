"""Topics on the broker: their real names, and creating those that are missing."""

from __future__ import annotations

from collections.abc import Iterable

from lamina.contracts.base import Event
from lamina.contracts.by_topic import CONTRACTS
from lamina.contracts.topics import TOPICS, Topic
from lamina.errors import StreamError, UnknownTopic


def contract_of(topic: str) -> type[Event]:
    """The contract of the events on `topic`, named without prefix.

    Raises: UnknownTopic: when no events with a contract are on it.

    >>> contract_of("transactions").__name__
    'Transaction'
    """
    if topic not in CONTRACTS:
        raise UnknownTopic(f"topic {topic!r} has no contract; those that have: {', '.join(CONTRACTS)}")
    return CONTRACTS[topic]


def create_topics(
    bootstrap: str, prefix: str = "", topics: Iterable[Topic] = TOPICS, *, replication: int = -1
) -> list[str]:
    """Create the topics that do not exist and wait until each has a leader; returns the real names of those created.

    An existing topic is left as it is: more partitions would move keys and so break the order of their events.

    Args: replication: copies of each topic; -1 leaves it to the broker.
    Raises: StreamError: when the broker does not answer or refuses.
    """
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError, TopicAlreadyExistsError

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
            return list(wanted)
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise StreamError(
            f"topics cannot be created on {bootstrap} ({error}): is Kafka up? see `make status`"
        ) from error
