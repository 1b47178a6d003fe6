"""What Airflow says of runs and tasks, and how a run that did not end well is told."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from lamina.errors import LaminaError


class AirflowError(LaminaError):
    """Airflow refused what was asked, or answered something else; the message holds its answer."""


class AirflowUnavailable(AirflowError):
    """Airflow's API server cannot be reached."""


class AirflowBusy(AirflowUnavailable):
    """Airflow's API server failed on a request that changed nothing: its database was locked, say."""


class AirflowSlow(AirflowUnavailable):
    """Airflow's API server did not answer in time; whether it did what was asked is not known."""


class DagMissing(AirflowError):
    """Airflow does not know the DAG; the message holds import errors, if there are any."""


class DagRunFailed(AirflowError):
    """A run failed. `task_id` is the first task that did (None: no task ran), `log_tail` the end of its log."""

    def __init__(self, run: DagRun, task: TaskState | None, log_tail: list[str], url: str) -> None:
        self.run, self.task_id, self.log_tail = run, task.task_id if task else None, log_tail
        where = f"task {task.task_id} (try {task.try_number})" if task else "before any task ran"
        lines = "\n".join(f"  | {line}" for line in log_tail) or "  | (no log)"
        super().__init__(
            f"{run.dag_id} for {run.day} failed: {where}. The end of its log:\n{lines}\n"
            f"Open {url}, put right what the log says, and clear the task there: what comes after it runs again."
        )


class DagRunTimedOut(AirflowError):
    """A run did not finish in time; it goes on running."""

    def __init__(self, run: DagRun, timeout_s: float, tasks: list[TaskState], url: str) -> None:
        self.run = run
        states = ", ".join(f"{task.task_id} {task.state or 'waiting'}" for task in tasks) or "no task was started"
        super().__init__(
            f"{run.dag_id} for {run.day} is {run.state} after {timeout_s:.0f} s ({states}). It goes on: watch it at "
            f"{url}; when nothing was started, see that the scheduler runs (`make status`)."
        )


class DagRun(BaseModel):
    """One run of a DAG for one day."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dag_id: str
    dag_run_id: str
    state: str
    logical_date: datetime | None = None

    @property
    def day(self) -> str:
        """The day it processes, as text."""
        return self.logical_date.date().isoformat() if self.logical_date else "no day"


class TaskState(BaseModel):
    """A task of a run. `state` is None before it is scheduled; `duration` is in seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: str
    state: str | None
    try_number: int
    start_date: datetime | None = None
    duration: float | None = None
