"""What is said of answers, whoever says it, in one form; and which of it stands.

A statement is of one answer (`ANSWER`), and of one of its candidates where it names one: a value, since when it is
known, the rank of its source, and its place among those that arrived. What the record's own label says and what is said
by feedback are statements alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.spark.labelled import followed
from jobs.spark.lake import ARRIVAL, archived, read_events
from lamina.contracts.labels import LABEL_TIMESTAMP, FollowedLabel, ReportedLabel
from lamina.contracts.systems import System

ANSWER, EVENT, AT = "_answer", "_event", "_at_ms"
"""Of who is asked about: an id, that of its event, and its time, epoch ms."""
CANDIDATE, VALUE, KNOWN_AT, ORIGIN, RANK, BY_FEEDBACK = "_candidate", "_value", "_known", "_origin", "_rank", "_fed"
COLUMNS = (ANSWER, CANDIDATE, VALUE, KNOWN_AT, ORIGIN, RANK, BY_FEEDBACK, *ARRIVAL)
LABEL, SOURCE, CONTRADICTED = "_label", "_source", "_contradicted"


def order_of(system: System) -> Sequence[str]:
    """Sources of what is said of the answers of `system`, the best first."""
    if system.feedback:
        return system.feedback.order
    return system.label.origins if system.label else ()


def rank_of(system: System, origin: Column) -> Column:
    """Place of a source in the order; any other comes behind them."""
    order = order_of(system)
    found = F.lit(len(order))
    for place in reversed(range(len(order))):
        found = F.when(origin == order[place], place).otherwise(found)
    return found


def by_record(
    spark: SparkSession, lake: str, system: System, asked: DataFrame, *, until: date, known_before_ms: int
) -> DataFrame:
    """What the record's label says of those in `asked`, by what had arrived by the end of `until`.

    Args: asked: `ANSWER`, `EVENT`, `AT`, and the keys of a label that follows.
    """
    match system.label:
        case ReportedLabel() as label:
            said = _reports(spark, lake, label, until, known_before_ms)
            found = asked.join(said, F.col(EVENT) == F.col("_said_of"))
        case FollowedLabel() as label:
            found = _follows(spark, lake, label, asked, until, known_before_ms)
        case None:
            found = asked.limit(0).withColumns(
                {VALUE: F.lit(None).cast("double"), KNOWN_AT: F.lit(None).cast("long"), ORIGIN: F.lit("")} | _nowhere()
            )
    return found.withColumns(
        {CANDIDATE: F.lit(None).cast("string"), RANK: rank_of(system, F.col(ORIGIN)), BY_FEEDBACK: F.lit(0)}
    ).select(*COLUMNS)


def _reports(spark: SparkSession, lake: str, label: ReportedLabel, until: date, known_before_ms: int) -> DataFrame:
    source = label.source
    if source.revisions:
        events = archived(spark, lake, source.topic, until=until)
        origin = F.col(source.revisions.by)
    else:
        events = read_events(spark, lake, source.topic, source.id, until=until).frame
        origin = F.lit(source.name)
    known = F.col(label.known)
    return events.where((known < known_before_ms) & F.col(label.column).isNotNull()).select(
        F.col(source.id).alias("_said_of"),
        F.col(label.column).cast("double").alias(VALUE),
        known.alias(KNOWN_AT),
        origin.alias(ORIGIN),
        *ARRIVAL,
    )


def _follows(
    spark: SparkSession, lake: str, label: FollowedLabel, asked: DataFrame, until: date, known_before_ms: int
) -> DataFrame:
    """The first event that follows in time says so; when it arrived is asked of days, not of single answers."""
    events = read_events(spark, lake, label.source.topic, label.source.id, until=until).frame
    rows = asked.where(F.forall(F.array(*label.keys), lambda key: key.isNotNull()))
    found = followed(rows, events, replace(label, rows=None), known_before_ms, at=AT)
    return found.where(F.col(label.column)).withColumns(
        {VALUE: F.lit(1.0), KNOWN_AT: F.col(LABEL_TIMESTAMP), ORIGIN: F.lit(label.source.name)} | _nowhere()
    )


def _nowhere() -> dict[str, Column]:
    kinds = dict.fromkeys(ARRIVAL, "string") | {"partition": "int", "offset": "long", "arrival_row": "long"}
    return {name: F.lit(None).cast(kind) for name, kind in kinds.items()}


def resolved(said: DataFrame, system: System) -> DataFrame:
    """Of each answer and candidate of which something was said: `LABEL`, `KNOWN_AT`, `SOURCE`, `CONTRADICTED`, and
    `BY_FEEDBACK`, whether what stands came by feedback.

    Of one source the newest stands, of equal ones the last to arrive; or the largest, since it was first said. Of
    several the best source's does.
    """
    largest = system.feedback is not None and system.feedback.keeps == "largest"
    place = [F.col(BY_FEEDBACK), *(F.col(name) for name in ARRIVAL)]
    what = [F.col(VALUE), F.col(KNOWN_AT), F.col(ORIGIN), F.col(BY_FEEDBACK)]
    named = F.struct(*(column.alias(name) for column, name in zip(what, "vkof", strict=True))).alias("what")
    if largest:
        stands = F.min(F.struct((-F.col(VALUE)).alias("a"), F.col(KNOWN_AT).alias("b"), F.struct(*place), named))
    else:
        stands = F.max(F.struct(F.col(KNOWN_AT).alias("a"), F.struct(*place), named))
    by_source = said.groupBy(ANSWER, CANDIDATE, RANK).agg(stands.getField("what").alias("_stands"))
    best = F.min(F.struct(RANK, "_stands")).getField("_stands")
    return (
        by_source.groupBy(ANSWER, CANDIDATE)
        .agg(best.alias("_best"), (F.count_distinct("_stands.v") > 1).alias(CONTRADICTED))
        .select(
            ANSWER,
            CANDIDATE,
            F.col("_best.v").alias(LABEL),
            F.col("_best.k").alias(KNOWN_AT),
            F.col("_best.o").alias(SOURCE),
            F.col("_best.f").alias(BY_FEEDBACK),
            CONTRADICTED,
        )
    )


def of_answers(found: DataFrame) -> DataFrame:
    """What `resolved` gave, once an answer: where something was said of several candidates, the largest of it."""
    first = F.struct((-F.col(LABEL)).alias("a"), F.col(KNOWN_AT).alias("k"), F.coalesce(CANDIDATE, F.lit("")), SOURCE)
    return (
        found.groupBy(ANSWER)
        .agg(F.min(first).alias("_first"), F.max(CONTRADICTED).alias(CONTRADICTED))
        .select(
            ANSWER,
            (-F.col("_first.a")).alias(LABEL),
            F.col("_first.k").alias(KNOWN_AT),
            F.col(f"_first.{SOURCE}").alias(SOURCE),
            CONTRADICTED,
        )
    )
