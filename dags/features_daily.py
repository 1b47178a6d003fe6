"""The batch layer of a day, one DAG a system: archive, quality gate, batch features, publish, parity."""

from airflow.sdk import DAG, chain

from lamina.definitions import system_names
from lamina.orchestration.assets import features_asset
from lamina.orchestration.daily import daily
from lamina.orchestration.jobs import ARCHIVE_EVENTS, BATCH_FEATURES, PARITY, PUBLISH, archived_topics, has_model
from lamina.orchestration.spark import QualityGateOperator, SparkJobOperator

DOC = """
### Batch features of a day

The run with the logical date **D** makes everything complete up to midnight at the *end* of D: the events that arrived
on Kafka go to the lake, a quality gate holds them to their expectations, the tiles of all feature views are rebuilt and
published to Redis, and what was served on D is recomputed and compared.

To process a day by hand, trigger with that day as the **logical date**. A rerun of a day replaces what it wrote.
One Spark session does all topics of a system, because starting it costs more than a day's events of a quiet topic. No
two systems archive the same topic. Parity needs the archived events alone and goes beside the batch features. A system
without a model serves nothing, so there is nothing to compare.
"""

for system in system_names():
    with DAG(f"features_daily_{system}", doc_md=DOC, tags=["features", system], **daily()):
        of, topics = {"system": system}, archived_topics(system)
        archive = SparkJobOperator(task_id="archive", job=ARCHIVE_EVENTS, arguments={"topic": topics})
        gate = QualityGateOperator(task_id="quality_gate", topics=topics)
        batch = SparkJobOperator(task_id="batch_features", job=BATCH_FEATURES, arguments=of)
        publish = SparkJobOperator(task_id="publish", job=PUBLISH, arguments=of, outlets=[features_asset(system)])
        chain(archive, gate, batch, publish)
        if has_model(system):
            gate >> SparkJobOperator(task_id="parity", job=PARITY, arguments=of)
