"""Which topic it is: a topic that is deleted and made again has the name of the old one, and other offsets."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.errors import StreamError

LONGEST_S = 30.0
"""How long a job waits for a broker."""


@dataclass(frozen=True)
class TopicIdentity:
    """What offsets are offsets of: the broker's id of the cluster, and that of the topic."""

    cluster: str
    topic_id: str

    def __str__(self) -> str:
        return f"id {self.topic_id} on cluster {self.cluster}"


def identity_of(bootstrap: str, topic: str, within_s: float = LONGEST_S) -> TopicIdentity:
    """The identity of the topic with this real name, from a broker that is found within `within_s` seconds.

    Raises: StreamError: when Kafka does not answer or has no such topic.
    """
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=round(within_s * 1000))
        try:
            cluster = str(admin.describe_cluster()["cluster_id"])
            found = [t for t in admin.describe_topics([topic]) if t["name"] == topic and not t["error_code"]]
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise StreamError(f"topic {topic} on {bootstrap} cannot be looked up ({error}): see `make status`") from error
    if not found:
        raise StreamError(f"topic {topic} does not exist on {bootstrap}: `make up` creates the topics")
    return TopicIdentity(cluster, str(found[0]["topic_id"]))
