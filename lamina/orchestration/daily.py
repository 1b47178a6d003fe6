"""What every daily DAG of lamina has in common: schedule, retries and the names its templates may use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable

from lamina.orchestration.days import logical_day, training_days
from lamina.orchestration.spark import spark_driver_java, spark_kafka_jars
from lamina.settings import UNSCHEDULED, load_settings

# Backfills reach back to here; the public data sets that ship with a mapping begin later.
FIRST_DAY = datetime(2018, 1, 1, tzinfo=UTC)


def daily() -> dict[str, Any]:
    """Arguments of a DAG that processes the UTC day D in the run with the logical date D, once D is over.

    `@daily` alone would give the run at the start of D the logical date D; the timetable of data intervals waits for
    D's end. A stack that replays old events has no schedule: a run for yesterday would archive the replayed events.
    """
    schedule = load_settings().dag_schedule
    return {
        "schedule": None if schedule == UNSCHEDULED else CronDataIntervalTimetable(schedule, timezone="UTC"),
        "start_date": FIRST_DAY,
        "catchup": False,
        "max_active_runs": 1,
        "user_defined_macros": {
            "logical_day": logical_day,
            "training_days": training_days,
            "spark_driver_java": spark_driver_java,
            "spark_kafka_jars": spark_kafka_jars,
        },
        "default_args": {
            "owner": "lamina",
            "retries": 2,
            "retry_delay": timedelta(seconds=30),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=10),
            "execution_timeout": timedelta(hours=6),
        },
    }
