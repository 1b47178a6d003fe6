"""What the run left behind, gathered for the report: from the registry, the lake, Kafka and the answers themselves."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from lamina.contracts.topics import TOPICS
from lamina.definitions import load
from lamina.demo.live import LiveResult
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.registry.evaluation import Contender, Evaluation, read_evaluation
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import find
from lamina.reporting.results import (
    Decisions,
    Detection,
    Environment,
    FeatureParity,
    Freshness,
    Latency,
    Model,
    Percentiles,
    Scores,
)
from lamina.settings import ROOT, Settings

CURVES = "curves/curves.json"
QUANTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "p999_ms": 99.9}
TARGET = Percentiles(name="target", count=0, p50_ms=25, p95_ms=45, p99_ms=65, p999_ms=100)
PACKAGES = ("apache-airflow", "pyspark", "mlflow", "xgboost", "lightgbm", "fastapi", "kafka-python", "redis")
PUBLISHED = Scores(auc=0.862, average_precision=0.639, card_precision_100=0.273)
PUBLISHED_BY = "XGBoost, Le Borgne et al. 2022"


def percentiles(name: str, values_ms: Sequence[float]) -> Percentiles:
    """Percentiles of times in milliseconds; all 0 without values."""
    found = {k: float(np.percentile(values_ms, q)) if len(values_ms) else 0.0 for k, q in QUANTILES.items()}
    return Percentiles(name=name, count=len(values_ms), **found)


def latency(live: LiveResult, logged: Sequence[dict[str, Any]], rate_s: float) -> Latency:
    """Times as the client saw them, and by stage as the API logged them in `logged` decisions."""
    by_stage: dict[str, list[float]] = {}
    for decision in logged:
        for stage, ms in json.loads(decision["stage_ms"]).items():
            by_stage.setdefault(stage, []).append(ms)
    whole = percentiles("whole decision, in the API", [d["latency_ms"] for d in logged])
    return Latency(
        rate_per_s=rate_s,
        errors=sum(live.failed.values()),
        client=percentiles("client, from the intended start", live.latency_ms),
        stages=[*(percentiles(stage, values) for stage, values in by_stage.items()), whole],
        target=TARGET,
    )


def freshness(values_ms: Sequence[float]) -> Freshness | None:
    """Distribution of the times until a tile could be read; None without a value."""
    if not values_ms:
        return None
    edges = np.histogram_bin_edges(values_ms, bins=40, range=(0, float(np.percentile(values_ms, 99.5))))
    counts = np.histogram(values_ms, edges)[0]
    return Freshness(
        percentiles=percentiles("event posted to tile readable", values_ms),
        edges_ms=edges.tolist(),
        counts=counts.tolist(),
    )


def decisions(answers: Iterable[dict[str, Any]]) -> Decisions:
    """Answers by action, by the rules and risk bands that spoke, and by fallback."""
    actions, reasons, fallbacks = Counter[str](), Counter[str](), Counter[str]()
    for answer in answers:
        actions[answer["action"]] += 1
        reasons.update({r["code"] for r in answer["reasons"] if r["kind"] != "feature"})
        if answer["fallback"] != "none":
            fallbacks[answer["fallback"]] += 1
    return Decisions(by_action=actions, by_reason=reasons, fallbacks=fallbacks)


def detection(settings: Settings, system: str, day: date, *, published: bool) -> Detection:
    """The test figures and curves of the version trained for `day`; `published` puts the book's beside them."""
    import mlflow

    evaluation, run_id = _evaluated(settings, system, day)
    mlflow.set_tracking_uri(settings.mlflow_uri)
    found = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{CURVES}"))
    metrics = evaluation.candidate.metrics if evaluation.candidate else {}
    return Detection(
        protocol=f"trained for {day}: a week of test days whose labels are complete, known cards left out",
        rows=evaluation.rows,
        frauds=evaluation.frauds,
        scores=Scores(**{name: metrics.get(name) for name in Scores.model_fields}),
        published=PUBLISHED if published else None,
        published_by=PUBLISHED_BY if published else "",
        precision_recall=found["pr"],
        roc=found["roc"],
    )


def model(settings: Settings, system: str, day: date) -> Model:
    """The version that was trained for `day`, and what the gate said of it."""
    evaluation, _ = _evaluated(settings, system, day)
    candidate = evaluation.candidate
    tags = find(MlflowRegistry(settings.mlflow_uri), system, candidate.version).tags if candidate else {}
    return Model(
        name=system,
        version=candidate.version if candidate else "none",
        logical_date=day.isoformat(),
        features=len(load(system).model_features),
        git_commit=tags.get("git_commit", ""),
        outcome=("promoted: " if evaluation.promote else "kept: ") + "; ".join(evaluation.reasons),
        facts=_recalls(candidate),
    )


def parity(lake_url: str, system: str, day: date) -> list[FeatureParity]:
    """Served against recomputed values, as the parity job of `day` counted them."""
    report = json.loads(read_text(f"{layout.parity(lake_url, system, day)}/report.json"))
    return [
        FeatureParity(name=f["feature"], **{k: f[k] for k in FeatureParity.model_fields if k != "name"})
        for f in report["features"]
    ]


def archived(lake_url: str, topic: str, day: date, *columns: str) -> list[dict[str, Any]]:
    """Rows of `topic` that came from Kafka and were archived for `day`."""
    fs, path = open_lake(f"{layout.events(lake_url, topic, day)}/{layout.ORIGIN}")
    if not fs.exists(path):
        return []
    table = ds.dataset(path, filesystem=fs, format="parquet").to_table(columns=list(columns) or None)
    return table.to_pylist()  # type: ignore[no-any-return]


def on_kafka(settings: Settings) -> dict[str, int]:
    """Messages ever written to each topic, by the topic's name without prefix."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap)
    try:
        found = {}
        for topic in TOPICS:
            name = settings.topic_prefix + topic.name
            partitions = [TopicPartition(name, p) for p in consumer.partitions_for_topic(name) or ()]
            found[topic.name] = sum(consumer.end_offsets(partitions).values())
        return found
    finally:
        consumer.close()


def environment() -> Environment:
    """This machine and the versions that were run."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return Environment(
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        commit=commit or "unknown",
        versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    )


def read_text(url: str) -> str:
    """The text of a file in the lake."""
    fs, path = open_lake(url)
    return str(fs.cat_file(path).decode())


def _evaluated(settings: Settings, system: str, day: date) -> tuple[Evaluation, str]:
    evaluation = read_evaluation(settings.lake_url, system, day)
    registry = MlflowRegistry(settings.mlflow_uri)
    chosen = find(registry, system, evaluation.candidate.version) if evaluation.candidate else None
    return evaluation, chosen.run_id if chosen else ""


def _recalls(contender: Contender | None) -> dict[str, float]:
    found = contender.metrics if contender else {}
    return {name: round(value, 4) for name, value in found.items() if name.startswith("recall_scenario")}


def write_rules(folder: Path, template: Path, listed_cards: Iterable[str]) -> Path:
    """A copy of the rules in `template` with its lists, and `listed_cards` in the place of the shipped ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in template.parent.glob("*.txt"):
        (folder / file.name).write_text(file.read_text())
    (folder / "listed_cards.txt").write_text("".join(f"{card}\n" for card in listed_cards))
    copy = folder / template.name
    copy.write_text(template.read_text())
    return copy
