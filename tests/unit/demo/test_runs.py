"""What a run has started is waited for by its name, until it is there."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest
from rich.console import Console

from lamina.clock import midnight_ms
from lamina.demo import runs
from lamina.demo.posting import DemoError
from lamina.demo.runs import Runs
from lamina.orchestration.airflow_client import AirflowClient
from lamina.orchestration.airflow_runs import DagRun, TaskState
from lamina.settings import load_settings

RUN = DagRun(dag_id="training", dag_run_id="drift__1", state="running")


def told(monkeypatch: pytest.MonkeyPatch, *found: DagRun | None) -> tuple[Runs, io.StringIO]:
    """Runs on an Airflow that gives these runs for a name, one a look."""
    looks = iter(found)

    def wait(client: AirflowClient, run: DagRun, timeout_s: float, on_change: Any) -> list[TaskState]:
        assert run is RUN
        states = [TaskState(task_id="train_model", state=state, try_number=1) for state in ("scheduled", "running")]
        for each in states:
            on_change(each)
        return states[-1:]

    monkeypatch.setattr(AirflowClient, "named", lambda client, dag, run_id: next(looks))
    monkeypatch.setattr(AirflowClient, "wait", wait)
    monkeypatch.setattr(runs, "POLL_S", 0)
    said = io.StringIO()
    return Runs(load_settings(), Console(file=said), lambda: midnight_ms(date(2026, 1, 5))), said


def test_a_run_that_another_starts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made, said = told(monkeypatch, None, RUN)
    assert [task.task_id for task in made.named("training", "drift__1")] == ["train_model"]
    assert said.getvalue().split("\n")[:-1] == ["  training: train_model: running"]


def test_one_that_never_comes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = told(monkeypatch, None, None)
    monkeypatch.setattr(runs, "APPEARS_S", 0)
    with pytest.raises(DemoError, match="training was to be run as drift__1, and was not"):
        made.named("training", "drift__1")
