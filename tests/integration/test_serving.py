"""Decisions on real Kafka, Redis and MLflow, and what is left of them when one of these is gone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import psutil
import pytest

from benchmarks.messages import consume
from benchmarks.small_model import promote, train_small_model
from lamina.contracts.fraud_decisions import PREDICTIONS, answer_of
from lamina.contracts.served import Served
from lamina.contracts.transactions import FRAUD_LABELS, TRANSACTIONS, FraudLabel, Transaction
from lamina.local.services.redis import server
from lamina.local.stack import Stack
from lamina.registry.memory import MemoryRegistry
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import MODEL_FOLDER
from lamina.semantics.reference import evaluate_all
from lamina.settings import Settings
from lamina.store.redis import RedisStore
from lamina.streams.topics import create_topics
from serving.routes.predict import FRAUD_QUESTION
from serving.stages.model import ServedModel
from serving.systems.fraud.routes import LABEL, MAX_BATCH, TRANSACTION
from tests.integration.serving import (
    AT_MS,
    HOUR_MS,
    PLAN,
    codes,
    decide,
    free_port,
    ids,
    metric,
    past,
    remember,
    running,
    until,
)
from tests.unit.serving.recognisable import fraud_of

pytestmark = pytest.mark.services
NOWHERE = "127.0.0.1:1"
FAR_AWAY = {"lat": 40.71, "lon": -74.01}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train_small_model(folder / MODEL_FOLDER)
    return folder


@pytest.fixture
def registry(tmp_path: Path, run_folder: Path) -> MemoryRegistry:
    made = MemoryRegistry(tmp_path / "registry")
    promote(made, run_folder)
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nothing is there: no Kafka, no Redis, no MLflow."""
    return Settings(
        stack_dir=tmp_path / "stack",
        served_systems=frozenset({"fraud"}),
        kafka_bootstrap=NOWHERE,
        redis_url=f"redis://{NOWHERE}/0",
        mlflow_uri=f"http://{NOWHERE}",
        champion_poll_s=0.1,
        api_port=free_port(),
        # A test machine may stall for longer than a payment should; one test lowers it.
        redis_timeout_ms=2000,
        decision_deadline_ms=20_000,
    )


@pytest.fixture
def whole(settings: Settings, kafka: str, clean_redis: str, topic_prefix: str) -> Settings:
    """The settings with a real Kafka, its topics made, and an empty real Redis."""
    create_topics(kafka, topic_prefix)
    return settings.model_copy(
        update={
            "kafka_bootstrap": kafka,
            "topic_prefix": topic_prefix,
            "redis_url": Settings(redis_url=clean_redis).redis_url,
        }
    )


def test_a_decision_and_its_events(whole: Settings, registry: MemoryRegistry) -> None:
    remember(whole.redis_url.get_secret_value(), past())
    with running(whole, registry) as (client, _):
        known = decide(client, explain=True)
        answer = client.post("/fraud/decisions", json=TRANSACTION, headers={"X-Request-ID": "my-request.1"})
        plain = answer.json()
        unknown = decide(client, user_id="nobody")
        accepted = client.post("/fraud/labels", json=LABEL)

    expected = evaluate_all(
        PLAN.features, {"transactions": [*past(), TRANSACTION], "fraud_labels": []}, TRANSACTION, AT_MS
    )
    assert known["features"] == pytest.approx(expected)
    assert (known["fallback"], known["stale"], known["unknown_user"]) == ("none", False, False)
    assert known["feature_age_ms"] == pytest.approx(HOUR_MS // 2, abs=1000)
    assert known["model_version"] == "1" and isinstance(known["score"], float)
    assert [c for c in codes(known) if c.startswith("feature:")] != [] and len(codes(known)) >= 3

    assert answer.headers["X-Request-ID"] == plain["request_id"] == "my-request.1"
    assert not {"features", "seen", "through"} & set(plain)
    assert plain["score"] == known["score"]
    assert unknown["unknown_user"] is True and unknown["fallback"] == "none"
    assert accepted.status_code == 202

    topics = (TRANSACTIONS, PREDICTIONS, FRAUD_LABELS)
    transactions, predictions, labels = (consume(whole, topic) for topic in topics)
    sent = Transaction.model_validate(TRANSACTION)
    arrived = [(key, Transaction.from_json(value)) for key, value in transactions[:2]]
    same = [(key, each.model_copy(update={"transaction_id": sent.transaction_id})) for key, each in arrived]
    assert same == [(sent.user_id.encode(), sent)] * 2 and arrived[1] == same[1]
    logged = [answer_of(Served.from_json(value)) for _, value in predictions]
    assert {key for key, _ in predictions} == {sent.user_id.encode(), b"nobody"}
    first = next(d for d in logged if d.request_id == known["request_id"])
    assert first.model_dump() == known
    assert first.seen and set(first.through) >= {t.key for t in PLAN.tile_specs if t.entity.name == "user"}
    assert [FraudLabel.from_json(value) for _, value in labels] == [FraudLabel.model_validate(LABEL)]


def test_rules_stand_against_the_model(whole: Settings, registry: MemoryRegistry, tmp_path: Path) -> None:
    remember(whole.redis_url.get_secret_value(), past())
    rules = tmp_path / "rules"
    rules.mkdir()
    for file in whole.rules_file.parent.iterdir():
        (rules / file.name).write_text(file.read_text())
    (rules / "listed_cards.txt").write_text("card-lost-1\n")
    with running(whole.model_copy(update={"rules_file": rules / "fraud.yaml"}), registry) as (client, _):
        jump = decide(client, location=FAR_AWAY)
        assert (jump["action"], codes(jump)[0]) == ("reject", "rule:impossible_velocity")
        assert "5,411 km in 30 min" in str(jump["reasons"])
        assert jump["score"] is not None

        lost = decide(client, card_token="card-lost-1")
        assert (lost["action"], codes(lost)[0]) == ("reject", "rule:listed_card")
        assert "card-lost-1" not in str(lost)

        assert decide(client, country="XA")["action"] in ("review", "reject")
        large = decide(client, amount=900.0)
        assert "rule:unusual_amount" in codes(large) and large["action"] != "approve"
        assert "rule:unusual_amount" not in codes(decide(client, amount=900.0, user_id="nobody"))

        (rules / "listed_cards.txt").write_text("card-lost-1\ncard-lost-22\n")
        until(lambda: decide(client, card_token="card-lost-22")["action"] == "reject")
        (rules / "fraud.yaml").write_text("rules: []\n")
        until(lambda: client.get("/health/ready").json()["dependencies"]["rules of fraud"]["problem"] is not None)
        assert decide(client, card_token="card-lost-1")["action"] == "reject"


def test_a_batch(whole: Settings, registry: MemoryRegistry) -> None:
    remember(whole.redis_url.get_secret_value(), past())
    bodies = [
        TRANSACTION | {"transaction_id": f"b{i}", "user_id": u}
        for i, u in enumerate(["nobody", str(TRANSACTION["user_id"])])
    ]
    with running(whole, registry) as (client, _):
        found = client.post("/fraud/decisions/batch", json=bodies, headers={"X-Request-ID": "b"}).json()
        assert [(d["request_id"], d["transaction_id"], d["unknown_user"]) for d in found] == [
            ("b-0", "b0", True),
            ("b-1", "b1", False),
        ]
        assert found[1]["score"] == decide(client)["score"]
        assert client.post("/fraud/decisions/batch", json=[]).status_code == 422
        assert client.post("/fraud/decisions/batch", json=[TRANSACTION] * (MAX_BATCH + 1)).status_code == 422
        wrong = client.post("/fraud/decisions/batch", json=[TRANSACTION, TRANSACTION | {"amount": "much"}])
        assert [d["field"] for d in wrong.json()["details"]] == ["1.amount"]
    assert len(consume(whole, TRANSACTIONS)) == 3


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A Redis of the test's own, to be killed."""
    port = free_port()
    command = [server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    try:
        store = RedisStore(f"redis://127.0.0.1:{port}/0")
        until(lambda: _answers(store))
        yield process, f"redis://127.0.0.1:{port}/0"
    finally:
        if process.is_running():
            process.resume()
            process.kill()
        process.wait()


def _answers(store: RedisStore) -> bool:
    try:
        store.read([])
    except Exception:
        return False
    return True


@pytest.mark.parametrize("ending", ["kill", "suspend"])
def test_redis_gone(
    settings: Settings, registry: MemoryRegistry, own_redis: tuple[psutil.Process, str], ending: str
) -> None:
    """Killed, connections are refused; stopped, nothing answers and only the time limit helps."""
    process, url = own_redis
    update = {
        "redis_url": Settings(redis_url=url).redis_url,
        "redis_timeout_ms": 200,
        "predict_timeout_ms": 60_000,
        "predict_deadline_ms": 60_000,
    }
    with ThreadPoolExecutor(1) as others, running(settings.model_copy(update=update), registry) as (client, service):
        assert decide(client)["fallback"] == "none"
        before = metric(client, "fallbacks_total", system="fraud", reason="rules_only_no_features")
        getattr(process, ending)()
        patient = others.submit(client.post, "/predict", json=FRAUD_QUESTION, timeout=60)
        decisions = []

        def turned_away() -> bool:
            decisions.append(decide(client, country="XA"))
            return fraud_of(service).features.breaker.is_open

        until(turned_away)
        decisions += [decide(client, country="XA") for _ in range(10)]
        assert {(str(d["fallback"]), str(d["action"])) for d in decisions} == {("rules_only_no_features", "review")}
        assert all(d["score"] is None and d["model_version"] is None for d in decisions)
        assert metric(client, "fallbacks_total", system="fraud", reason="rules_only_no_features") == before + len(
            decisions
        )
        assert sum(fraud_of(service).features.breaker.may_try() for _ in range(100)) <= 1
        assert client.get("/health/ready").json()["dependencies"]["redis"]["problem"]
        if ending == "suspend":
            process.resume()
            until(lambda: decide(client)["fallback"] == "none")
        # A prediction has nothing to fall back to: it waits longer than decisions did, and is refused without a server.
        assert patient.result().status_code == (200 if ending == "suspend" else 503), patient.result().text


def test_no_model_then_one_then_a_better_one(whole: Settings, tmp_path: Path, run_folder: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    with running(whole, registry) as (client, service):
        assert decide(client, country="XA")["fallback"] == "rules_only_no_model"
        ready = client.get("/health/ready").json()
        assert ready["status"] == "degraded" and "champion" in ready["dependencies"]["model of fraud"]["problem"]

        promote(registry, run_folder)
        until(lambda: decide(client)["model_version"] == "1")
        assert client.get("/health/ready").json()["status"] == "ready"

        broken = tmp_path / "broken"
        (broken / MODEL_FOLDER).mkdir(parents=True)
        (broken / MODEL_FOLDER / "spec.json").write_text("{}")
        refused = metric(client, "model_reloads_total", system="fraud", outcome="refused")
        promote(registry, broken)
        until(lambda: "version 2" in str(fraud_of(service).models.champion.problem))
        assert metric(client, "model_reloads_total", system="fraud", outcome="refused") == refused + 1
        assert decide(client)["model_version"] == "1"

        train_small_model(tmp_path / "better" / MODEL_FOLDER, seed=8)
        promote(registry, tmp_path / "better")
        until(lambda: decide(client)["model_version"] == "3")
        assert fraud_of(service).models.champion.problem is None


def test_champion_from_mlflow_and_without_it(mlflow_uri: str, tmp_path: Path, run_folder: Path) -> None:
    """Downloaded once, the last champion serves again after a start without the registry."""
    import asyncio

    from models.fraud import score

    promote(MlflowRegistry(mlflow_uri), run_folder)
    first = ServedModel("fraud", MlflowRegistry(mlflow_uri), score.load, tmp_path / "models")
    asyncio.run(first.refresh())
    assert first.problem is None and first.current is not None

    class Gone(MemoryRegistry):
        def alias(self, name: str, alias: str) -> None:
            raise ConnectionError("gone")

    second = ServedModel("fraud", Gone(tmp_path), score.load, tmp_path / "models")
    asyncio.run(second.refresh())
    assert second.current is not None and second.current.version == first.current.version
    assert second.problem is not None and "gone" in second.problem


def test_kafka_gone_and_back(whole: Settings, registry: MemoryRegistry, stack: Stack) -> None:
    """Every decision is answered; every event is delivered, those of the outage later."""
    with running(whole, registry) as (client, service):
        decide(client, transaction_id="before")
        stack.stop_service("kafka")
        try:
            until(lambda: client.get("/health/ready").json()["dependencies"]["kafka"]["problem"] is not None)
            for i in range(20):
                assert decide(client, transaction_id=f"during-{i}")["fallback"] == "none"
            assert service.events.waiting_bytes > 20 * 1000
        finally:
            stack.start("kafka")
        until(lambda: service.events.waiting_bytes == 0)
        decide(client, transaction_id="after")
        expected = {"before", "after", *(f"during-{i}" for i in range(20))}
        for topic in (TRANSACTIONS, PREDICTIONS):
            until(lambda topic=topic: ids(whole, topic) == expected)
        in_order = [orjson.loads(value)["transaction_id"] for _, value in consume(whole, TRANSACTIONS)]
        assert in_order == ["before", *(f"during-{i}" for i in range(20)), "after"]


def test_events_of_an_outage_outlive_the_process(
    settings: Settings, registry: MemoryRegistry, kafka: str, topic_prefix: str
) -> None:
    lost = settings.model_copy(update={"topic_prefix": topic_prefix})
    with running(lost, registry) as (client, _):
        decide(client, transaction_id="kept")
    found = lost.model_copy(update={"kafka_bootstrap": kafka, "api_port": free_port()})
    with running(found, registry) as (client, service):
        until(lambda: service.events.waiting_bytes == 0)
    assert ids(found, TRANSACTIONS) == {"kept"}


def test_a_passed_deadline_leaves_the_rules(whole: Settings, registry: MemoryRegistry) -> None:
    """A deadline that no machine meets stands for a machine that does not meet its own."""
    with running(whole, registry) as (client, service):
        fraud_of(service).pipeline._deadline_ns = 1
        decision = decide(client, country="XA")
    assert (decision["fallback"], decision["action"]) == ("rules_only_deadline", "review")
    assert decision["score"] is None


def test_bad_input_names_the_field_and_repeats_nothing(
    settings: Settings, registry: MemoryRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "4111111111111111"
    cases: list[tuple[dict[str, object], str]] = [
        ({"amount": secret}, "amount"),
        ({"card_token": secret}, "card_token"),
        ({"card_token": ["card-secret-99"]}, "card_token"),
        ({"location": {"lat": 91, "lon": 0}}, "location.lat"),
        ({"transaction_type": secret}, "transaction_type"),
        ({"country": secret}, "country"),
        ({"timestamp": 1735689649}, "timestamp"),
        ({"timestamp": f"on {secret}"}, "timestamp"),
        ({secret: 1}, "***1111"),
    ]
    with running(settings, registry) as (client, _), caplog.at_level("DEBUG"):
        for changes, field in cases:
            answer = client.post("/fraud/decisions", json=TRANSACTION | changes)
            assert answer.status_code == 422, changes
            assert field in [d["field"] for d in answer.json()["details"]], answer.text
            assert secret not in answer.text and "card-secret-99" not in answer.text
        for body in (b"", b"{", b'{"card_token": "card-secret-99", "a": }', b"[]", b"\xff"):
            answer = client.post("/fraud/decisions", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422) and "card-secret-99" not in answer.text
        too_long = client.post("/fraud/decisions", content=b"x" * 300_000)
        pieces = client.post("/fraud/decisions", content=(b"x" * 1000 for _ in range(300)))
        assert (too_long.status_code, pieces.status_code) == (413, 413)
        assert client.get(f"/{secret}").status_code == 404
        assert client.get("/fraud/decisions").status_code == 405
        ids = [
            client.get("/health/live", headers={"X-Request-ID": i}).headers["X-Request-ID"] for i in ("a b", "x" * 200)
        ]
        assert not {"a b", "x" * 200} & set(ids)
    own = [r.getMessage() for r in caplog.records if r.name.startswith(("serving", "lamina", "uvicorn"))]
    assert any("answered 422" in line for line in own)
    assert not any(secret in line or "card-secret-99" in line for line in own)


def test_operators_see_metrics_and_documentation(settings: Settings, registry: MemoryRegistry) -> None:
    with running(settings, registry) as (client, _):
        decide(client)
        text = client.get("/metrics").text
        for name in ("model_predictions_total", "model_prediction_latency_seconds", "model_score_distribution"):
            assert f"# TYPE {name.removesuffix('_total')}" in text
        assert (
            metric(
                client, "model_predictions_total", system="fraud", model_version="none", status="rules_only_no_features"
            )
            >= 1
        )
        assert metric(client, "model_prediction_latency_seconds_count", system="fraud", model_version="none") >= 1
        schema = client.get("/openapi.json").json()
        body = schema["paths"]["/fraud/decisions"]["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            Transaction.model_validate(example["value"])
        assert client.get("/health/live").json() == {"status": "alive"}
