import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lamina.lake import layout
from lamina.quality.standing import REPORT, note_unarchived
from lamina.settings import ROOT

DAY = date(2018, 8, 8)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the tasks do where a day is good, broke its suite, is gone from Kafka for good, was not archived for a
    reason that passes, was never looked at, or could not be archived again.
    """
    folder = tmp_path_factory.mktemp("archive")
    lake = str(folder / "lake")
    for topic, status in (("good", "passed"), ("broken", "failed"), ("again", "passed")):
        page = Path(layout.quality(lake, topic, DAY))
        page.mkdir(parents=True)
        (page / REPORT).write_text(json.dumps({"status": status, "rows": 1, "failed": []}))
    note_unarchived(lake, "gone", DAY, "Kafka has deleted messages", is_final=True)
    note_unarchived(lake, "later", DAY, "Kafka did not answer", is_final=False)
    note_unarchived(lake, "again", DAY, "Kafka has deleted messages", is_final=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {"AIRFLOW_HOME": str(folder), "LAMINA_STACK_DIR": str(folder), "LAMINA_LAKE_URL": lake}
    command = [sys.executable, "-m", "tests.unit.orchestration.archive_probe"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_a_gate_records_the_day_of_a_topic_that_is_good_and_fails_for_good_else(found: dict[str, Any]) -> None:
    gates = found["gates"]
    assert gates.pop("good") == {"topic_good": {"day": "2018-08-08"}}
    assert set(gates) == {"broken", "gone", "later", "unknown", "again"}
    for topic, said in gates.items():
        assert topic in said["final"] and "clear this task" in said["final"]
    assert "report.html" in gates["broken"]["final"]
    assert "Kafka has deleted messages" in gates["gone"]["final"]


def test_who_reads_a_topic_waits_for_its_event_and_for_nothing_else(found: dict[str, Any]) -> None:
    waits = found["waits"]
    assert waits["good"] is True
    # What was let through is there, though it could not be archived once more.
    assert waits["again"] is True
    [said] = found["unannounced"]
    assert "lamina://topics/good has no event for 2018-08-08 yet: run the DAG archive_daily for that day" in said
    assert "wait_for_events off" in said
    assert found["not asked"] is True


def test_a_day_that_failed_after_it_was_let_through_is_waited_for_and_its_page_named(found: dict[str, Any]) -> None:
    for said in (found["waits"]["broken"], found["both"]):
        assert len(said) == 1 and "broke its expectations on 2018-08-08" in said[0] and "report.html" in said[0]


def test_who_has_waited_too_long_says_for_what(found: dict[str, Any]) -> None:
    assert "timed out" in found["gives up"]["final"]
    assert "run the DAG archive_daily for that day (is it switched on?)" in found["gives up"]["final"]


def test_an_archive_is_tried_again_only_where_that_may_help(found: dict[str, Any]) -> None:
    archives = found["archives"]
    assert set(archives["good broken"]) == {"final"}
    assert "broken broke its expectations" in archives["good gone broken"]["final"]
    assert "gone was not archived for 2018-08-08: Kafka has deleted messages" in archives["good gone broken"]["final"]
    for of in ("good", "broken later", "good unknown"):
        assert archives[of] == {"again": "spark-submit ended with 1"}, of
