"""Events of a source as features take them: each id once, or with revisions every event that ever stood, and when."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.spark.lake import ARRIVAL, UniqueEvents, archived, read_events
from lamina.contracts.features import EventSource, Revisions
from lamina.features.standing import KNOWN, UNTIL


def events_of(
    spark: SparkSession, lake: str, source: EventSource, *, from_ms: int | None = None, until: date | None = None
) -> UniqueEvents:
    """Events of `source`: of each id the first to arrive. With revisions: all that ever stood, with `KNOWN` and
    `UNTIL`, epoch ms, null where it stands still.

    Args: from_ms: events stamped before are not wanted, so days long before are not read, except where what was said
    then may still stand; until: last day of arrival.
    """
    if source.revisions is None:
        return read_events(spark, lake, source.topic, source.id, from_ms=from_ms, until=until)
    frame = archived(spark, lake, source.topic, until=until)
    counts = frame.agg(F.count("*"), F.count_distinct(source.id)).first()
    rows, ids = counts or (0, 0)
    return UniqueEvents(_stood(frame, source, source.revisions), int(rows), int(rows) - int(ids))


def standing(frame: DataFrame, source: EventSource, before_ms: int) -> DataFrame:
    """Of what `events_of` gave, each id once: as it stood before a time; all of a source without revisions."""
    if source.revisions is None:
        return frame
    return frame.where((F.col(KNOWN) < before_ms) & (F.col(UNTIL).isNull() | (F.col(UNTIL) >= before_ms)))


def _stood(frame: DataFrame, source: EventSource, told: Revisions) -> DataFrame:
    """Every event than which none known before is of a better origin; it stands until the next such one is known."""
    known = F.col(told.known)
    own = Window.partitionBy(source.id).orderBy(known, *(F.col(c).asc_nulls_first() for c in ARRIVAL))
    best = F.min("_rank").over(own.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    ranked = frame.withColumn("_rank", _rank(told)).withColumn("_best", best).where("_rank = _best")
    return (
        ranked.withColumn(KNOWN, known)
        .withColumn(UNTIL, F.lead(known).over(own))
        .where(F.col(UNTIL).isNull() | (F.col(UNTIL) > F.col(KNOWN)))
        .drop("_rank", "_best")
    )


def _rank(told: Revisions) -> Column:
    found = F.lit(len(told.order))
    for name in reversed(told.order):
        found = F.when(F.col(told.by) == name, told.rank(name)).otherwise(found)
    return found
