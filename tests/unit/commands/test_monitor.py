"""`lamina monitor`: what its commands say of the reports in the lake."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lamina.clock import DAY_MS, day_of
from lamina.commands import monitor
from lamina.definitions import records
from lamina.lake import layout
from lamina.monitoring.forms import EstimatedReport
from lamina.monitoring.reports import Alert, Report, Window, newest, write_report
from tests.unit.monitoring.joined import BEGIN_MS, calibrated, table, waiting


@pytest.fixture(autouse=True)
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LAMINA_LAKE_URL", str(tmp_path))
    monkeypatch.setenv("LAMINA_STACK_DIR", str(tmp_path / "stack"))
    return str(tmp_path)


def said(*arguments: str) -> str:
    done = CliRunner().invoke(monitor.app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_newest_report_is_listed_with_its_alerts(lake: str) -> None:
    assert "there are no reports" in said("list")
    for hour, alerts in ((6, 2), (7, 1)):
        fell = Alert(name="low", severity="critical", subject="3", value=0.6, threshold=0.7, message=f"fell at {hour}")
        report = Report(
            kind="performance",
            system="fraud",
            known_before_ms=1_534_834_800_000,
            window=Window(start_ms=0, end_ms=1_534_831_200_000),
            alerts=(fell,) * alerts,
        )
        write_report(lake, datetime(2018, 8, 21, hour, tzinfo=UTC), report)
    found = said("list")
    (row,) = [line.split() for line in found.splitlines() if line.startswith("fraud  ") or " 2018-08-21 " in line]
    assert row == ["fraud", "performance", "2018-08-21", "06:00", "2018-08-21", "07:00", "1"]
    assert "fraud performance, critical: fell at 7" in found and "fell at 6" not in found
    assert "there are no reports" in said("list", "--system", "activity")


def test_estimates_are_made_of_the_joined_rows_and_again_the_same(lake: str) -> None:
    rows = calibrated(1400, days=14)
    for r in rows:
        if r["timestamp"] >= BEGIN_MS + 7 * DAY_MS:
            r |= waiting() if not r["label"] else {}
    for n in range(14):
        day = day_of(BEGIN_MS + n * DAY_MS)
        folder = Path(layout.joined(lake, "fraud", day))
        folder.mkdir(parents=True)
        pq.write_table(table([r for r in rows if day_of(r["timestamp"]) == day]), folder / "part-0.parquet")
    ask = ("estimated", "--system", "fraud", "--at", "2018-08-20T23")
    said(*ask)
    found = newest(lake, "fraud", "estimated", EstimatedReport)
    assert found is not None and found.parts[0].reference_rows == 700 and found.parts[0].figures
    file = Path(lake, "monitoring/fraud/estimated/hour=2018-08-20T23/report.json")
    before = file.read_bytes()
    said(*ask, "--known-at", "2018-08-21T00:00:00")
    assert file.read_bytes() == before


def test_performance_is_the_business_of_the_systems_own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run(module: str, arguments: Sequence[str]) -> int:
        asked.append((module, *arguments))
        return 3

    monkeypatch.setattr(monitor, "run_module", run)
    options = ["--system", "activity", "--at", "2018-08-20T23", "--known-at", "2018-08-21"]
    done = CliRunner().invoke(monitor.app, ["performance", *options])
    assert done.exit_code == 3
    assert asked == [
        ("models.activity.performance", "--at", "2018-08-20T23", "--known-at", "2018-08-21T00:00:00"),
    ]


def test_every_system_with_a_model_has_that_module() -> None:
    for system in records():
        if system.has_model:
            assert find_spec(f"models.{system.name}.performance") is not None
