"""A decision that a client received is on Kafka in the end, in its user's order, though the API or Kafka is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import orjson
import pytest

from benchmarks.messages import consume
from lamina.contracts.fraud_decisions import PREDICTIONS
from lamina.contracts.transactions import TRANSACTIONS
from lamina.local.stack import Stack
from lamina.settings import ROOT, Settings
from lamina.streams.topics import create_topics
from serving.systems.fraud.routes import TRANSACTION
from tests.integration.serving import free_port, until

pytestmark = pytest.mark.services
USERS = 3


class Api:
    """The real process, started and killed as often as the test likes."""

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("LAMINA_")}
        self._env |= {f"LAMINA_{name.upper()}": value for name, value in settings.items()}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{settings['api_port']}", timeout=30)
        self.answered: list[tuple[str, str]] = []

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "serving.app"]
            self._process = subprocess.Popen(command, env=self._env, cwd=ROOT, stdout=log, stderr=log)
        until(self._lives, within_s=120)

    def _lives(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self.client.get("/health/live").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)

    def decide(self, n: int) -> None:
        for i in range(n):
            user, name = f"user-{i % USERS}", f"t-{len(self.answered):04d}"
            answer = self.client.post("/fraud/decisions", json=TRANSACTION | {"user_id": user, "transaction_id": name})
            assert answer.status_code == 200, answer.text
            self.answered.append((user, name))


def test_nothing_answered_is_lost(
    kafka: str, clean_redis: str, topic_prefix: str, stack: Stack, tmp_path: Path
) -> None:
    create_topics(kafka, topic_prefix)
    given = {
        "stack_dir": str(tmp_path / "stack"),
        "kafka_bootstrap": kafka,
        "redis_url": clean_redis,
        "mlflow_uri": "http://127.0.0.1:1",
        "topic_prefix": topic_prefix,
        "api_port": str(free_port()),
    }
    api = Api(given, tmp_path / "api.log")
    try:
        api.start()
        for _ in range(2):
            api.decide(100)
            api.kill()  # with the last events milliseconds old
            api.start()
        stack.stop_service("kafka")
        try:
            api.decide(100)
            api.kill()
            api.start()
            api.decide(100)
        finally:
            stack.start("kafka")
        api.decide(20)
        settings = Settings(**given)  # type: ignore[arg-type]
        for topic, name in ((TRANSACTIONS, "transaction_id"), (PREDICTIONS, "event_id")):
            until(lambda at=(topic, name): first_of_each(settings, *at) == by_user(api.answered), within_s=60)
    finally:
        api.kill()
        api.client.close()


def by_user(events: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {user: [name for u, name in events if u == user] for user in sorted({u for u, _ in events})}


def first_of_each(settings: Settings, topic: str, name: str) -> dict[str, list[str]]:
    """Ids by user in the order of their first arrival: a repeated event is dropped by whoever reads it."""
    found: dict[tuple[str, str], None] = {}
    for key, value in consume(settings, topic):
        found.setdefault((key.decode(), orjson.loads(value)[name]))
    return by_user(list(found))
