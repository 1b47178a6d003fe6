"""Searches for parameters in MLflow: a run a search, and below it a run a trial. Taken up again where they stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lamina.registry.connection import MlflowConnection, pages

PARENT = "mlflow.parentRunId"
STUDY, TRIAL, STATE = "study", "trial", "state"


@dataclass(frozen=True)
class TrialRun:
    """One trial: its number in the study, how it ended (`complete`, `pruned`), and when, epoch milliseconds."""

    number: int
    state: str
    began_ms: int
    ended_ms: int
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class SearchLog(Protocol):
    """Where a search is written down. A method may block; it raises RegistryError on failure."""

    def begin(self, system: str, study: str, parameters: Mapping[str, str | int | float]) -> str:
        """The id of the study's run: the one it has, with what it was made from, or a new one."""

    def logged(self, run_id: str) -> set[int]:
        """Numbers of the trials that were written down; what a killed process left half written is withdrawn."""

    def add(self, run_id: str, trial: TrialRun) -> None:
        """Write down one trial."""

    def end(self, run_id: str, metrics: Mapping[str, float], chosen: Mapping[str, str | int | float]) -> None:
        """The search has found what it looked for."""


class MlflowSearchLog(MlflowConnection):
    """Implements `SearchLog` on the MLflow at `uri`, in the experiment `<system>-search`.

    The runs carry none of the tags by which trainings of a day are found and withdrawn.
    """

    def begin(self, system: str, study: str, parameters: Mapping[str, str | int | float]) -> str:
        """See `SearchLog.begin`."""
        client = self.client
        with self.asking(f"begin the search {study}"):
            experiment = self.experiment(f"{system}-search")
            where = f"tags.{STUDY} = '{study}' and tags.level = 'search'"
            for found in client.search_runs([experiment], where):
                run_id = str(found.info.run_id)
                client.update_run(run_id, status="RUNNING")
                return run_id
            run = client.create_run(experiment, tags={STUDY: study, "level": "search"}, run_name=study)
            self._write(run.info.run_id, parameters, {}, int(run.info.start_time))
            return str(run.info.run_id)

    def logged(self, run_id: str) -> set[int]:
        """See `SearchLog.logged`."""
        with self.asking(f"list the trials of search run {run_id}"):
            experiment = self.client.get_run(run_id).info.experiment_id
            search = self.client.search_runs
            where = f"tags.`{PARENT}` = '{run_id}'"
            runs = list(pages(lambda token: search([experiment], where, page_token=token)))
            for half in (run for run in runs if run.info.status != "FINISHED"):
                self.client.delete_run(half.info.run_id)
            return {int(run.data.tags[TRIAL]) for run in runs if run.info.status == "FINISHED"}

    def add(self, run_id: str, trial: TrialRun) -> None:
        """See `SearchLog.add`."""
        client = self.client
        with self.asking(f"log trial {trial.number} of search run {run_id}"):
            parent = client.get_run(run_id)
            tags = {PARENT: run_id, STUDY: parent.data.tags[STUDY], TRIAL: str(trial.number), STATE: trial.state}
            made = client.create_run(
                parent.info.experiment_id, start_time=trial.began_ms, tags=tags, run_name=f"trial-{trial.number:03d}"
            )
            self._write(made.info.run_id, trial.parameters, trial.metrics, trial.ended_ms)
            client.set_terminated(made.info.run_id, "FINISHED", trial.ended_ms)

    def end(self, run_id: str, metrics: Mapping[str, float], chosen: Mapping[str, str | int | float]) -> None:
        """See `SearchLog.end`."""
        client = self.client
        with self.asking(f"end search run {run_id}"):
            self._write(run_id, {}, metrics, int(time.time() * 1000))
            # As tags: a search that goes on may choose others, and parameters of a run cannot change.
            for name, value in chosen.items():
                client.set_tag(run_id, f"chosen.{name}", str(value))
            client.set_terminated(run_id, "FINISHED")

    def _write(
        self, run_id: Any, parameters: Mapping[str, str | int | float], metrics: Mapping[str, float], at_ms: int
    ) -> None:
        from mlflow.entities import Metric, Param

        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, at_ms, 0) for key, value in metrics.items()],
            params=[Param(key, str(value)) for key, value in parameters.items()],
        )
