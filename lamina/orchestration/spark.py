"""Spark jobs as Airflow tasks, through Airflow's Spark provider and the connection `spark_default`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from lamina.addresses import redis_password
from lamina.errors import DayNotOver
from lamina.orchestration.days import NoLogicalDate, logical_day, over_day
from lamina.orchestration.handover import Handover, hand_over
from lamina.orchestration.jobs import ARCHIVE_DAY, CODE, SparkJob
from lamina.orchestration.report_link import ReportLink
from lamina.settings import load_settings

if TYPE_CHECKING:
    from lamina.quality.standing import Standing

CONNECTION = "spark_default"


class SparkJobOperator(SparkSubmitOperator):  # type: ignore[misc]
    """Submits one job of `jobs/spark` for the run's day.

    Where it runs is the connection's business: `local[*]`, a standalone master, YARN or Kubernetes. `arguments` are
    given after `--date <day>`, several values as several options, and templated. A job that is not `dated` is given
    its arguments alone. `report_folder`: where it leaves a report, the folder within the lake, templated; a link leads
    there.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "report_folder")

    def __init__(
        self,
        *,
        job: SparkJob,
        arguments: Mapping[str, str | Sequence[str]],
        dated: bool = True,
        report_folder: str = "",
        **kwargs: Any,
    ) -> None:
        self.job, self.dated, self.report_folder = job, dated, report_folder
        if report_folder:
            self.operator_extra_links = (ReportLink(),)
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
        note_day(self.outlets, context)


class ArchiveOperator(SparkJobOperator):
    """Submits the archive of some topics. Where everything that went wrong would go wrong again, it fails at once."""

    def __init__(self, *, topics: Sequence[str], **kwargs: Any) -> None:
        self.topics = tuple(topics)
        super().__init__(job=ARCHIVE_DAY, arguments={"topic": self.topics}, **kwargs)

    def execute(self, context: Any) -> None:
        """Submit and wait; a failure names every topic that was not archived or broke its expectations."""
        try:
            super().execute(context)
        except AirflowFailException:
            raise
        except Exception as error:
            wrong = [s for s in standings(self.topics, logical_day(context["dag_run"])) if s.complaint]
            if not wrong or any(not s.is_lasting for s in wrong):
                raise
            raise AirflowFailException("; ".join(s.complaint for s in wrong)) from error


def note_day(assets: Sequence[Asset], context: Any) -> None:
    """Let the events of `assets` say which day they are of."""
    for asset in assets:
        context["outlet_events"][asset].extra = {"day": logical_day(context["dag_run"]).isoformat()}


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


def standings(topics: Sequence[str], day: date) -> list[Standing]:
    """How `day` of each topic stands in the lake of the settings."""
    # Reads the lake by pyarrow and fsspec, which no DAG file may import.
    from lamina.quality.standing import standing

    lake = load_settings().lake_url
    return [standing(lake, topic, day) for topic in topics]


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
