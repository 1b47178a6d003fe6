"""Every hour of a system that serves: how its models do, and whether that asks for a retraining."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from lamina.definitions import system_names
from lamina.orchestration.hourly import hourly
from lamina.orchestration.jobs import has_model
from lamina.orchestration.monitoring import KINDS, MonitorOperator
from lamina.orchestration.retraining_tasks import retrain_when_asked

DOC = """
### How the models of a system do

The run with the logical date **H** reports on the hour that begins then, once it is over, by what was known at its end:
from the joined rows that `features_daily_<system>` makes. Each task's link leads to its report. Where an alert asks for
it, the training is started, at most once in the cool-down; a report that could not be made holds up no other's.

To look at an hour again, clear its run, or trigger with that hour as the **logical date**. With `known_at` it sees what
was known before that time; the same hour with the same `known_at` gives the same report.
"""

for system in filter(has_model, system_names()):
    with DAG(f"monitoring_{system}", doc_md=DOC, tags=["monitoring", system], **hourly()):
        reports = [MonitorOperator(task_id=kind, system=system, kind=kind) for kind in KINDS]
        reports >> retrain_when_asked(system)
        reports >> EmptyOperator(
            task_id="all_reported",
            doc_md="Fails, and the run with it, where a report could not be made: the choice is made in any case.",
        )
