"""Spark jobs as Airflow tasks, through Airflow's Spark provider and the connection `spark_default`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any
from urllib.parse import unquote

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowFailException

from lamina.addresses import redis_password
from lamina.errors import DayNotOver
from lamina.orchestration.days import NoLogicalDate, logical_day, over_day
from lamina.orchestration.handover import Handover, hand_over
from lamina.orchestration.jobs import CODE, QUALITY, SparkJob
from lamina.settings import load_settings

CONNECTION = "spark_default"


class SparkJobOperator(SparkSubmitOperator):  # type: ignore[misc]
    """Submits one job of `jobs/spark` for the run's day.

    Where it runs is the connection's business: `local[*]`, a standalone master, YARN or Kubernetes. `arguments` are
    given after `--date <day>`, several values as several options, and templated. A job that is not `dated` is given
    its arguments alone.
    """

    def __init__(
        self, *, job: SparkJob, arguments: Mapping[str, str | Sequence[str]], dated: bool = True, **kwargs: Any
    ) -> None:
        self.job, self.dated = job, dated
        date_arguments = ["--date", "{{ logical_day(dag_run) }}"] if dated else []
        super().__init__(
            conn_id=CONNECTION,
            name=f"lamina-{job.name}",
            application=str(job.file),
            application_args=[
                *date_arguments,
                *(word for name, value in arguments.items() for one in _each(value) for word in (f"--{name}", one)),
            ],
            py_files=str(CODE),
            jars="{{ spark_kafka_jars() }}" if job.reads_kafka else None,
            driver_memory=job.driver_memory,
            conf={"spark.driver.extraJavaOptions": "{{ spark_driver_java() }}"},
            doc_md=job.doc,
            **kwargs,
        )

    def execute(self, context: Any) -> None:
        """Submit and wait. Outlets get the day they were made for, so that a consumer can wait for that day.

        A day that is not over fails at once, without a retry: it would not be over then either.
        """
        if self.dated:
            refuse_open_day(context)
        if not CODE.exists():
            raise AirflowFailException(f"{CODE} is missing: run `make dist/code.zip`, then clear this task")
        with handed_over() as given:
            self.env_vars = {"PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable), **given.variables}
            self.conf |= given.conf
            self.files = ",".join(map(str, given.files)) or None
            super().execute(context)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"day": logical_day(context["dag_run"]).isoformat()}


class QualityGateOperator(SparkJobOperator):
    """Submits the quality job of some topics. A broken suite fails at once: the same rows would break it again."""

    def __init__(self, *, topics: Sequence[str], **kwargs: Any) -> None:
        self.topics = tuple(topics)
        super().__init__(job=QUALITY, arguments={"topic": self.topics}, **kwargs)

    def execute(self, context: Any) -> None:
        """Submit and wait; a failure names the report that says which rule was broken."""
        try:
            super().execute(context)
        except AirflowFailException:
            raise
        except Exception as error:
            lake, day = load_settings().lake_url, logical_day(context["dag_run"])
            broken = {topic: url for topic in self.topics if (url := broken_report(lake, topic, day))}
            if not broken:
                raise
            where = "; ".join(f"{topic}: see {url}" for topic, url in broken.items())
            raise AirflowFailException(f"expectations were broken, and nothing downstream runs. {where}") from error


def refuse_open_day(context: Any) -> None:
    """Fail the task for good when the run has no day, or one that is not over.

    Raises: AirflowFailException: with what to do.
    """
    try:
        over_day(context["dag_run"], load_settings().clock)
    except (NoLogicalDate, DayNotOver) as problem:
        raise AirflowFailException(f"{problem}. Delete this run and trigger one for a day that is over") from problem


def _each(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def broken_report(lake: str, topic: str, day: date) -> str | None:
    """Where the page is that says what `topic` broke on `day`, or None when the gate has not failed."""
    from lamina.lake.write import open_lake

    url = f"{lake.rstrip('/')}/quality/{topic}/{day.isoformat()}/report"
    fs, path = open_lake(f"{url}.json")
    failed = fs.exists(path) and json.loads(fs.cat_file(path))["status"] == "failed"
    return f"{url}.html" if failed else None


@contextmanager
def handed_over() -> Iterator[Handover]:
    """What the driver is given of the settings, by way of the connection, for as long as it is submitted; a password
    among them is masked in the task's log.
    """
    from airflow.sdk.bases.hook import BaseHook
    from airflow.sdk.log import mask_secret

    settings, connection = load_settings(), BaseHook.get_connection(CONNECTION)
    password = redis_password(settings.redis_url.get_secret_value())
    if password:
        mask_secret(password)
        mask_secret(unquote(password))
    master = f"{connection.conn_type}://{connection.host or ''}"
    with hand_over(settings, master, connection.extra_dejson.get("deploy-mode") == "cluster") as given:
        yield given


def spark_driver_java() -> str:
    """Options of the driver's JVM, from the settings."""
    return load_settings().spark_driver_java


def spark_kafka_jars() -> str:
    """Spark's Kafka source, as spark-submit takes it; looked up when a task starts, not when its DAG is read."""
    from lamina.local.jars import spark_kafka

    return ",".join(str(jar) for jar in spark_kafka())
