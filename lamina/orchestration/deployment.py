"""The branch at the end of training: one of two tasks runs, and the log says why."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseBranchOperator, BaseOperator

from lamina.orchestration.days import logical_day
from lamina.orchestration.spark import note_day
from lamina.registry.protocol import Kind
from lamina.settings import load_settings


def _decision(system: str, context: Any) -> tuple[bool, str]:
    # Reads the lake by pyarrow and fsspec, which no DAG file may import.
    from lamina.orchestration.promotion import decision
    from lamina.registry.gate import Enough

    settings = load_settings()
    enough = Enough(settings.parity_max_age_days, settings.parity_min_decisions)
    return decision(settings.lake_url, system, logical_day(context["dag_run"]), enough)


class ChooseChampion(BaseBranchOperator):  # type: ignore[misc]
    """Goes on with the task `deploy` when the new model is to be deployed, else with `keep`."""

    def __init__(self, *, system: str, deploy: str, keep: str, **kwargs: Any) -> None:
        self.system, self.deploy, self.keep = system, deploy, keep
        super().__init__(**kwargs)

    def choose_branch(self, context: Any) -> str:
        """The id of the task to run."""
        promoted, reasons = _decision(self.system, context)
        chosen = self.deploy if promoted else self.keep
        self.log.info("%s: %s", chosen, reasons)
        return chosen


class KeepChampion(BaseOperator):  # type: ignore[misc]
    """Leaves the champion, and makes a version that is good enough the challenger of its kind; says why, in log and
    value. Outlets get the day.
    """

    def __init__(self, *, system: str, kind: Kind = Kind.TRAINING, **kwargs: Any) -> None:
        self.system, self.kind = system, kind
        super().__init__(**kwargs)

    def execute(self, context: Any) -> str:
        """The reasons."""
        from lamina.orchestration.promotion import keep
        from lamina.registry.gate import Enough

        settings = load_settings()
        enough = Enough(settings.parity_max_age_days, settings.parity_min_decisions)
        day = logical_day(context["dag_run"])
        reasons = keep(settings.lake_url, settings.mlflow_uri, self.system, day, enough, self.kind)
        self.log.info("the champion of %s stays: %s", self.system, reasons)
        note_day(self.outlets, context)
        return reasons
