"""Labelled rows to train and test on: the requests of some days, each with what was known of it at the end of a logical
date.

`python -m jobs.spark.extract_data --system fraud --date 2018-08-21 --first-day 2018-07-18 --last-day 2018-08-14`. A
rerun replaces the rows of the date.
"""

from __future__ import annotations

import time
from datetime import date, datetime
from typing import Annotated, Any

import typer
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.corrected import corrected
from jobs.spark.labelled import labelled
from jobs.spark.lake import ARRIVAL, read_events, spark_source, spark_url
from jobs.spark.revisions import events_of
from jobs.spark.session import make_session
from lamina.clock import midnight_ms, next_day
from lamina.contracts.systems import System
from lamina.definitions import record
from lamina.lake import layout
from lamina.lake.write import replacing
from lamina.settings import load_settings

ROWS = "rows"


def rows_url(lake: str, system: str, day: date) -> str:
    """Folder of the labelled rows for a logical date."""
    return f"{layout.training(lake, system, day)}/{ROWS}"


def extract(spark: SparkSession, lake: str, system: System, day: date, first: date, last: date) -> dict[str, Any]:
    """Write the labelled rows of the days `first` to `last`; returns how many, and how many of them are positive.

    Raises: DefinitionError: when the system has no label; NotMigrated: as `corrected`.
    """
    begin_ms, end_ms = midnight_ms(first), midnight_ms(next_day(last))
    request, label = system.features.request, system.learnt_label
    requests = read_events(spark, lake, request.topic, request.id, from_ms=begin_ms, until=day)
    events = events_of(spark, lake, label.source, from_ms=begin_ms, until=day)
    ts = F.col(request.timestamp)
    wanted = requests.frame.where((ts >= begin_ms) & (ts < end_ms)).drop(*ARRIVAL)
    known_before_ms = midnight_ms(next_day(day))
    rows = labelled(wanted, events.frame, request, label, known_before_ms)
    rows = corrected(spark, lake, system, rows, until=day, known_before_ms=known_before_ms)
    target = rows_url(lake, system.name, day)
    with replacing(target) as staging:
        rows.write.mode("append").parquet(spark_url(staging))
    written = spark.read.schema(rows.schema).parquet(spark_source(target))
    counts = written.agg(F.count("*"), F.coalesce(F.sum(F.col(label.column).cast("long")), F.lit(0))).first()
    assert counts is not None, "an aggregate without groups has one row"
    return {"first_day": first.isoformat(), "last_day": last.isoformat(), "rows": counts[0], "positives": counts[1]}


def main(
    day: LogicalDate,
    first_day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day of the rows.")],
    last_day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day of the rows.")],
    system: SystemName = DEFAULT_SYSTEM,
    lake_url: LakeUrl = None,
) -> None:
    """Write the labelled rows of a system for a logical date; the last line is the counts as JSON."""
    if not first_day <= last_day <= day:
        raise typer.BadParameter(f"days must be in order: {first_day.date()} <= {last_day.date()} <= {day.date()}")
    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    began = time.monotonic()
    spark = make_session("extract_data")
    counts = extract(spark, settings.lake_url, record(system), logical, first_day.date(), last_day.date())
    report("extract_data", system, logical, {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)
