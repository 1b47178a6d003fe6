"""The stack's Airflow, and the DAGs in it: read, triggered, waited for, and one Spark job through `spark_default`.

All that needs it is here: while it runs it takes a part of a core, so this module starts it and stops it.
A whole day of `features_daily` and a whole training run are part of the end-to-end test of the main job.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from jobs.spark import offsets
from lamina.clock import DAY_MS, day_of, system_clock
from lamina.contracts.user_events import USER_EVENTS
from lamina.lake import layout
from lamina.lake.layout import HOUR
from lamina.lake.manifest import read_manifest
from lamina.local import orphans
from lamina.local.archive import pack
from lamina.local.layout import main_bin
from lamina.local.service import get_json
from lamina.local.stack import Stack
from lamina.monitoring.hours import HOUR_MS
from lamina.monitoring.reports import Alert, Report, Window, write_report
from lamina.orchestration.airflow_client import AirflowClient
from lamina.orchestration.airflow_runs import AirflowError, DagRun, DagRunFailed, DagRunTimedOut
from lamina.orchestration.jobs import ARCHIVE_DAILY, CODE, every_topic
from lamina.streams.produce import EventProducer
from lamina.streams.topics import create_topics

pytestmark = pytest.mark.services

# A loaded machine may take minutes to start a task; nothing is asserted of how long it takes.
PATIENCE_S = 300
DAY, NEXT = date(2018, 8, 21), date(2018, 8, 22)
ALARMED = datetime(2018, 8, 25, 7, tzinfo=UTC)
TRAINING = "ml_model_training_fraud"


@pytest.fixture(scope="module")
def airflow(airflow_url: str) -> Iterator[AirflowClient]:
    with AirflowClient(airflow_url) as client:
        yield client


def test_every_process_can_be_found_by_its_marker(stack: Stack, kafka: str, redis_url: str, airflow_url: str) -> None:
    """Redis and Airflow rewrite their titles, which can wipe the environment that orphans are found by."""
    supervisor = psutil.Process(stack._supervisor.pid())
    found = {process.pid for process in orphans.of_stack(stack.layout.stack_dir)}
    for child in supervisor.children(recursive=True):
        assert child.pid in found or not child.is_running(), child


def test_no_part_of_airflow_is_dead(airflow_url: str) -> None:
    """What its home page shows in green and red."""
    health = get_json(f"{airflow_url}/api/v2/monitor/health")
    assert {part: state["status"] for part, state in health.items()} == dict.fromkeys(
        ("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy"
    )


def test_no_secret_of_the_stack_is_in_the_arguments_of_a_process(stack: Stack, airflow_url: str) -> None:
    """Everybody on a machine reads these, in `ps`."""
    secrets = stack._known_plan().secrets.values()
    supervisor = psutil.Process(stack._supervisor.pid())
    commands = [" ".join(child.cmdline()) for child in supervisor.children(recursive=True)]
    assert len(commands) >= 4
    assert not [command for command in commands if any(secret in command for secret in secrets)]


@pytest.mark.slow
def test_airflow_uses_the_file_at_the_top_level(airflow_url: str, stack: Stack) -> None:
    binary = str(Path(sys.executable).parent / "airflow")
    for section, key, value in [("core", "parallelism", "4"), ("core", "load_examples", "False")]:
        command = [binary, "config", "get-value", section, key]
        env = {**os.environ, **stack.airflow_env()}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip().splitlines()[-1] == value
    assert get_json(f"{airflow_url}/api/v2/monitor/health")["scheduler"]["status"] == "healthy"


def test_airflow_reads_every_dag(airflow: AirflowClient) -> None:
    for dag_id in ("archive_daily", "features_daily_fraud", "features_daily_activity", "ml_model_training_fraud"):
        airflow.wait_for_dag(dag_id)


def test_a_parameter_that_cannot_be_is_refused_in_airflows_words(airflow: AirflowClient) -> None:
    airflow.wait_for_dag(TRAINING)
    with pytest.raises(AirflowError, match="train_days"):
        airflow.trigger(TRAINING, DAY, {"train_days": 0}, rerun=True)


def test_training_waits_for_the_features_of_its_day(airflow: AirflowClient) -> None:
    airflow.wait_for_dag(TRAINING)
    airflow.unpause(TRAINING)
    run = airflow.trigger(TRAINING, DAY, rerun=True)
    deadline = time.monotonic() + PATIENCE_S
    while {task.task_id: task.state for task in airflow.tasks(run)}["wait_for_features"] != "up_for_reschedule":
        assert time.monotonic() < deadline, airflow.tasks(run)
        time.sleep(1)
    with pytest.raises(DagRunTimedOut, match=r"wait_for_features \w+.*extract_data waiting"):
        airflow.wait(run, 0)
    with pytest.raises(AirflowError, match="has a run for 2018-08-21 already"):
        airflow.trigger(TRAINING, DAY)
    found = airflow.find(TRAINING, DAY)
    assert found is not None
    assert (found.dag_run_id, found.logical_date) == (run.dag_run_id, datetime(2018, 8, 21, tzinfo=UTC))
    assert "run the DAG features_daily_fraud for that day" in "\n".join(airflow.log(found, airflow.tasks(found)[0]))


def test_a_run_of_the_future_fails_and_holds_nothing_up(airflow: AirflowClient) -> None:
    """As triggered in the UI, behind our client's back: none of its tasks is ever started, and one more waits."""
    dag_id = "features_backfill"
    airflow.wait_for_dag(dag_id)
    airflow.unpause(dag_id)
    ahead, behind = (
        DagRun.model_validate(
            airflow._json("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": at, "conf": {"system": "fraud"}})
        )
        for at in ("2099-01-01T00:00:00Z", "2018-08-21T00:00:00Z")
    )
    with pytest.raises(DagRunFailed, match="before any task ran"):
        airflow.wait(ahead, PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while airflow._look(behind)[0].state == "queued":
        assert time.monotonic() < deadline
        time.sleep(1)


def test_a_day_that_is_not_over_fails_in_the_first_task(airflow: AirflowClient) -> None:
    today, dag_id = day_of(system_clock()), "features_daily_activity"
    airflow.wait_for_dag(dag_id)
    airflow.unpause(dag_id)
    start = datetime(today.year, today.month, today.day, tzinfo=UTC)
    run = airflow._start(dag_id, start, timedelta(days=1), {"logical_date": start.isoformat()})
    with pytest.raises(DagRunFailed, match=f"{today} is not over") as failure:
        airflow.wait(run, PATIENCE_S)
    first = airflow.tasks(failure.value.run)[0]
    assert (first.task_id, first.try_number) == (failure.value.task_id, 1)


def test_a_spark_job_is_submitted_for_its_day(stack: Stack, kafka: str, airflow_url: str) -> None:
    pack(CODE)
    create_topics(kafka, "")
    lake = stack.env["LAMINA_LAKE_URL"]
    command = [str(main_bin("airflow")), "tasks", "test", "archive_daily", "archive", DAY.isoformat()]
    env = {**os.environ, **stack.airflow_env()}
    # The command writes the DAG down for the scheduler: with a schedule, yesterday would be archived before other days.
    assert env["LAMINA_DAG_SCHEDULE"] == "none"
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=stack.layout.run)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-6000:]
    assert "--master local[*]" in output
    assert f"--py-files {CODE}" in output
    assert "spark-sql-kafka" in output
    assert '"archived":0' in output
    assert Path(layout.events(lake, "transactions", DAY)).is_dir()


def test_an_alert_starts_one_training_and_the_next_hour_none(airflow: AirflowClient, stack: Stack) -> None:
    """Two hours with an alert, of a kind of report that no task makes anew: the second is within the cool-down."""
    lake, hours = stack.env["LAMINA_LAKE_URL"], [ALARMED, ALARMED + timedelta(hours=1)]
    for hour in hours:
        end_ms = round(hour.timestamp() * 1000) + HOUR_MS
        alert = Alert(
            name="fell",
            severity="critical",
            subject="1",
            value=0.6,
            threshold=0.7,
            message="0.6",
            since_ms=end_ms - DAY_MS,
        )
        window = Window(start_ms=end_ms - HOUR_MS, end_ms=end_ms)
        told = Report(kind="elsewhere", system="fraud", known_before_ms=end_ms, window=window, alerts=(alert,))
        write_report(lake, hour, told)
    for dag in ("monitoring_fraud", TRAINING):
        airflow.wait_for_dag(dag)
        airflow.unpause(dag)
    runs = [airflow.trigger_hour("monitoring_fraud", hour, rerun=True) for hour in hours]
    first, second = ({task.task_id: task.state for task in airflow.wait(run, PATIENCE_S)} for run in runs)
    reported = dict.fromkeys(("performance", "estimated", "drift", "all_reported"), "success")
    assert first == {**reported, "choose_retraining": "success", "retrain": "success"}
    assert second == {**reported, "choose_retraining": "skipped", "retrain": "skipped"}
    started = airflow.named(TRAINING, f"drift__{hours[0]:{HOUR}}")
    assert started is not None and started.logical_date == ALARMED - timedelta(hours=23, minutes=30)
    assert airflow.named(TRAINING, f"drift__{hours[1]:{HOUR}}") is None
    # It waits for features that nobody makes here.
    airflow._json("PATCH", f"/dags/{TRAINING}/dagRuns/{quote(started.dag_run_id)}", json={"state": "failed"})


@pytest.mark.timeout(1800)
def test_a_topic_that_fails_holds_up_those_that_read_it_and_nobody_else(
    airflow: AirflowClient, stack: Stack, kafka: str
) -> None:
    """Nothing but rubbish on one topic: its gate stops it, until a person has looked at it and let it pass."""
    pack(CODE)
    create_topics(kafka, "")
    with EventProducer(kafka, "") as producer:
        for i in range(10):
            producer.send_bytes(USER_EVENTS, b"u1", b"{broken %d" % i)
    assert sum(offsets.held(kafka, USER_EVENTS)[1].values()) == 10, "it is there before the archive looks"
    with pytest.raises(DagRunFailed, match=f"{USER_EVENTS} broke its expectations on {NEXT}") as failure:
        first, *others = airflow.run_day(ARCHIVE_DAILY, NEXT, 2 * PATIENCE_S)
        done = airflow.find(ARCHIVE_DAILY, NEXT)
        assert done is not None
        read = read_manifest(stack.env["LAMINA_LAKE_URL"], USER_EVENTS, NEXT)
        pytest.fail("\n".join(map(str, ("it succeeded", first, *others, read, *airflow.log(done, first)))))
    run = failure.value.run
    states = {task.task_id: task.state for task in airflow.tasks(run)}
    gates = {topic: f"quality_gate.{topic}" for topic in every_topic()}
    assert states.pop("archive") == states.pop(gates[USER_EVENTS]) == "failed"
    assert states == {gate: "success" for topic, gate in gates.items() if topic != USER_EVENTS}

    def first_look(system: str) -> tuple[str | None, str]:
        dag = f"features_daily_{system}"
        airflow.wait_for_dag(dag)
        airflow.unpause(dag)
        waiting = airflow.trigger(dag, NEXT, rerun=True)
        while True:
            [task] = [task for task in airflow.tasks(waiting) if task.task_id == "wait_for_events"]
            if task.state in ("success", "failed", "up_for_reschedule"):
                break
            time.sleep(1)
        said = "\n".join(airflow.log(waiting, task))
        # A run that goes on cannot be replaced.
        airflow._json("PATCH", f"/dags/{dag}/dagRuns/{quote(waiting.dag_run_id)}", json={"state": "failed"})
        return task.state, said

    assert first_look("fraud")[0] == "success"
    state, said = first_look("activity")
    assert state == "up_for_reschedule"
    assert "lamina://topics/user-events has no event for 2018-08-22 yet: run the DAG archive_daily" in said
    assert f"{USER_EVENTS} broke its expectations on {NEXT}: open " in said

    release = [sys.executable, "-m", "jobs.spark.quality", "--topic", USER_EVENTS, "--date", str(NEXT), "--release"]
    subprocess.run(release, env={**os.environ, **stack.env}, check=True, capture_output=True)
    clear = {"dry_run": False, "dag_run_id": run.dag_run_id, "task_ids": [gates[USER_EVENTS]], "reset_dag_runs": True}
    airflow._json("POST", f"/dags/{ARCHIVE_DAILY}/clearTaskInstances", json=clear)
    deadline = time.monotonic() + PATIENCE_S
    while {task.task_id: task.state for task in airflow.tasks(run)}[gates[USER_EVENTS]] != "success":
        assert time.monotonic() < deadline, airflow.tasks(run)
        time.sleep(1)
    assert first_look("activity")[0] == "success"
