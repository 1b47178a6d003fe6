"""What the run left behind, gathered for the report: from the registry, the lake, Kafka and the answers themselves."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from lamina.catalog import TOPICS
from lamina.definitions import load
from lamina.demo.live import LiveResult
from lamina.demo.story import Story
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.registry.evaluation import Evaluation, read_evaluation
from lamina.registry.mlflow import MlflowRegistry
from lamina.registry.protocol import find
from lamina.reporting.results import (
    Environment,
    FeatureParity,
    Freshness,
    Latency,
    Model,
    Percentiles,
)
from lamina.settings import ROOT, Settings

CURVES = "curves/curves.json"
QUANTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "p999_ms": 99.9}
PACKAGES = ("apache-airflow", "pyspark", "mlflow", "xgboost", "lightgbm", "fastapi", "kafka-python", "redis")


def percentiles(name: str, values_ms: Sequence[float]) -> Percentiles:
    """Percentiles of times in milliseconds; all 0 without values."""
    found = {k: float(np.percentile(values_ms, q)) if len(values_ms) else 0.0 for k, q in QUANTILES.items()}
    return Percentiles(name=name, count=len(values_ms), **found)


def latency(story: Story, live: LiveResult, logged: Sequence[dict[str, Any]], rate_s: float) -> Latency:
    """Times as the client saw them, and by stage as the API logged them in `logged` answers."""
    by_stage: dict[str, list[float]] = {}
    for answer in logged:
        for stage, ms in json.loads(answer["stage_ms"]).items():
            by_stage.setdefault(stage, []).append(ms)
    whole = percentiles(f"whole {story.answer}, in the API", [d["latency_ms"] for d in logged])
    return Latency(
        rate_per_s=rate_s,
        errors=sum(live.failed.values()),
        client=percentiles("client, from the intended start", live.latency_ms),
        stages=[*(percentiles(stage, values) for stage, values in by_stage.items()), whole],
        target=story.target,
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


def model(settings: Settings, story: Story) -> Model:
    """The version that was trained, and what the gate said of it."""
    system, day = story.system, story.source.training_date
    evaluation, _ = evaluated(settings, system, day)
    candidate = evaluation.candidate
    tags = find(MlflowRegistry(settings.mlflow_uri), system, candidate.version).tags if candidate else {}
    return Model(
        name=system,
        version=candidate.version if candidate else "none",
        logical_date=day.isoformat(),
        features=len(load(system).model_features),
        git_commit=tags.get("git_commit", ""),
        outcome=("promoted: " if evaluation.promote else "kept: ") + "; ".join(evaluation.reasons),
        facts={k: round(v, 4) for k, v in figures(evaluation).items() if k.startswith(story.facts)},
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


def figures(evaluation: Evaluation) -> Mapping[str, float]:
    """The metrics of the version that was trained; none when it cannot serve."""
    return evaluation.candidate.metrics if evaluation.candidate else {}


def curves(settings: Settings, run_id: str) -> dict[str, list[tuple[float, float]]]:
    """The curves that a training run has left, as points: `pr` (recall, precision), `roc` (false positives, recall)."""
    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_uri)
    found = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{CURVES}"))
    return {name: [(x, y) for x, y in points] for name, points in found.items()}


def evaluated(settings: Settings, system: str, day: date) -> tuple[Evaluation, str]:
    """The evaluation of the version of `system` that was trained for `day`, and the run that made it."""
    evaluation = read_evaluation(settings.lake_url, system, day)
    registry = MlflowRegistry(settings.mlflow_uri)
    chosen = find(registry, system, evaluation.candidate.version) if evaluation.candidate else None
    return evaluation, chosen.run_id if chosen else ""
