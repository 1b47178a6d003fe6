"""A real Prometheus beside the real API and the real sink: what it scrapes, shows and tells."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from lamina.contracts.topics import FEATURE_TILES
from lamina.lake import layout
from lamina.local.prometheus import Programs
from lamina.monitoring.drift.findings import Finding, Kind
from lamina.monitoring.drift.report import DriftReport
from lamina.monitoring.forms import Counts, Estimate, EstimatedPart, EstimatedReport, Figure, Group, PerformanceReport
from lamina.monitoring.reports import Alert, Window, hour_of, write_report
from lamina.registry.memory import MemoryRegistry
from lamina.settings import ROOT, Settings
from tests.integration.serving import (
    decide,
    free_port,
    past,
    posts_to,
    remember,
    running,
    settings_of_fraud,
    small_registry,
    until,
)
from tests.integration.watched import Watched, Webhook, watching
from tests.watching import ALERTS, RULES, panels, plain

pytestmark = pytest.mark.services


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    return small_registry(tmp_path)


@pytest.fixture
def settings(tmp_path: Path, kafka: str, clean_redis: str, topic_prefix: str) -> Settings:
    return settings_of_fraud(tmp_path, kafka, clean_redis, topic_prefix)


@contextmanager
def sink(settings: Settings, folder: Path, port: int) -> Iterator[None]:
    """The sink as it is started anywhere, a process of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LAMINA_")} | {
        "LAMINA_STACK_DIR": str(settings.stack_dir),
        "LAMINA_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "LAMINA_REDIS_URL": settings.redis_url.get_secret_value(),
        "LAMINA_TOPIC_PREFIX": settings.topic_prefix,
    }
    command = [sys.executable, "-m", "lamina.streams.sink", "--metrics-port", str(port)]
    with (folder / "sink.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def report(settings: Settings, day: date, mismatches: int) -> None:
    folder = Path(layout.parity(settings.lake_url, "fraud", day))
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"compared": 9, "mismatches": mismatches}))


def performance(settings: Settings, end_ms: int, *alerts: Alert) -> None:
    """The report of the hour that ends at `end_ms`, on a version that does well, with these alerts."""
    window = Window(start_ms=end_ms - 3_600_000, end_ms=end_ms)
    figures = {"auc": Figure(value=0.91, low=0.88, high=0.93)}
    made = PerformanceReport(
        system="fraud",
        known_before_ms=end_ms,
        window=window,
        recent=window,
        counts=Counts(answers=9, unscored=0, waiting=0, said_early=0, unknown=0, known=0, judged=9),
        baselines={},
        groups=(Group(model_version="1", rows=9, positives=3, figures=figures),),
        alerts=alerts,
    )
    write_report(settings.lake_url, hour_of(end_ms - 1), made)


def estimated(settings: Settings, end_ms: int) -> None:
    """The estimates of that hour."""
    window = Window(start_ms=end_ms - 3_600_000, end_ms=end_ms)
    auc = Estimate(value=0.8, low=0.77, high=0.83, sampling_error=0.01)
    part = EstimatedPart(model_version="1", rows=9, figures={"auc": auc})
    made = EstimatedReport(
        system="fraud",
        known_before_ms=end_ms,
        window=window,
        recent=window,
        parts=(part,),
        mean_error={"1": {"auc": 0.02}},
    )
    write_report(settings.lake_url, hour_of(end_ms - 1), made)


def drift(settings: Settings, end_ms: int) -> None:
    """What is found of a feature and of the scores in that hour: no drift."""
    found = (
        Finding(
            kind=kind,
            subject=subject,
            statistic="ks",
            threshold=0.1,
            reference_rows=9000,
            rows=900,
            effect=0.02,
            p=0.4,
            adjusted=0.8,
        )
        for kind, subject in ((Kind.COVARIATE, "amount"), (Kind.PREDICTION, "score"))
    )
    window = Window(start_ms=end_ms - 86_400_000, end_ms=end_ms)
    made = DriftReport(system="fraud", known_before_ms=end_ms, window=window, model_version="1", findings=tuple(found))
    write_report(settings.lake_url, hour_of(end_ms - 1), made)


class Traffic:
    """Payments to the API, and tiles as the stream job would write them."""

    def __init__(self, client: httpx.Client, settings: Settings) -> None:
        self._client, self._topic = client, settings.topic_prefix + FEATURE_TILES
        self._producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "linger.ms": 0})

    def go_on(self) -> None:
        for _ in range(3):
            decide(self._client)
        now_ms = int(time.time() * 1000) // 1000 * 1000
        self.tile(f"user:watched\ttransactions@1s#abcdef/{now_ms}".encode(), b"1\x1f2.5")

    def tile(self, key: bytes, payload: bytes) -> None:
        self._producer.produce(self._topic, payload, key)
        self._producer.flush(10)


def test_what_is_watched_is_there_and_a_fault_is_told_and_taken_back(
    prometheus: Programs, settings: Settings, registry: MemoryRegistry, tmp_path: Path
) -> None:
    remember(settings.redis_url.get_secret_value(), past())
    report(settings, date(2018, 8, 14), mismatches=0)
    now_ms = int(time.time() * 1000)
    low = Alert(name="auc_below_minimum", severity="critical", subject="1", value=0.6, threshold=0.7, message="low")
    performance(settings, now_ms - 3_600_000, low)
    estimated(settings, now_ms)
    drift(settings, now_ms)
    webhook, sink_port = Webhook(), free_port()
    targets = {"api": settings.api_port, "sink": sink_port}
    with (
        running(settings, registry) as (client, service),
        sink(settings, tmp_path, sink_port),
        posts_to(webhook.port, webhook.take),
        watching(prometheus, tmp_path, targets, webhook) as watched,
    ):
        traffic = Traffic(client, settings)
        _every_target_is_up(watched)
        _every_rule_is_loaded(watched)
        _every_panel_has_data(watched, traffic)

        until(lambda: webhook.statuses("ModelPerformanceFell") == ["firing"])
        performance(settings, now_ms)
        service.read_monitoring()
        until(lambda: webhook.statuses("ModelPerformanceFell")[-1] == "resolved")

        report(settings, date(2018, 8, 15), mismatches=3)
        service.read_parity()
        traffic.tile(b"no tile", b"1")
        until(lambda: {"ParityMismatches", "DeadLettersArrive"} <= watched.firing())
        until(lambda: webhook.statuses("ParityMismatches") == ["firing"])
        until(lambda: "firing" in webhook.statuses("DeadLettersArrive"))
        (told,) = [each for each in webhook.told if each["labels"]["alertname"] == "ParityMismatches"]
        assert told["labels"]["system"] == "fraud"
        assert told["annotations"]["summary"].startswith("3 values that fraud served")

        report(settings, date(2018, 8, 16), mismatches=0)
        service.read_parity()
        until(lambda: webhook.statuses("ParityMismatches")[-1] == "resolved")
        assert watched.firing() == {"DeadLettersArrive"}, "nothing else is wrong"


def _every_target_is_up(watched: Watched) -> None:
    until(lambda: set(watched.targets().values()) == {"up"}, within_s=60)
    assert set(watched.targets()) == {"api", "sink", "prometheus", "alertmanager"}


def _every_rule_is_loaded(watched: Watched) -> None:
    until(lambda: all(rule["health"] != "unknown" for rule in watched.rules()))
    loaded = watched.rules()
    assert {rule["name"]: rule.get("lastError", "") for rule in loaded if rule["health"] != "ok"} == {}
    assert len(loaded) == len(RULES) and set(ALERTS) <= {rule["name"] for rule in loaded}


def _every_panel_has_data(watched: Watched, traffic: Traffic) -> None:
    waiting: dict[str, Any] = {f"{name}: {expr}": plain(expr) for name, expr in panels()}
    assert waiting

    def shown() -> bool:
        traffic.go_on()
        for name, expr in list(waiting.items()):
            if any(not math.isnan(number) for number in watched.numbers(expr)):
                del waiting[name]
        return not waiting

    try:
        until(shown, within_s=60)
    except AssertionError:
        raise AssertionError("panels without data:\n" + "\n".join(waiting)) from None
