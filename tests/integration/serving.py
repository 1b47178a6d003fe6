"""What the tests of serving share: the real application on a real port, and readers of what it published."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn

from benchmarks.messages import consume
from benchmarks.small_model import promote, train_small_model
from benchmarks.tiles import batch_writes, speed_writes
from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.definitions.fraud import FEATURES
from lamina.local.ports import random_port
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, ModelRegistry
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.store.redis import RedisStore
from lamina.streams.topics import create_topics
from serving.bootstrap import Service, make_app, make_service
from serving.systems.fraud.routes import TRANSACTION

AT_MS = int(str(TRANSACTION["timestamp"]))
HOUR_MS = 3_600_000
PLAN = make_plan(FEATURES)
NUMBERS = count(10_000)


def free_port() -> int:
    """Under those that the system hands to connections: one of them could take it before the server listens."""
    return random_port(set(), random.Random())


def small_registry(folder: Path) -> MemoryRegistry:
    """A registry in which a small model is the champion of fraud."""
    train_small_model(folder / "run" / MODEL_FOLDER)
    made = MemoryRegistry(folder / "registry")
    promote(made, folder / "run")
    return made


def settings_of_fraud(folder: Path, kafka: str, redis: str, topic_prefix: str, **more: Any) -> Settings:
    """Those of an API that serves fraud alone, with patience for a machine at work; its topics are made."""
    create_topics(kafka, topic_prefix)
    return Settings(
        stack_dir=folder / "stack",
        lake_url=str(folder / "lake"),
        served_systems=frozenset({"fraud"}),
        kafka_bootstrap=kafka,
        topic_prefix=topic_prefix,
        redis_url=Settings(redis_url=redis).redis_url,
        mlflow_uri="http://127.0.0.1:1",
        champion_poll_s=0.1,
        api_port=free_port(),
        redis_timeout_ms=2000,
        decision_deadline_ms=20_000,
        **more,
    )


@contextmanager
def posts_to(port: int, take: Callable[[str, Message, bytes], None]) -> Iterator[None]:
    """A server that gives path, headers and body of each POST to `take`, and answers 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            take(self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


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


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """The value of a metric with exactly these labels; 0 before it was first counted."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(client.get("/metrics").text)
    found = (s.value for family in families for s in family.samples if s.name == name and s.labels == labels)
    return next(found, 0.0)


def past(n: int = 30) -> list[EventRow]:
    """`n` earlier transactions of the example's user, one an hour, the last 30 minutes before it."""
    return [
        {
            **TRANSACTION,
            "transaction_id": f"past-{i}",
            "amount": 20.0 + i % 5,
            "timestamp": AT_MS - HOUR_MS // 2 - i * HOUR_MS,
        }
        for i in range(n)
    ]


def remember(redis_url: str, events: list[EventRow]) -> None:
    """The batch layer up to two hours before the example, the speed layer from there on."""
    arrived = {"transactions": events, "fraud_labels": []}
    through = AT_MS - AT_MS % 86_400_000
    store = RedisStore(redis_url)
    store.publish(batch_writes(PLAN, arrived, through))
    store.write_tiles(speed_writes(PLAN.speed, arrived, through))
    for entity in FEATURES.entities:
        store.advance_watermark(entity.name, through)


def decide(client: httpx.Client, explain: bool = False, **changes: object) -> dict[str, object]:
    """The decision on the example with `changes`, as a transaction of its own unless they name one."""
    own = {"transaction_id": f"txn-{next(NUMBERS)}"}
    answer = client.post("/fraud/decisions", json=TRANSACTION | own | changes, params={"explain": explain})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def ids(settings: Settings, topic: str) -> set[str]:
    name = "event_id" if topic == PREDICTIONS else "transaction_id"
    return {orjson.loads(value)[name] for _, value in consume(settings, topic)}


def codes(decision: dict[str, object]) -> list[str]:
    reasons = decision["reasons"]
    assert isinstance(reasons, list)
    return [f"{r['kind']}:{r['code']}" for r in reasons]
