"""The command of a system reports an hour from the lake; the same question again leaves the same bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from lamina.clock import DAY_MS, day_of
from lamina.lake import layout
from lamina.monitoring.command import performance_command
from lamina.monitoring.forms import PerformanceReport
from lamina.monitoring.hours import HourNotOver, days_between, times_of
from lamina.monitoring.reports import newest
from lamina.registry import mlflow
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, TrainingRun
from models.fraud.problem import PROBLEM
from tests.unit.monitoring.joined import BEGIN_MS, DELAY_MS, calibrated, table

AT = "2018-08-20T23"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A week of joined rows of version 3, which was .99 in its own test."""
    registry = MemoryRegistry(tmp_path / "registry")
    for n in (1, 2, 3):
        folder = tmp_path / f"run-{n}" / MODEL_FOLDER
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(json.dumps({"system": "fraud", "metrics": {"auc": 0.99}}))
        run_id = registry.record(TrainingRun("fraud", day_of(BEGIN_MS), folder.parent))
        registry.register("fraud", run_id, {})
    monkeypatch.setattr(mlflow, "MlflowRegistry", lambda uri: registry)
    rows = calibrated(1400)
    for n in range(7):
        day = day_of(BEGIN_MS + n * DAY_MS)
        folder = Path(layout.joined(str(tmp_path / "lake"), "fraud", day))
        folder.mkdir(parents=True)
        pq.write_table(table([r for r in rows if day_of(r["timestamp"]) == day]), folder / "part-0.parquet")
    return str(tmp_path / "lake")


def run(lake: str, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(performance_command(PROBLEM))
    return CliRunner().invoke(app, ["--lake-url", lake, *arguments], catch_exceptions=False)


def test_an_hour_is_reported_with_the_fall_and_again_the_same(lake: str) -> None:
    done = run(lake, "--at", AT)
    assert done.exit_code == 0 and "warning: auc of version 3 is 0.8" in done.output
    found = newest(lake, "fraud", "performance", PerformanceReport)
    assert found is not None and found.baselines == {"3": {"auc": 0.99}}
    assert found.counts.judged > 1300 and found.window.end_ms == found.known_before_ms == BEGIN_MS + 14 * DAY_MS
    file = Path(layout.monitoring(lake, "fraud", "performance", datetime(2018, 8, 20, 23, tzinfo=UTC)), "report.json")
    before = file.read_bytes()
    run(lake, "--at", AT)
    assert file.read_bytes() == before
    run(lake, "--at", AT, "--known-at", "2018-08-19T00:00:00")
    assert file.read_bytes() != before
    run(lake, "--at", AT, "--known-at", "2018-08-21T00:00:00")
    assert file.read_bytes() == before


def test_a_lake_without_rows_gives_a_report_without_a_verdict(tmp_path: Path, lake: str) -> None:
    assert run(str(tmp_path / "empty"), "--at", AT).exit_code == 0
    found = newest(str(tmp_path / "empty"), "fraud", "performance", PerformanceReport)
    assert found is not None and found.no_verdict and not found.groups


def test_an_hour_has_to_be_over() -> None:
    at, end = datetime(2018, 8, 20, 23, 59, tzinfo=UTC), BEGIN_MS + 14 * DAY_MS
    hour, end_ms, known_ms = times_of(at, None, lambda: end)
    assert (hour, end_ms, known_ms) == (datetime(2018, 8, 20, 23, tzinfo=UTC), end, end)
    with pytest.raises(HourNotOver, match=r"2018-08-20T23 .* is not over: it is 2018-08-20 23:59"):
        times_of(at, None, lambda: end - 1)
    with pytest.raises(HourNotOver, match="known before 2018-08-22"):
        times_of(at, datetime(2018, 8, 22, tzinfo=UTC), lambda: end)
    assert times_of(at, datetime(2018, 8, 14, tzinfo=UTC), lambda: end)[2] == end - DELAY_MS


def test_no_day_of_a_time_is_left_out() -> None:
    assert len(days_between(0, DAY_MS)) == 1
    assert len(days_between(DAY_MS - 1, DAY_MS + 1)) == 2
