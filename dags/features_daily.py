"""The batch layer of a day: archive, quality gate, batch features, publish, parity with what was served."""

from airflow.sdk import DAG, TaskGroup

from lamina.definitions import system_names
from lamina.orchestration.assets import features_asset
from lamina.orchestration.daily import daily
from lamina.orchestration.jobs import ARCHIVE_EVENTS, BATCH_FEATURES, PARITY, PUBLISH, archived_topics
from lamina.orchestration.spark import QualityGateOperator, SparkJobOperator

DOC = """
### Batch features of a day

The run with the logical date **D** makes everything complete up to midnight at the *end* of D: the events that arrived
on Kafka go to the lake, a quality gate holds them to their expectations, the tiles of all feature views are rebuilt and
published to Redis, and what was served on D is recomputed and compared.

To process a day by hand, trigger with that day as the **logical date**. A rerun of a day replaces what it wrote.
A topic is archived and checked once, whatever number of systems reads it; one Spark session does all topics, because
starting it costs more than a day's events of a quiet topic.
"""

with DAG("features_daily", doc_md=DOC, tags=["features", *system_names()], **daily()):
    topics = archived_topics(system_names())
    archive = SparkJobOperator(task_id="archive", job=ARCHIVE_EVENTS, arguments={"topic": topics})
    gate = QualityGateOperator(task_id="quality_gate", topics=topics)
    archive >> gate

    for system in system_names():
        with TaskGroup(system):
            of = {"system": system}
            batch = SparkJobOperator(task_id="batch_features", job=BATCH_FEATURES, arguments=of)
            publish = SparkJobOperator(task_id="publish", job=PUBLISH, arguments=of, outlets=[features_asset(system)])
            parity = SparkJobOperator(task_id="parity", job=PARITY, arguments=of)
            gate >> batch >> publish >> parity
