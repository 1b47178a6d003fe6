import ast
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lamina.contracts.platform_topics import PLATFORM_EVENTS
from lamina.definitions import records, system_names
from lamina.orchestration.jobs import has_model
from lamina.settings import ROOT

KINDS = ("performance", "estimated", "drift")
WAYS = {"blend": "blend", "online": "learn"}

DAGS = ROOT / "dags"
MODELS = set(filter(has_model, system_names()))
FED = {each.name for each in records() if each.feedback}
TOPICS = {each.name: {*each.feature_topics, *([each.served.name] if each.served else [])} for each in records()}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    # A stack that happens to run beside the tests must not change what they see.
    env |= {"AIRFLOW_HOME": str(home), "LAMINA_STACK_DIR": str(home / "stack")}
    command = [sys.executable, str(Path(__file__).with_name("probe.py")), str(DAGS)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def read(probed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = probed["scheduled"]
    return found


@pytest.fixture(scope="module")
def dags(read: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = read["dags"]
    return found


def _edges(dag: dict[str, Any]) -> set[tuple[str, str]]:
    return {(above, name) for name, task in dag["tasks"].items() for above in task["upstream"]}


def test_fraud_has_a_model_and_three_topics() -> None:
    assert "fraud" in MODELS
    assert TOPICS["fraud"] == {"transactions", "fraud-labels", "predictions-fraud"}


def test_every_system_has_its_dags(dags: dict[str, Any]) -> None:
    daily = {"archive_daily", *(f"features_daily_{system}" for system in system_names())}
    models = {f"{dag}_{system}" for system in MODELS for dag in ("ml_model_training", "monitoring", "challengers")}
    assert set(dags) == daily | {"features_backfill"} | models


def test_a_day_is_rebuilt_published_and_compared_once_its_topics_are_there(dags: dict[str, Any]) -> None:
    for system in system_names():
        daily = dags[f"features_daily_{system}"]
        compared = {("wait_for_events", "parity"), ("wait_for_served", "parity")} if system in MODELS else set()
        joined = {(f"wait_for_{what}", "join_labels") for what in ("events", "served") if system in MODELS}
        said = {"model-feedback"} if system in FED else set()
        joined |= {("wait_for_feedback", "join_labels")} if said else set()
        assert _edges(daily) == compared | joined | set(pairwise(("wait_for_events", "batch_features", "publish")))
        served = {f"predictions-{system}"} if system in MODELS else set()
        waits = {"wait_for_events": TOPICS[system] - served} | ({"wait_for_served": served} if served else {})
        waits |= {"wait_for_feedback": said} if said else {}
        for task, topics in waits.items():
            assert set(daily["tasks"][task]["inlets"]) == {f"lamina://topics/{topic}" for topic in topics}
        assert daily["params"] == {"wait_for_events": True}


def test_every_topic_is_archived_once_and_has_a_gate_of_its_own(dags: dict[str, Any]) -> None:
    archive = dags["archive_daily"]
    topics = set.union(*TOPICS.values(), {events.name for events in PLATFORM_EVENTS})
    assert _edges(archive) == {("archive", f"quality_gate.{topic}") for topic in topics}
    given = archive["tasks"]["archive"]["arguments"]
    assert sorted(value for flag, value in pairwise(given) if flag == "--topic") == sorted(topics)
    for topic in topics:
        gate = archive["tasks"][f"quality_gate.{topic}"]
        assert gate["outlets"] == [f"lamina://topics/{topic}"]
        # One topic makes the archive fail; the others go on.
        assert gate["trigger_rule"] == "all_done"


def test_training_is_a_chain_that_ends_in_two_ways(dags: dict[str, Any]) -> None:
    for system in MODELS:
        assert _edges(dags[f"ml_model_training_{system}"]) == {
            ("wait_for_features", "extract_data"),
            ("extract_data", "engineer_features"),
            ("engineer_features", "train_model"),
            ("train_model", "evaluate_model"),
            ("evaluate_model", "choose_champion"),
            ("choose_champion", "deploy_model"),
            ("choose_champion", "keep_champion"),
        }


def test_challengers_are_made_and_measured_once_it_is_said_who_serves(dags: dict[str, Any]) -> None:
    for system in MODELS:
        found = dags[f"challengers_{system}"]["tasks"]
        chains = [("wait_for_training", *(f"{step}_{kind}" for step in ("make", "evaluate", "try"))) for kind in WAYS]
        assert _edges(dags[f"challengers_{system}"]) == {edge for chain in chains for edge in pairwise(chain)}
        for kind, module in WAYS.items():
            assert f" -m models.{system}.{module} --date " in found[f"make_{kind}"]["arguments"]
            assert found[f"evaluate_{kind}"]["arguments"].endswith(f"--kind {kind}")
            assert (ROOT / "models" / system / f"{module}.py").exists()
            # It may be tried, and no more.
            assert found[f"try_{kind}"]["operator"] == "KeepChampion"
        asset = f"lamina://trainings/{system}"
        assert found["wait_for_training"]["inlets"] == [asset]
        training = dags[f"ml_model_training_{system}"]["tasks"]
        assert {name for name, task in training.items() if asset in task["outlets"]} == {
            "deploy_model",
            "keep_champion",
        }
        # A blend of the same day is not taken for the trained model.
        assert training["evaluate_model"]["arguments"].endswith("--kind training")


def test_an_asset_links_features_to_training(dags: dict[str, Any]) -> None:
    for system in MODELS:
        asset = f"lamina://features/{system}"
        assert dags[f"features_daily_{system}"]["tasks"]["publish"]["outlets"] == [asset]
        assert dags[f"ml_model_training_{system}"]["tasks"]["wait_for_features"]["inlets"] == [asset]


def test_days_run_once_over_and_one_at_a_time(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        if dag_id == "features_backfill":
            assert dag["timetable"] == "NullTimetable"
        else:
            schedule = "0 * * * *" if dag_id.startswith("monitoring_") else "0 0 * * *"
            assert (dag["timetable"], dag["schedule"]) == ("CronDataIntervalTimetable", schedule)
        assert dag["catchup"] is False
        assert dag["max_active_runs"] == 1


def test_every_task_retries_with_growing_pauses_and_says_what_it_does(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        assert dag["doc"], dag_id
        for name, task in dag["tasks"].items():
            assert (task["retries"], task["exponential"]) == (2, True), f"{dag_id}.{name}"
            assert task["doc"], f"{dag_id}.{name}"


def test_every_job_is_given_its_day_and_the_connection(dags: dict[str, Any]) -> None:
    daily = {dag_id: dag for dag_id, dag in dags.items() if dag_id != "features_backfill"}
    jobs = [task for dag in daily.values() for task in dag["tasks"].values() if task["application"]]
    assert len(jobs) == 1 + 2 * len(system_names()) + 4 * len(MODELS)
    for job in jobs:
        assert job["arguments"][:2] == ["--date", "{{ logical_day(dag_run) }}"]
        assert job["connection"] == "spark_default"
        assert Path(job["application"]).parent == ROOT / "jobs" / "spark"


def test_a_backfill_is_one_job_of_the_range_it_is_given(dags: dict[str, Any]) -> None:
    (job,) = dags["features_backfill"]["tasks"].values()
    given = dict(zip(job["arguments"][::2], job["arguments"][1::2], strict=True))
    assert given == {f"--{name}": f"{{{{ params['{name}'] }}}}" for name in ("system", "from", "to")}
    assert Path(job["application"]).name == "backfill.py"


def test_every_report_of_an_hour_may_ask_for_a_training(dags: dict[str, Any]) -> None:
    for system in MODELS:
        hourly = dags[f"monitoring_{system}"]
        reports = {name for name, task in hourly["tasks"].items() if task["operator"] == "MonitorOperator"}
        assert reports == set(KINDS)
        after = {(name, task) for name in reports for task in ("choose_retraining", "all_reported")}
        assert _edges(hourly) == after | {("choose_retraining", "retrain")}
        # A report that fails fails the run.
        assert hourly["tasks"]["all_reported"]["trigger_rule"] == "all_success"
        # Also where another report could not be made.
        assert hourly["tasks"]["choose_retraining"]["trigger_rule"] == "all_done"
        assert hourly["tasks"]["retrain"]["trigger_rule"] == "all_success"
        for name in reports:
            assert f" monitor {name} --system {system} --at " in hourly["tasks"][name]["arguments"]
        assert hourly["params"] == {"known_at": None}


def test_every_task_that_leaves_a_report_has_a_link_to_it(dags: dict[str, Any]) -> None:
    day = "{{ logical_day(dag_run) }}"
    expected = {
        f"archive_daily.quality_gate.{topic}": f"quality/{topic}/{day}" for topic in set.union(*TOPICS.values())
    }
    for system in MODELS:
        expected[f"features_daily_{system}.join_labels"] = f"label_joins/{system}/{day}"
        expected[f"features_daily_{system}.parity"] = f"parity/{system}/{day}"
        expected[f"ml_model_training_{system}.evaluate_model"] = f"training/{system}/{day}"
        for kind in WAYS:
            expected[f"challengers_{system}.evaluate_{kind}"] = f"training/{system}/{day}/{kind}"
        for kind in KINDS:
            hour = "hour={{ logical_hour(dag_run) }}"
            expected[f"monitoring_{system}.{kind}"] = f"monitoring/{system}/{kind}/{hour}"
    tasks = {f"{dag_id}.{name}": task for dag_id, dag in dags.items() for name, task in dag["tasks"].items()}
    assert {name: task["report"] for name, task in tasks.items() if task["report"]}.items() >= expected.items()
    for name, task in tasks.items():
        assert ("Report" in task["links"]) == (task["report"] is not None), name


def test_nothing_heavy_is_imported_when_dags_are_read(read: dict[str, Any]) -> None:
    print(f"the folder was read in {read['seconds']:.2f} s beyond importing airflow")  # noqa: T201
    assert read["heavy"] == []


def test_a_dag_file_imports_airflow_definitions_and_orchestration_only() -> None:
    for file in DAGS.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.startswith(("airflow", "lamina.definitions", "lamina.orchestration")), (
                    f"{file.name}: {name}"
                )


def test_a_replaying_stack_can_leave_its_dags_unscheduled(probed: dict[str, Any]) -> None:
    found = probed["unscheduled"]["dags"]
    assert {dag["timetable"] for dag in found.values()} == {"NullTimetable"}
