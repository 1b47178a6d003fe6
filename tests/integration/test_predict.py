"""`/predict` on a real Redis and a real MLflow: a network, and trees; caches and a new version."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from typer.testing import CliRunner

from benchmarks.small_model import train_small_model
from lamina.cli import app
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import MODEL_FOLDER
from lamina.settings import Settings
from lamina.store.redis import RedisStore
from models.fraud import score
from serving.routes.predict import FRAUD_QUESTION
from tests.integration.serving import free_port, running, until
from tests.small_network import expected, write_small_network
from tests.unit.serving.recognisable import AT_MS
from tests.unit.serving.shop import add_model, tiles, views

pytestmark = pytest.mark.services


BIASES = (-1.0, -2.0)
"""Of a network and of its next version."""


def scored(version: int, features: dict[str, float]) -> float:
    """What the network says of `features`."""
    return expected(features["session_page_views"], features["item_events_1h"], bias=BIASES[version - 1])


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    """A network, and its next version, each in a folder of its number."""
    for number, bias in enumerate(BIASES, 1):
        write_small_network(tmp_path / "networks" / str(number) / MODEL_FOLDER, bias=bias)
    return tmp_path / "networks"


@pytest.fixture
def names(mlflow_uri: str, networks: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Registered models of one's own: a network and trees, each with a champion."""
    registry, unique = MlflowRegistry(mlflow_uri), uuid.uuid4().hex[:8]
    found = {"network": f"purchase-{unique}", "trees": f"trees-{unique}"}
    add_model(registry, found["network"], networks / "1")
    train_small_model(tmp_path / "trees" / MODEL_FOLDER, trees=5)
    add_model(registry, found["trees"], tmp_path / "trees")
    yield found


def test_any_model_by_name(
    clean_redis: str,
    mlflow_uri: str,
    names: dict[str, str],
    networks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = RedisStore(clean_redis)
    store.write_tiles(tiles(views("u1", "i1", 4)))
    redis = Redis.from_url(clean_redis)

    def settings(name: str) -> Settings:
        return Settings(
            stack_dir=tmp_path / name,
            kafka_bootstrap="127.0.0.1:1",
            redis_url=clean_redis,
            mlflow_uri=mlflow_uri,
            champion_poll_s=0.2,
            api_port=free_port(),
            redis_timeout_ms=2000,
            decision_deadline_ms=20_000,
            predict_model=names["network"],
        )

    question = {"user_id": "u1", "item_id": "i1", "timestamp": AT_MS}

    def ask(client: httpx.Client, **changes: object) -> dict[str, Any]:
        answer = client.post("/predict", params={"explain": True}, json=question | changes)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    with ExitStack() as both:
        first, _ = both.enter_context(running(settings("first")))
        second, _ = both.enter_context(running(settings("second")))

        found = ask(first)
        assert found["features"]["session_page_views"] == 4.0
        assert (found["version"], found["answered_by"]) == ("1", "model")
        assert found["score"] == pytest.approx(scored(1, found["features"]), abs=1e-6)
        assert ask(first)["answered_by"] == "local"
        until(lambda: redis.keys("prediction:*"))
        [key] = redis.keys("prediction:*")
        assert 3_200_000 < redis.pttl(key) <= 3_600_000
        shared = ask(second)
        assert (shared["answered_by"], shared["score"]) == ("redis", found["score"])

        store.write_tiles(tiles(views("u1", "i1", 6)))
        fresh = ask(first)
        assert (fresh["features"]["session_page_views"], fresh["answered_by"]) == (6.0, "model")
        assert fresh["score"] == pytest.approx(scored(1, fresh["features"]), abs=1e-6)

        rows = [{"user_id": user, "item_id": "i1", "timestamp": AT_MS} for user in ("nobody", "u1", "u1")]
        batch = first.post("/predict/batch", json={"rows": rows}).json()
        assert [each["user_id"] for each in batch] == ["nobody", "u1", "u1"]
        assert [each["score"] for each in batch[1:]] == [fresh["score"]] * 2
        assert batch[0]["score"] != fresh["score"]

        trees = ask(first, model=names["trees"], item_id="m1", context=FRAUD_QUESTION["context"])
        scorer = score.load(tmp_path / "trees" / MODEL_FOLDER)
        assert trees["score"] == pytest.approx(scorer.predict(trees["features"]), abs=1e-12)

        monkeypatch.setenv("LAMINA_MLFLOW_URI", mlflow_uri)
        for command in (
            ["add", names["network"], str(networks / "2" / MODEL_FOLDER)],
            ["promote", names["network"], "2"],
        ):
            done = CliRunner().invoke(app, ["models", *command], catch_exceptions=False)
            assert done.exit_code == 0, done.output
        until(lambda: ask(first)["version"] == "2")
        newer = ask(first)
        assert newer["score"] == pytest.approx(scored(2, newer["features"]), abs=1e-6)
        assert newer["score"] != fresh["score"]

        unknown = first.post("/predict", json=question | {"model": "weather"})
        assert unknown.status_code == 404 and names["trees"] in unknown.text
    redis.close()
