"""Which topics and which stream jobs are watched: every topic, and the jobs that keep the features of this code."""

from __future__ import annotations

from lamina.catalog import TOPICS
from lamina.definitions import load, system_names
from lamina.rollout.generation import Generation
from lamina.semantics.plan import sources_of
from lamina.settings import Settings
from lamina.streams.topic_metrics import Reader, TopicCollector, looking


def stream_readers(prefix: str) -> tuple[Reader, ...]:
    """The stream job of each system that has a speed layer, as this code's definitions name it.

    While a changed feature is rolled out the job of before runs beside it, and is not watched: it is about to go.

    >>> "fraud" in [reader.system for reader in stream_readers("")]
    True
    """
    found = []
    for system in system_names():
        own = Generation(load(system))
        topics = sorted({source.topic for source in sources_of(own.plan, own.plan.speed)})
        if topics:
            found.append(Reader(system, f"{prefix}{own.job_name}", tuple(topics)))
    return tuple(found)


def topic_collector(settings: Settings) -> TopicCollector:
    """What gives Prometheus the state of the topics; asks nothing of Kafka before it is scraped."""
    prefix = settings.topic_prefix
    names = (topic.name for topic in TOPICS)
    return TopicCollector(looking(settings.kafka_bootstrap, prefix, names, stream_readers(prefix)))
