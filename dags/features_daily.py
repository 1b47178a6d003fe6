"""The batch layer of a day, one DAG a system: batch features, publish, parity and labels, once its topics are there."""

from airflow.sdk import DAG, Param, chain

from lamina.definitions import system_names
from lamina.orchestration.archive import WAIT, DayOfTopics
from lamina.orchestration.assets import features_asset
from lamina.orchestration.daily import daily
from lamina.orchestration.jobs import (
    BATCH_FEATURES,
    JOIN_LABELS,
    PARITY,
    PUBLISH,
    archived_topics,
    feature_topics,
    feedback_topics,
    has_model,
    logs_answers,
)
from lamina.orchestration.spark import SparkJobOperator

DOC = """
### Batch features of a day

The run with the logical date **D** makes everything complete up to midnight at the *end* of D: once `archive_daily` has
let through the topics that the system reads, the tiles of all feature views are rebuilt and published to Redis, what
was served on D is recomputed and compared, and what became known on D is joined to the answers that it is about.

To process a day by hand, trigger with that day as the **logical date**; a day that is archived already is not waited
for. A rerun of a day replaces what it wrote. Parity and labels need the archived events alone and go beside the batch
features. A system without a model serves nothing, so there is nothing to compare.
"""
PARAMS = {
    WAIT: Param(True, type="boolean", description="Wait until the day's events are archived and passed their gates.")
}
WAITS = "Waits until `archive_daily` has let the day of {} through; its log says what is missing."

for system in system_names():
    with DAG(f"features_daily_{system}", doc_md=DOC, params=PARAMS, tags=["features", system], **daily()):
        of, topics = {"system": system}, feature_topics(system)
        events = DayOfTopics(task_id="wait_for_events", topics=topics, doc_md=WAITS.format(", ".join(topics)))
        batch = SparkJobOperator(task_id="batch_features", job=BATCH_FEATURES, arguments=of)
        publish = SparkJobOperator(task_id="publish", job=PUBLISH, arguments=of, outlets=[features_asset(system)])
        chain(events, batch, publish)
        if logs_answers(system):
            more = tuple(sorted(set(archived_topics(system)) - set(topics)))
            served = DayOfTopics(task_id="wait_for_served", topics=more, doc_md=WAITS.format(", ".join(more)))
            day = "{{ logical_day(dag_run) }}"
            joined = f"label_joins/{system}/{day}"
            join = SparkJobOperator(task_id="join_labels", job=JOIN_LABELS, arguments=of, report_folder=joined)
            [events, served] >> join
            if said := feedback_topics(system):
                DayOfTopics(task_id="wait_for_feedback", topics=said, doc_md=WAITS.format(", ".join(said))) >> join
            if has_model(system):
                compared = f"parity/{system}/{day}"
                parity = SparkJobOperator(task_id="parity", job=PARITY, arguments=of, report_folder=compared)
                [events, served] >> parity
