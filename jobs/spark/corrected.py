"""Labels of requests as the record and feedback together say: what training learns is what joined rows hold."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.spark.lake import answers, first_to_arrive
from jobs.spark.matching import answer_id, feedback_of, matched, statements, to_match
from jobs.spark.statements import ANSWER, AT, EVENT, KNOWN_AT, LABEL, by_record, of_answers, resolved
from lamina.contracts.labels import LABEL_TIMESTAMP
from lamina.contracts.systems import System


def corrected(
    spark: SparkSession, lake: str, system: System, rows: DataFrame, *, until: date, known_before_ms: int
) -> DataFrame:
    """`rows` as `labelled` gives them, where feedback speaks of a request's answers with the label that stands then.

    Raises: NotMigrated: the version before wrote some answers, in other columns.
    """
    told = feedback_of(spark, lake, system, until=until, known_before_ms=known_before_ms)
    if system.feedback is None or told.isEmpty():
        return rows
    request, label = system.features.request, system.learnt_label
    given = answers(spark, lake, system.name, until=until).withColumn(ANSWER, answer_id())
    found = matched(told, to_match(first_to_arrive(given, ANSWER)), system)
    # Of one request there may be several answers: all that is said of them is said of it.
    fed = statements(found.where(F.col(EVENT).isNotNull()).withColumn(ANSWER, F.col(EVENT)), system).cache()
    asked = rows.join(fed.select(F.col(ANSWER).alias(request.id)).distinct(), request.id, "left_semi").withColumns(
        {ANSWER: F.col(request.id), EVENT: F.col(request.id), AT: F.col(request.timestamp)}
    )
    recorded = by_record(spark, lake, system, asked, until=until, known_before_ms=known_before_ms)
    stands = of_answers(resolved(recorded.unionByName(fed), system))
    said = F.col(LABEL).isNotNull()
    joined = rows.join(stands, F.col(request.id) == F.col(ANSWER), "left").withColumns(
        {
            label.column: F.when(said, F.col(LABEL) > 0).otherwise(F.col(label.column)),
            LABEL_TIMESTAMP: F.when(said, F.col(KNOWN_AT)).otherwise(F.col(LABEL_TIMESTAMP)),
        }
    )
    return joined.select(*rows.columns)
