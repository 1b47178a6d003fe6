"""What the tests of serving share: the real application on a real port, and readers of what it published."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import uvicorn

from lamina.definitions.fraud import FEATURES
from lamina.registry.protocol import CHAMPION, ModelRegistry, TrainingRun
from lamina.settings import Settings
from serving.bootstrap import Service, make_app, make_service


def promote(registry: ModelRegistry, folder: Path) -> str:
    """Register the files under `folder`/model and make them the champion; returns the version."""
    run = registry.record(TrainingRun(FEATURES.system, date(2025, 1, 1), folder))
    version = registry.register(FEATURES.system, run, {}).version
    registry.set_alias(FEATURES.system, CHAMPION, version)
    return version


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(settings: Settings, registry: ModelRegistry | None = None) -> Iterator[tuple[httpx.Client, Service]]:
    """The API on `settings.api_port`, past its first look for a champion."""
    service = make_service(settings, registry=registry)
    config = uvicorn.Config(make_app(service), port=settings.api_port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.api_port}", timeout=30) as client:
        try:
            until(lambda: server.started and client.get("/health/ready").status_code == 200)
            yield client, service
        finally:
            server.should_exit = True
            thread.join()


def until(condition: object, *, within_s: float = 30.0) -> None:
    """Return once `condition()` holds."""
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


def consume(settings: Settings, topic: str) -> list[tuple[bytes, bytes]]:
    """Keys and values of everything on `topic`, partition by partition."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": "tests", "enable.partition.eof": True}
    )
    try:
        name = settings.topic_prefix + topic
        partitions = sorted(consumer.list_topics(name, timeout=30).topics[name].partitions)
        consumer.assign([TopicPartition(name, p, 0) for p in partitions])
        found: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in partitions}
        left = set(partitions)
        while left:
            message = consumer.poll(30)
            assert message is not None, f"{name} could not be read to its end"
            if (error := message.error()) is None:
                found[message.partition() or 0].append((message.key() or b"", message.value() or b""))
            else:
                assert error.name() == "_PARTITION_EOF", error
                left.discard(message.partition())
        return [event for p in partitions for event in found[p]]
    finally:
        consumer.close()


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """The value of a metric with exactly these labels; 0 before it was first counted."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(client.get("/metrics").text)
    found = (s.value for family in families for s in family.samples if s.name == name and s.labels == labels)
    return next(found, 0.0)
