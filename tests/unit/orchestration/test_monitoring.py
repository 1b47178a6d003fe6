"""Tasks that report on an hour, and the pages that their links lead to."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from lamina.monitoring.reports import Report, Window, write_report
from lamina.settings import ROOT

HOUR = datetime(2018, 8, 21, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tasks and pages do, in a process of its own: Airflow changes logging and warnings of the one it is in."""
    folder = tmp_path_factory.mktemp("monitoring")
    lake = folder / "lake"
    report = Report(kind="performance", system="fraud", known_before_ms=9, window=Window(start_ms=0, end_ms=9))
    write_report(str(lake), HOUR, report, {"report.html": b"<p>good"})
    write_report(str(lake), HOUR, report.model_copy(update={"kind": "drift"}))
    (folder / "secret").mkdir()
    (folder / "secret" / "report.html").write_text("<p>secret")
    (lake / "events" / "x").mkdir(parents=True)
    (lake / "events" / "x" / "report.html").write_text("<p>events")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {
        "AIRFLOW_HOME": str(folder),
        "LAMINA_STACK_DIR": str(folder),
        "LAMINA_LAKE_URL": str(lake),
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-the-test" * 8,
        "AIRFLOW__API__BASE_URL": "http://airflow.test:8080/",
    }
    command = [sys.executable, "-m", "tests.unit.orchestration.monitoring_probe"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_a_task_asks_for_its_hour_and_for_what_was_known_then(found: dict[str, Any]) -> None:
    ending = "-m lamina.cli monitor performance --system fraud --at 2018-08-21T07"
    assert found["usual"]["command"].endswith(ending)
    assert found["known"]["command"].endswith(f"{ending} --known-at 2018-08-21T09:30:00")


def test_its_link_leads_to_its_report(found: dict[str, Any]) -> None:
    folder = "monitoring/fraud/performance/hour=2018-08-21T07"
    assert found["usual"]["link"] == f"http://airflow.test:8080/lamina/reports/{folder}"
    assert found["page"] == [200, "<p>good", "text/html; charset=utf-8"]
    assert "sandbox" in found["policy"] and "default-src 'none'" in found["policy"]


def test_a_report_without_a_page_is_shown_as_it_is(found: dict[str, Any]) -> None:
    status, text, kind = found["plain"]
    assert (status, kind) == (200, "application/json") and json.loads(text)["kind"] == "drift"


def test_nobody_sees_a_report_without_signing_in_to_airflow(found: dict[str, Any]) -> None:
    assert found["stranger"] == 401
    assert found["liar"] in (401, 403)


def test_nothing_but_reports_is_shown(found: dict[str, Any]) -> None:
    assert found["missing"] == 404
    assert set(found["refused"].values()) == {404}, found["refused"]


@pytest.mark.parametrize("text", ["2018-08-21T09:30:00; rm -r /", "$(id)", "2018-08-21", "yesterday"])
def test_a_time_that_is_no_time_never_reaches_a_shell(found: dict[str, Any], text: str) -> None:
    assert text in found["no_times"]
