"""DAG runs of a demo: started, waited for, and told task by task."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from rich.console import Console

from lamina.clock import Clock
from lamina.demo.posting import DemoError
from lamina.orchestration.airflow_client import POLL_S, AirflowClient
from lamina.orchestration.airflow_runs import TaskState
from lamina.settings import Settings

DAG_TIMEOUT_S = 1800.0
APPEARS_S = 60.0
"""Until a run is there that another run has started."""
SHOWN = frozenset({"running", "success", "failed", "up_for_retry"})


@dataclass(frozen=True)
class Runs:
    """Runs on the Airflow of `settings`. `clock`: which days are over."""

    settings: Settings
    console: Console
    clock: Clock

    def day(self, dag: str, day: date, conf: Mapping[str, Any]) -> Sequence[TaskState]:
        """The tasks of `dag`, which is run for `day` to its end."""
        with self._airflow() as airflow:
            return airflow.run_day(dag, day, DAG_TIMEOUT_S, conf, rerun=True, on_change=self._show(dag))

    def hour(self, dag: str, hour: datetime) -> Sequence[TaskState]:
        """The tasks of `dag`, which is run for the hour that begins at `hour` to its end."""
        with self._airflow() as airflow:
            airflow.wait_for_dag(dag)
            airflow.unpause(dag)
            run = airflow.trigger_hour(dag, hour, rerun=True)
            return airflow.wait(run, DAG_TIMEOUT_S, on_change=self._show(dag))

    def named(self, dag: str, run_id: str) -> Sequence[TaskState]:
        """The tasks of the run of `dag` that another run has started by that name, at its end.

        Raises: DemoError: when there is no such run.
        """
        deadline = time.monotonic() + APPEARS_S
        with self._airflow() as airflow:
            while (run := airflow.named(dag, run_id)) is None:
                if time.monotonic() > deadline:
                    raise DemoError(f"{dag} was to be run as {run_id}, and was not: see the log of its `retrain` task")
                time.sleep(POLL_S)
            return airflow.wait(run, DAG_TIMEOUT_S, on_change=self._show(dag))

    def _airflow(self) -> AirflowClient:
        return AirflowClient(self.settings.airflow_url, clock=self.clock)

    def _show(self, dag: str) -> Any:
        def show(task: TaskState) -> None:
            if task.state in SHOWN:
                self.console.print(f"  [dim]{dag}: {task.task_id}: {task.state}[/]", highlight=False)

        return show
