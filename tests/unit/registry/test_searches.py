from __future__ import annotations

import time
from dataclasses import FrozenInstanceError

import pytest

from lamina.registry.searches import MlflowSearchLog, TrialRun
from tests.unit.registry.fake_mlflow import STARTED_MS, Client


@pytest.fixture
def log(client: Client) -> MlflowSearchLog:
    return MlflowSearchLog("http://m:5000")


def trial(number: int) -> TrialRun:
    return TrialRun(number, "complete", 1_000 + number, 2_000 + number, {"depth": 3}, {"auc": 0.9})


def test_a_search_is_begun_once_and_taken_up_again(log: MlflowSearchLog, client: Client) -> None:
    run_id = log.begin("fraud", "s1", {"trials": 5})
    log.end(run_id, {}, {})
    assert log.begin("fraud", "s1", {"trials": 9}) == run_id
    run = client.runs[run_id]
    assert (run.info.status, run.info.run_name, run.data.params) == ("RUNNING", "s1", {"trials": "5"})
    assert run.info.experiment_id == client.experiments["fraud-search"]
    assert log.begin("fraud", "s2", {}) != run_id


def test_a_trial_is_a_run_below_its_search(log: MlflowSearchLog, client: Client) -> None:
    run_id = log.begin("fraud", "s1", {})
    given = trial(7)
    log.add(run_id, given)
    with pytest.raises(FrozenInstanceError):
        given.number = 8  # type: ignore[misc]
    made = client.runs["run-2"]
    assert made.data.tags == {"mlflow.parentRunId": run_id, "study": "s1", "trial": "7", "state": "complete"}
    assert (made.info.run_name, made.info.status) == ("trial-007", "FINISHED")
    assert (made.info.start_time, made.info.end_time) == (1_007, 2_007)
    assert made.info.experiment_id == client.runs[run_id].info.experiment_id
    assert (made.data.params, made.logged) == ({"depth": "3"}, [("auc", 0.9, 2_007, 0)])


@pytest.mark.parametrize("left", ["RUNNING", "FAILED", "KILLED"])
def test_what_a_killed_process_left_half_written_is_withdrawn(log: MlflowSearchLog, client: Client, left: str) -> None:
    run_id, other = log.begin("fraud", "s1", {}), log.begin("fraud", "s2", {})
    for number in (0, 1, 2, 10, 11):
        log.add(run_id, trial(number))
    log.add(other, trial(12))
    client.update_run("run-4", "".join(left))
    for run in client.runs.values():
        run.info.status = run.info.status.encode().decode()  # as it comes over the wire
    assert log.logged(run_id) == {0, 2, 10, 11}
    assert [run.info.run_id for run in client.runs.values() if run.info.lifecycle_stage == "deleted"] == ["run-4"]
    assert log.logged(other) == {12}


def test_the_end_tells_what_was_chosen_and_when(log: MlflowSearchLog, client: Client) -> None:
    run_id = log.begin("fraud", "s1", {"trials": 5})
    began_ms = int(time.time() * 1000)
    log.end(run_id, {"best": 0.8}, {"depth": 4, "rate": 0.1})
    ended_ms = int(time.time() * 1000)
    run = client.runs[run_id]
    (metric,) = run.logged
    assert (metric.key, metric.value, metric.step) == ("best", 0.8, 0)
    assert began_ms <= metric.timestamp <= ended_ms
    assert {"chosen.depth": "4", "chosen.rate": "0.1"}.items() <= run.data.tags.items()
    assert (run.info.status, run.info.start_time) == ("FINISHED", STARTED_MS)
