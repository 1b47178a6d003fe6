"""Which answer each event of feedback is about: the one that it names, or the newest to its subjects before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.spark.lake import ARRIVAL, archived
from jobs.spark.statements import (
    ANSWER,
    AT,
    BY_FEEDBACK,
    CANDIDATE,
    COLUMNS,
    EVENT,
    KNOWN_AT,
    ORIGIN,
    RANK,
    VALUE,
    rank_of,
)
from lamina.contracts.feedback import MODEL_FEEDBACK
from lamina.contracts.feedback_label import FeedbackLabel
from lamina.contracts.systems import System

SAID, REPEATED = "_said", "_repeated"
REASON = "reason"
NO_MEANING, NO_ANSWER = "no_meaning", "no_answer"
"""Why feedback is about no answer: the record gives its action no meaning, or there is no answer that it can be about;
`no_answer` may become one when that arrives.
"""
SUBJECTS, CANDIDATES, SCORE = "_subjects", "_candidates", "_score"
_NUMBERS = "map<string,double>"
_TEXTS = "map<string,string>"


def feedback_of(spark: SparkSession, lake: str, system: System, *, until: date, known_before_ms: int) -> DataFrame:
    """What was said of the answers of `system`, by the end of the day `until` and before a time; each event has an id
    `SAID`, and is `REPEATED` where the same client said it before. What came without a key is of one client.
    """
    found = archived(spark, lake, MODEL_FEEDBACK, until=until)
    # What is not of the contract of today has no system.
    found = found.where((F.col("system") == system.name) & (F.col("timestamp") < known_before_ms))
    order = [F.col(name).asc_nulls_first() for name in ARRIVAL]
    identity = F.coalesce("client", F.lit("")), F.col("source"), F.col("feedback_id")
    same = Window.partitionBy(*identity).orderBy(*order)
    return found.withColumns(
        {
            REPEATED: F.row_number().over(same) > 1,
            SAID: F.concat_ws("\x00", *identity),
            SUBJECTS: F.from_json("subjects", _TEXTS),
            VALUE: _value(system.feedback) if system.feedback else F.lit(None).cast("double"),
        }
    )


def _value(label: FeedbackLabel) -> Column:
    """As `FeedbackLabel.says`."""
    action = F.col("action")
    if label.reward:
        value = F.col("value")
        return F.when(action.isin(*label.grades), value) if label.grades else value
    found = F.lit(None).cast("double")
    for name, grade in label.grades.items():
        found = F.when(action == name, float(grade)).otherwise(found)
    return found


def to_match(answers: DataFrame) -> DataFrame:
    """Of answers, each once: what feedback may name them by, and their score."""
    names = "array<struct<id:string>>"
    return answers.select(
        answer_id().alias(ANSWER),
        "request_id",
        F.col("event_id").alias(EVENT),
        F.col("timestamp").alias(AT),
        F.from_json("subjects", _TEXTS).alias(SUBJECTS),
        F.from_json("candidates", names).getField("id").alias(CANDIDATES),
        score().alias(SCORE),
    )


def score() -> Column:
    """The first of an envelope's outputs; null where no model answered."""
    return F.get(F.map_values(F.from_json("outputs", _NUMBERS)), 0)


def answer_id() -> Column:
    """What an answer and its shadows share. Requests may come with an id that another had."""
    return F.concat("request_id", F.lit("\x00"), F.coalesce("event_id", F.lit("")))


def matched(said: DataFrame, answers: DataFrame, system: System) -> DataFrame:
    """The events of `said` that are no repetition, each with its `ANSWER`, `EVENT`, `AT` and `CANDIDATE`, or null.

    Args: answers: as `to_match` gives them.
    """
    once = said.where(~F.col(REPEATED))
    told = once.where(F.col(VALUE).isNotNull()).select(
        SAID, F.col("timestamp").alias("_told"), SUBJECTS, "request_id", "event_id"
    )
    within_ms = system.feedback.within.ms if system.feedback else 0
    found = _by_name(told, answers, "request_id", "request_id")
    found = found.unionByName(_by_name(told.where("request_id is null"), answers, "event_id", EVENT))
    unnamed = told.where("request_id is null and event_id is null")
    for entities in _kinds(unnamed):
        found = found.unionByName(_by_subjects(unnamed, answers, entities, within_ms))
    scores = answers.select(F.col(ANSWER).alias("_scored"), SCORE)
    return once.join(found, SAID, "left").join(scores, F.col(ANSWER) == F.col("_scored"), "left").drop("_scored")


def statements(found: DataFrame, system: System) -> DataFrame:
    """What feedback that was matched says."""
    return (
        found.where(F.col(ANSWER).isNotNull())
        .withColumns(
            {
                KNOWN_AT: F.col("timestamp"),
                ORIGIN: F.col("source"),
                RANK: rank_of(system, F.col("source")),
                BY_FEEDBACK: F.lit(1),
            }
        )
        .select(*COLUMNS)
    )


def _by_name(told: DataFrame, answers: DataFrame, name: str, column: str) -> DataFrame:
    """By the id that an event names. It must be right about the subjects that it gives, and about a second id."""
    theirs = answers.select(
        F.col(column).alias("_named"), ANSWER, EVENT, AT, CANDIDATES, F.col(SUBJECTS).alias("_theirs")
    )
    asked = told.where(F.col(name).isNotNull())
    both = asked.join(theirs, F.col(name) == F.col("_named"))
    given = F.map_entries(SUBJECTS)
    others = F.filter(given, lambda each: F.try_element_at("_theirs", each["key"]).isNull())
    agree = F.forall(
        given,
        lambda each: F.coalesce(
            F.try_element_at("_theirs", each["key"]) == each["value"],
            F.array_contains(CANDIDATES, each["value"]),
            F.lit(False),
        ),
    )
    right = agree & (F.size(others) <= 1) & (F.col("event_id").isNull() | F.col("event_id").eqNullSafe(F.col(EVENT)))
    newest = Window.partitionBy(SAID).orderBy(F.col(AT).desc(), F.col(ANSWER).desc())
    return (
        both.where(right)
        .withColumn("_place", F.row_number().over(newest))
        .where("_place = 1")
        .select(SAID, ANSWER, EVENT, AT, F.get(others, 0)["value"].alias(CANDIDATE))
    )


def _kinds(told: DataFrame) -> list[list[str]]:
    """Which entities events name together: a few sets of names."""
    found = told.select(F.sort_array(F.map_keys(SUBJECTS)).alias("names")).distinct().collect()
    return sorted(row["names"] for row in found if row["names"])


def _by_subjects(told: DataFrame, answers: DataFrame, entities: Sequence[str], within_ms: int) -> DataFrame:
    """The newest answer to the same subjects, of those in (t - within, t): both in one order of time."""
    theirs = _keyed(answers, entities, None)
    for entity in entities:
        theirs = theirs.unionByName(_keyed(answers, entities, entity))
    ours = told.where(F.sort_array(F.map_keys(SUBJECTS)) == F.array(*map(F.lit, entities))).select(
        F.array(*(F.try_element_at(SUBJECTS, F.lit(entity)) for entity in entities)).alias("_key"),
        F.col("_told").alias("_time"),
        F.lit(None).cast(theirs.schema["_answered"].dataType).alias("_answered"),
        SAID,
    )
    before = Window.partitionBy("_key").orderBy("_time").rangeBetween(Window.unboundedPreceding, -1)
    return (
        theirs.withColumn(SAID, F.lit(None).cast("string"))
        .unionByName(ours)
        .withColumn("_newest", F.max("_answered").over(before))
        .where(F.col(SAID).isNotNull() & (F.col("_time") - F.col("_newest.at") <= within_ms))
        .select(
            SAID,
            F.col("_newest.answer").alias(ANSWER),
            F.col("_newest.event").alias(EVENT),
            F.col("_newest.at").alias(AT),
            F.col("_newest.candidate").alias(CANDIDATE),
        )
    )


def _keyed(answers: DataFrame, entities: Sequence[str], ranked: str | None) -> DataFrame:
    """Answers by the ids of these entities; of `ranked` they have candidates instead, each under a key of its own."""
    has = [F.try_element_at(SUBJECTS, F.lit(entity)).isNotNull() for entity in entities if entity != ranked]
    rows = answers
    for each in has:
        rows = rows.where(each)
    candidate: Column = F.lit(None).cast("string")
    if ranked is not None:
        rows = rows.where(F.try_element_at(SUBJECTS, F.lit(ranked)).isNull())
        rows = rows.withColumn(CANDIDATE, F.explode(F.array_distinct(CANDIDATES)))
        candidate = F.col(CANDIDATE)
    ids = [candidate if e == ranked else F.try_element_at(SUBJECTS, F.lit(e)) for e in entities]
    return rows.select(
        F.array(*ids).alias("_key"),
        F.col(AT).alias("_time"),
        F.struct(
            F.col(AT).alias("at"),
            F.col(ANSWER).alias("answer"),
            F.col(EVENT).alias("event"),
            candidate.alias("candidate"),
        ).alias("_answered"),
    )
