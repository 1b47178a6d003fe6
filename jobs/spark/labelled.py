"""The label of each request, of whatever kind the system's record says."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.spark.compile import condition
from jobs.spark.revisions import standing
from lamina.contracts.features import EventSource
from lamina.contracts.labels import LABEL_TIMESTAMP, FollowedLabel, LabelDefinition, ReportedLabel


def labelled(
    requests: DataFrame, events: DataFrame, request: EventSource, label: LabelDefinition, known_before_ms: int
) -> DataFrame:
    """Those of `requests` that are rows, with the label's column, `label_timestamp` and what is kept beside.

    What became known at `known_before_ms` or later is left out, as if it had not happened. A request of which nothing
    is known is negative, the label's time null. The requests are without duplicates.

    Args: events: of the label's source, as `events_of` gives them.
    """
    rows = requests if label.rows is None else requests.where(condition(label.rows))
    stood = standing(events, label.source, known_before_ms)
    match label:
        case ReportedLabel():
            found = _reported(rows, stood, request, label, known_before_ms)
        case FollowedLabel():
            found = followed(rows, stood, label, known_before_ms, at=request.timestamp)
    return found.select(*requests.columns, label.column, LABEL_TIMESTAMP, *label.beside)


def _reported(
    rows: DataFrame, events: DataFrame, request: EventSource, label: ReportedLabel, known_before_ms: int
) -> DataFrame:
    known = events.where(F.col(label.known) < known_before_ms).select(
        F.col(label.source.id).alias("_labelled"),
        F.col(label.column).alias("_label"),
        F.col(label.known).alias(LABEL_TIMESTAMP),
        *label.beside,
    )
    joined = rows.join(known, F.col(request.id) == F.col("_labelled"), "left")
    return joined.withColumn(label.column, F.coalesce("_label", F.lit(False)))


def followed(rows: DataFrame, events: DataFrame, label: FollowedLabel, known_before_ms: int, *, at: str) -> DataFrame:
    """`rows` with the label's column and `label_timestamp`; `at`: the column that holds a row's time, epoch ms.

    Both kinds of events of the same keys in one order of time, the newest first: what follows a row came by before. All
    that is later is looked at, not only what is in time: that frame only grows, and each event is taken once.
    """
    ts = F.col(label.source.timestamp)
    wanted = F.lit(True) if label.where is None else condition(label.where)
    following = events.where(wanted & (ts < known_before_ms)).select(
        *label.keys, ts.alias("_at"), ts.alias("_follows"), F.lit(False).alias("_row")
    )
    asked = rows.withColumn("_at", F.col(at)).withColumn("_row", F.lit(True))
    later = Window.partitionBy(*label.keys).orderBy(F.col("_at").desc()).rangeBetween(Window.unboundedPreceding, -1)
    next_ms = F.min("_follows").over(later)
    in_time = F.col("_next") <= F.col("_at") + label.within.ms
    return (
        asked.unionByName(following, allowMissingColumns=True)
        .withColumn("_next", next_ms)
        .where("_row")
        .withColumn(LABEL_TIMESTAMP, F.when(in_time, F.col("_next")))
        .withColumn(label.column, F.col(LABEL_TIMESTAMP).isNotNull())
    )
