"""Reading archived events: which files hold a range of days, in what order events arrived, and each id once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, Observation, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from lamina.clock import day_of
from lamina.contracts.served import Served
from lamina.contracts.topics import predictions_of
from lamina.lake import layout
from lamina.lake.answers import SHADOW, not_migrated
from lamina.lake.files import children
from lamina.lake.partitions import CLOCK_SKEW, INGESTED, ingested_days
from lamina.lake.schemas import SCHEMAS, in_lake, schema_of
from lamina.lake.write import open_lake

FILE = "arrival_file"
ROW = "arrival_row"
PATTERN = re.compile(r"[\[\]{}*?,\\]")
ARRIVAL = (INGESTED, "partition", "offset", FILE, ROW)
"""Columns that order events by arrival: day, then imported rows (no partition) before those of Kafka, then their place.
"""


@dataclass(frozen=True)
class UniqueEvents:
    """Events of one topic, each id once; `read` counts the rows before, `duplicates` those that were left out."""

    frame: DataFrame
    read: int
    duplicates: int


def spark_url(url: str) -> str:
    """`url` as Spark's file systems name it: absolute, and s3a for s3.

    >>> spark_url("s3://bucket/lake"), spark_url("/data/lake")
    ('s3a://bucket/lake', 'file:///data/lake')
    """
    if url.startswith("s3://"):
        return "s3a://" + url.removeprefix("s3://")
    if "://" in url:
        return url
    return "file://" + open_lake(url)[1]


def spark_source(url: str) -> str:
    r"""`url` as Spark reads it: a path that is read, unlike one that is written, is a pattern.

    >>> print(spark_source("/data/la[k]e"))
    file:///data/la\[k\]e
    """
    return PATTERN.sub(r"\\\g<0>", spark_url(url))


def written_rows(url: str) -> int:
    """Rows of the parquet files in a folder, from their footers; Spark itself passes over folders being staged."""
    fs, path = open_lake(url)
    total = 0
    for file in _parquet_files(fs, path):
        with fs.open(file, "rb") as source:
            total += pq.read_metadata(source).num_rows
    return total


def rows_without(url: str, column: str) -> int:
    """Rows of the parquet files in a folder in which `column`, a plain one, is null, from their footers."""
    fs, path = open_lake(url)
    total = 0
    for file in _parquet_files(fs, path):
        with fs.open(file, "rb") as source:
            footer = pq.read_metadata(source)
        place = footer.schema.names.index(column)
        total += sum(footer.row_group(i).column(place).statistics.null_count for i in range(footer.num_row_groups))
    return total


def _parquet_files(fs: Any, folder: str) -> list[str]:
    return [file for file in children(fs, folder) if file.endswith(".parquet")]


def archived(
    spark: SparkSession,
    lake: str,
    topic: str,
    *,
    since: date | None = None,
    until: date | None = None,
    schema: pa.Schema | None = None,
) -> DataFrame:
    """Every row the lake holds of `topic`, duplicates and all: columns of the contract, then those of `ARRIVAL`.

    Args: since, until: first and last day of arrival; schema: columns of the topic, where `lamina.lake.schemas` has
    none.
    """
    days = ingested_days(lake, topic, since=since, until=until)
    columns = from_arrow_schema(in_lake(schema or SCHEMAS[topic]))
    if not days:
        empty = spark.createDataFrame([], columns)
        return empty.select(*_arrival_last(empty.columns, F.lit(""), F.lit(""), F.lit(0).cast("long")))
    # Folders are named one by one, whatever lies below them: days can be left out, and a writer may add folders of its
    # own.
    folders = [spark_source(layout.events(lake, topic, day)) for day in days]
    frame = spark.read.schema(columns).option("recursiveFileLookup", True).parquet(*folders)
    file = F.col("_metadata.file_path")
    day_pattern = rf"/{INGESTED}=(\d{{4}}-\d{{2}}-\d{{2}})/"
    return frame.select(
        *_arrival_last(frame.columns, F.regexp_extract(file, day_pattern, 1), file, F.col("_metadata.row_index"))
    )


def answers(
    spark: SparkSession, lake: str, system: str, *, since: date | None = None, until: date | None = None
) -> DataFrame:
    """As `archived`, the answers that `system` gave: without shadows.

    Raises: NotMigrated: the version before wrote some of them, in other columns.
    """
    return envelopes(spark, lake, system, since=since, until=until).where(~F.col(SHADOW))


def envelopes(
    spark: SparkSession, lake: str, system: str, *, since: date | None = None, until: date | None = None
) -> DataFrame:
    """As `archived`, what `system` logged of its answers, and of what shadows would have said.

    Raises: NotMigrated: as `answers`.
    """
    topic = predictions_of(system)
    logged = archived(spark, lake, topic, since=since, until=until, schema=schema_of(Served))
    if not logged.where(F.col(SHADOW).isNull()).isEmpty():
        raise not_migrated(lake, topic)
    return logged.where(F.col("system") == system)


def _arrival_last(names: Sequence[str], day: Column, file: Column, row: Column) -> list[Column]:
    own = [F.col(n) for n in names if n not in ARRIVAL]
    return [*own, day.alias(INGESTED), F.col("partition"), F.col("offset"), file.alias(FILE), row.alias(ROW)]


def without_duplicates(frame: DataFrame, id_column: str) -> UniqueEvents:
    """`frame` with, of each id, only the first to arrive.

    Ids that occur more than once are found first, from that one column; only their rows are sorted.
    """
    seen = Observation()
    key = F.xxhash64(id_column)
    repeated = (
        frame.groupBy(key.alias("_key"))
        .agg(F.count("*").alias("_n"))
        .observe(seen, F.sum("_n").alias("rows"), F.count("*").alias("ids"))
        .where("_n > 1")
        .select("_key")
        .cache()
    )
    suspects = repeated.count()
    totals = seen.get
    rows = int(totals["rows"] or 0)
    if not suspects:
        repeated.unpersist()
        return UniqueEvents(frame, rows, 0)
    order = [F.col(c).asc_nulls_first() for c in ARRIVAL]
    first = Window.partitionBy(id_column).orderBy(*order)
    once = frame.join(repeated, key == F.col("_key"), "left_anti")
    more = frame.join(repeated, key == F.col("_key"), "left_semi").withColumn("_place", F.row_number().over(first))
    return UniqueEvents(once.unionByName(more.where("_place = 1").drop("_place")), rows, rows - int(totals["ids"]))


def first_to_arrive(frame: DataFrame, *columns: str) -> DataFrame:
    """Of rows that are equal in `columns` the first to arrive; all of them are sorted, so they should be narrow."""
    order = [F.col(c).asc_nulls_first() for c in ARRIVAL]
    place = F.row_number().over(Window.partitionBy(*columns).orderBy(*order))
    return frame.withColumn("_place", place).where("_place = 1").drop("_place")


def read_events(
    spark: SparkSession,
    lake: str,
    topic: str,
    id_column: str,
    *,
    from_ms: int | None = None,
    until: date | None = None,
) -> UniqueEvents:
    """Events of `topic` with duplicates removed.

    Args: from_ms: events stamped before are not wanted, so days long before are not read; until: last day of arrival.
    """
    since = None if from_ms is None else day_of(from_ms) - CLOCK_SKEW
    return without_duplicates(archived(spark, lake, topic, since=since, until=until), id_column)
