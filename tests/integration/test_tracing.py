"""One decision, followed from its client through the API and Kafka to the store, by what a collector gets."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.tiles import speed_writes
from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.contracts.topics import FEATURE_TILES
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS
from lamina.registry.memory import MemoryRegistry
from lamina.settings import ROOT, Settings
from serving.systems.fraud.routes import LABEL, TRANSACTION
from tests.integration.serving import PLAN, free_port, posts_to, running, settings_of_fraud, small_registry, until

pytestmark = pytest.mark.services
TRACE_ID, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN}-01"}


@dataclass
class Collector:
    """Takes OTLP over HTTP, as any collector does."""

    port: int = field(default_factory=free_port)
    spans: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, service: str, name: str) -> list[Any]:
        return [span for told_by, span in list(self.spans) if told_by == service and span.name == name]

    def take(self, path: str, headers: Message, body: bytes) -> None:
        assert path == "/v1/traces"
        sent = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        for told in ExportTraceServiceRequest.FromString(sent).resource_spans:
            (service,) = [a.value.string_value for a in told.resource.attributes if a.key == "service.name"]
            self.spans.extend((service, span) for scope in told.scope_spans for span in scope.spans)


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    return small_registry(tmp_path)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    with posts_to(made.port, made.take):
        yield made


@pytest.fixture
def settings(tmp_path: Path, kafka: str, clean_redis: str, topic_prefix: str, collector: Collector) -> Settings:
    return settings_of_fraud(tmp_path, kafka, clean_redis, topic_prefix, otlp_url=collector.url, trace_clients=True)


def carried(settings: Settings, topic: str) -> list[str]:
    """What the messages of a topic carry as `traceparent`; "" where there is none."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": "tests", "enable.auto.commit": False}
    )
    try:
        name = settings.topic_prefix + topic
        partitions = consumer.list_topics(name, 10).topics[name].partitions
        spans = {p: consumer.get_watermark_offsets(TopicPartition(name, p), 10) for p in partitions}
        wanted = sum(high - low for low, high in spans.values())
        consumer.assign([TopicPartition(name, p, low) for p, (low, _) in spans.items()])
        found: list[str] = []
        deadline = time.monotonic() + 30
        while len(found) < wanted and time.monotonic() < deadline:
            for message in consumer.consume(100, 0.2):
                assert message.error() is None
                told = dict(message.headers() or []).get("traceparent") or b""
                found.append(told if isinstance(told, str) else told.decode())
        return found
    finally:
        consumer.close()


@contextmanager
def sink(settings: Settings, folder: Path) -> Iterator[None]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LAMINA_")} | {
        "LAMINA_STACK_DIR": str(settings.stack_dir),
        "LAMINA_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "LAMINA_REDIS_URL": settings.redis_url.get_secret_value(),
        "LAMINA_TOPIC_PREFIX": settings.topic_prefix,
        "LAMINA_OTLP_URL": str(settings.otlp_url),
    }
    with (folder / "sink.log").open("wb") as log:
        command = [sys.executable, "-m", "lamina.streams.sink"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0, (folder / "sink.log").read_text()


def test_a_decision_is_followed_to_the_store(
    settings: Settings, registry: MemoryRegistry, collector: Collector, tmp_path: Path
) -> None:
    with running(settings, registry) as (client, service):
        answered = client.post("/fraud/decisions", json=TRANSACTION, headers=HEADERS | {"X-Request-ID": "followed"})
        assert answered.status_code == 200
        assert client.post("/fraud/labels", json=LABEL, headers=HEADERS).status_code == 202
        until(lambda: not service.events.waiting_bytes)

    # The request, and in it the answer with its stages.
    request, label = collector.of("lamina-api", "request")
    (answer,) = collector.of("lamina-api", "answer fraud")
    assert {span.trace_id.hex() for span in (request, label, answer)} == {TRACE_ID}
    assert request.parent_span_id.hex() == CLIENT_SPAN and answer.parent_span_id == request.span_id
    attributes = {a.key: a.value.string_value for a in answer.attributes}
    assert (attributes["lamina.request_id"], attributes["lamina.fallback"]) == ("followed", "none")
    stages = [span for _, span in collector.spans if span.parent_span_id == answer.span_id]
    assert {span.name for span in stages} >= {"features", "model", "log"}
    assert all(request.start_time_unix_nano <= span.end_time_unix_nano for span in stages)

    # Kafka: what was asked and what was answered carry the request; so does the label.
    parent = f"00-{TRACE_ID}-{request.span_id.hex()}-01"
    assert carried(settings, TRANSACTIONS) == carried(settings, PREDICTIONS) == [parent]
    assert carried(settings, FRAUD_LABELS) == [f"00-{TRACE_ID}-{label.span_id.hex()}-01"]

    # The store: the tiles that the stream makes of the event are told in the trace that the answer links to.
    made = speed_writes(PLAN.speed, {"transactions": [TRANSACTION], "fraud_labels": []}, 0)
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    for tile in made:
        producer.produce(settings.topic_prefix + FEATURE_TILES, tile.payload, f"{tile.key}\t{tile.field}".encode())
    producer.flush(10)
    linked = {link.trace_id for link in answer.links}
    with sink(settings, tmp_path):
        until(lambda: collector.of("lamina-sink", "tile in store"), within_s=60)
    stored = {span.trace_id for span in collector.of("lamina-sink", "tile in store")}
    assert stored and stored <= linked


def test_what_waited_for_kafka_through_a_restart_carries_its_trace(
    settings: Settings, registry: MemoryRegistry, tmp_path: Path
) -> None:
    away = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    with running(away, registry) as (client, _):
        assert client.post("/fraud/decisions", json=TRANSACTION, headers=HEADERS).status_code == 200
    assert carried(settings, TRANSACTIONS) == []
    with running(settings, registry) as (_, service):
        until(lambda: not service.events.waiting_bytes)
    for topic in (TRANSACTIONS, PREDICTIONS):
        (found,) = carried(settings, topic)
        assert found.split("-")[1] == TRACE_ID


def test_a_collector_that_is_away_costs_no_answer(settings: Settings, registry: MemoryRegistry) -> None:
    nowhere = settings.model_copy(update={"otlp_url": "http://127.0.0.1:1"})
    with running(nowhere, registry) as (client, _):
        for n in range(5):
            body = TRANSACTION | {"transaction_id": f"txn-away-{n}"}
            assert client.post("/fraud/decisions", json=body, headers=HEADERS).json()["fallback"] == "none"
