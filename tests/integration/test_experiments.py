"""An experiment on the running API, Kafka away: both models; exposure and shadow scores as the journal has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.small_model import promote, train_small_model
from lamina.contracts.fraud_decisions import PREDICTIONS, answer_of
from lamina.contracts.served import Served
from lamina.definitions.fraud import FEATURES
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION, MODEL_FOLDER
from lamina.settings import Settings
from serving.stages.journal import Journal, Place
from tests.integration.serving import decide, free_port, running, until

pytestmark = pytest.mark.services
FILE = """
version: "{version}"
experiment:
  name: trees
  salt: s
  mode: {mode}
  control: old
  arms: [{{name: old, model: champion, weight: 1}}, {{name: new, model: "2", weight: 1}}]
"""
USERS = [f"u{i}" for i in range(40)]


def test_live_then_shadow_then_broken(clean_redis: str, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    for seed in (7, 8):
        train_small_model(tmp_path / str(seed) / MODEL_FOLDER, seed=seed, trees=10)
        promote(registry, tmp_path / str(seed))
    registry.set_alias(FEATURES.system, CHAMPION, "1")
    file = tmp_path / "experiment.yaml"
    file.write_text(FILE.format(version="1", mode="live"))
    settings = Settings(
        stack_dir=tmp_path / "stack",
        kafka_bootstrap="127.0.0.1:1",
        redis_url=clean_redis,
        mlflow_uri="http://127.0.0.1:1",
        champion_poll_s=0.1,
        api_port=free_port(),
        redis_timeout_ms=2000,
        decision_deadline_ms=20_000,
        experiment_file=file,
    )
    with running(settings, registry) as (client, _):
        until(lambda: client.get("/health/ready").json()["dependencies"]["experiment of fraud"]["problem"] is None)
        live = {user: decide(client, user_id=user) for user in USERS}
        assert {(d["arm"], d["model_version"]) for d in live.values()} == {("old", "1"), ("new", "2")}
        file.write_text(FILE.format(version="2", mode="shadow"))
        until(lambda: decide(client)["experiment"] == "trees@2")
        dark = {user: decide(client, user_id=user) for user in USERS}
        assert {(d["arm"], d["model_version"]) for d in dark.values()} == {("old", "1")}
        file.write_text("version: 3")
        until(lambda: client.get("/health/ready").json()["dependencies"]["experiment of fraud"]["problem"] is not None)
        assert client.get("/health/ready").json()["dependencies"]["experiment of fraud"]["version"] == "2"
        assert decide(client)["experiment"] == "trees@2"

    events = [event for event, _ in Journal(settings.stack_dir / "journal").read(Place(0, 0))]
    served = [Served.from_json(e.value) for e in events if e.topic == PREDICTIONS]
    logged = {each.request_id: answer_of(each) for each in served if not each.shadow}
    for user in USERS:
        found = logged[str(live[user]["request_id"])]
        assert (found.experiment, found.arm, found.bucket) == ("trees@1", live[user]["arm"], live[user]["bucket"])
    scored = {each.request_id: each for each in served if each.shadow}
    others = [user for user in USERS if live[user]["arm"] == "new"]
    for user in others:
        one = scored[str(dark[user]["request_id"])]
        # Nothing else changed for this user: the shadow says now what the arm answered before.
        assert (one.outputs["score"], one.models["model"].version) == (live[user]["score"], "2")
        assert logged[one.request_id].score == dark[user]["score"]
    assert not {dark[user]["request_id"] for user in set(USERS) - set(others)} & set(scored)
