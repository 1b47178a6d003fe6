"""The day of every topic into the lake: one Spark session archives all, and each has its own quality gate."""

from airflow.sdk import DAG, TaskGroup, TriggerRule

from lamina.orchestration.archive import TopicGate
from lamina.orchestration.daily import daily
from lamina.orchestration.jobs import ARCHIVE_DAILY, every_topic
from lamina.orchestration.spark import ArchiveOperator

DOC = """
### Archive of a day

The run with the logical date **D** takes what arrived on Kafka, of all topics of all systems, to the lake, and holds it
to its expectations. A topic that passes is let through by its task in `quality_gate`, which records an event of the
asset `lamina://topics/<topic>` for D: `features_daily_<system>` waits for those of the topics that it reads. A topic
that does not pass fails its task and holds up only the systems that read it.

One Spark session does all topics, because starting it costs more than a day's events of a quiet topic. To process a day
by hand, trigger with that day as the **logical date**. A rerun of a day replaces what it wrote, and lets it through
again. After a topic was put right by hand, clear its task alone.
"""

with DAG(ARCHIVE_DAILY, doc_md=DOC, tags=["archive"], **daily()):
    archive = ArchiveOperator(task_id="archive", topics=every_topic())
    with TaskGroup("quality_gate"):
        for topic in every_topic():
            # Also where another topic made the archive fail.
            archive >> TopicGate(
                task_id=topic,
                topic=topic,
                trigger_rule=TriggerRule.ALL_DONE,
                doc_md=f"Lets the day of {topic} through when it was archived and passed its expectations.",
            )
