"""What the tasks of the archive do with days that stand in different ways; printed as JSON.

In a process of its own, as Airflow changes logging and warnings of the one it is imported in. The lake is that of the
settings; nothing is submitted.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSensorTimeout

from lamina.orchestration import spark
from lamina.orchestration.archive import DayOfTopics, TopicGate
from lamina.orchestration.assets import topic_asset
from lamina.orchestration.spark import ArchiveOperator

DAY = datetime(2018, 8, 8, tzinfo=UTC)
GOOD, BROKEN, GONE, LATER, UNKNOWN, AGAIN = topics = ("good", "broken", "gone", "later", "unknown", "again")


def tried(do: Any) -> Any:
    try:
        return do()
    except (AirflowFailException, AirflowSensorTimeout) as final:
        return {"final": str(final)}
    except AirflowException as problem:
        return {"again": str(problem)}


def context(*days_of: str, wait: bool = True) -> dict[str, Any]:
    """Of a run for DAY, with an event of each topic that is given, and one of the day before of every topic."""
    before = DAY - timedelta(days=1)
    known = {t: [before] + ([DAY] if t in days_of else []) for t in topics}
    return {
        "dag_run": SimpleNamespace(run_id="r", logical_date=DAY),
        "params": {"wait_for_events": wait},
        "inlet_events": {
            topic_asset(t): [SimpleNamespace(extra={"day": day.date().isoformat()}) for day in days]
            for t, days in known.items()
        },
        "outlet_events": {topic_asset(t): SimpleNamespace(extra={}) for t in topics},
    }


def gate(topic: str) -> Any:
    run = context()
    TopicGate(task_id="gate", topic=topic).execute(run)
    return {t.name: event.extra for t, event in run["outlet_events"].items() if event.extra}


def waits(*of: str, events: tuple[str, ...] = topics, wait: bool = True) -> Any:
    sensor = DayOfTopics(task_id="wait", topics=of)
    return sensor.poke(context(*events, wait=wait)) or sensor.missing(context(*events))


def gives_up(*of: str) -> Any:
    sensor = DayOfTopics(task_id="wait", topics=of)
    sensor.mode, sensor.timeout = "poke", -1
    return sensor.execute(context())


def archives(*of: str) -> Any:
    def submit(self: Any, context: Any) -> None:
        raise AirflowException("spark-submit ended with 1")

    spark.SparkJobOperator.execute = submit  # type: ignore[method-assign]
    return ArchiveOperator(task_id="archive", topics=of).execute(context())


if __name__ == "__main__":
    found = {
        "gates": {topic: tried(lambda topic=topic: gate(topic)) for topic in topics},
        "waits": {topic: waits(topic) for topic in topics},
        "unannounced": waits(GOOD, events=()),
        "both": waits(GOOD, BROKEN),
        "not asked": waits(BROKEN, events=(), wait=False),
        "gives up": tried(lambda: gives_up(GOOD)),
        "archives": {
            " ".join(of): tried(lambda of=of: archives(*of))
            for of in ((GOOD,), (GOOD, BROKEN), (GOOD, GONE, BROKEN), (BROKEN, LATER), (GOOD, UNKNOWN))
        },
    }
    json.dump(found, sys.stdout)
