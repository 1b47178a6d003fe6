"""The end of a monitoring run: the training DAG is triggered where the hour's reports ask for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, TriggerRule, chain
from airflow.sdk.exceptions import AirflowSkipException

from lamina.lake.layout import HOUR
from lamina.orchestration.days import HasLogicalDate
from lamina.settings import load_settings

CHOOSE = "choose_retraining"


class ChooseRetraining(BaseOperator):  # type: ignore[misc]
    """Says which training the reports of the run's hour ask for; where they ask for none, what comes after is skipped.

    Run again for the same hour it says the same.
    """

    def __init__(self, *, system: str, **kwargs: Any) -> None:
        self.system = system
        super().__init__(**kwargs)

    def execute(self, context: Any) -> dict[str, Any]:
        """Name, logical date and parameters of the run to start, and the reason."""
        # Reads the lake by pyarrow and fsspec, which no DAG file may import.
        from lamina.orchestration.retrain import as_value, choose_retraining

        settings = load_settings()
        run: HasLogicalDate = context["dag_run"]
        if run.logical_date is None:
            raise AirflowSkipException(f"run {run.run_id} has no logical date, so there is no hour to look at")
        hour = run.logical_date.replace(minute=0, second=0, microsecond=0)
        cooldown = timedelta(hours=settings.retraining_cooldown_h)
        chosen = choose_retraining(settings.lake_url, self.system, hour, cooldown)
        if chosen is None:
            raise AirflowSkipException(f"nothing asks for a retraining of {self.system} at {hour:{HOUR}}")
        self.log.info("%s for %s: %s", chosen.run_id, chosen.logical_date, chosen.reason)
        return as_value(chosen)


def retrain_when_asked(system: str) -> BaseOperator:
    """Two tasks within the DAG at hand, the first of which is returned.

    A training that an asset event starts would have no logical date, and so no day to train for: this one is started
    with its own, by a name that says which hour asked for it. A second one of that name is not started.
    """
    choose = ChooseRetraining(
        task_id=CHOOSE,
        system=system,
        # A report that could not be made says nothing; the others may ask all the same.
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Reads the reports that the hour has: an alert asks for a retraining, at most once in the cool-down.",
    )
    said = f"ti.xcom_pull(task_ids='{CHOOSE}')"
    trigger = TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id=f"ml_model_training_{system}",
        trigger_run_id=f"{{{{ {said}['run_id'] }}}}",
        logical_date=f"{{{{ {said}['logical_date'] }}}}",
        conf=f"{{{{ {said}['conf'] | tojson }}}}",
        skip_when_already_exists=True,
        doc_md="Starts the training that was asked for, once; the link leads to its run.",
    )
    chain(choose, trigger)
    return choose
