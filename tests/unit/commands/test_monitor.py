"""`lamina monitor`: what its commands say of the reports in the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamina.commands import monitor
from lamina.monitoring.reports import Alert, Report, Window, write_report


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
