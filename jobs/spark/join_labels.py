"""Answers with what became known of them: the joined rows of every day whose labels may have changed.

`python -m jobs.spark.join_labels --system fraud --date 2018-08-21` takes what had arrived by the end of the date, and
was known by then or, with `--known-at`, before another time. Rows of a day are replaced as a whole; a rerun gives the
same again, and that of an older date leaves alone what a later one has written. Beside the rows: a report of the date
whose counts add up, and the feedback that is about no answer, which is tried again whenever an answer arrives.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.history import rows_of, with_history
from jobs.spark.lake import ARRIVAL, FILE, ROW, envelopes, first_to_arrive, spark_url, written_rows
from jobs.spark.matching import (
    NO_ANSWER,
    NO_MEANING,
    REASON,
    REPEATED,
    SCORE,
    SUBJECTS,
    answer_id,
    feedback_of,
    matched,
    score,
    statements,
    to_match,
)
from jobs.spark.session import make_session
from jobs.spark.statements import (
    ANSWER,
    BY_FEEDBACK,
    CONTRADICTED,
    KNOWN_AT,
    LABEL,
    SOURCE,
    VALUE,
    by_record,
    of_answers,
    resolved,
)
from lamina.clock import midnight_ms, next_day
from lamina.contracts.feedback import MODEL_FEEDBACK, Feedback
from lamina.contracts.labels import FollowedLabel
from lamina.contracts.served import MODEL
from lamina.contracts.systems import System
from lamina.contracts.topics import predictions_of
from lamina.definitions import record
from lamina.errors import ArchivedMeanwhile, DefinitionError
from lamina.lake import layout
from lamina.lake.answers import holds_events
from lamina.lake.joined import ASSUMED, SAID, SCHEMA, WAITING, joined_days
from lamina.lake.joined_state import AsOf, JoinState, states, write_fingerprint
from lamina.lake.partitions import INGESTED
from lamina.lake.schemas import schema_of
from lamina.lake.write import open_lake, replacing, replacing_each, write_partition
from lamina.settings import load_settings

DAY = "_day"
BRIEF = ("request_id", "event_id", "shadow", "arm", "subjects", "candidates", "outputs", "timestamp")
PLACE = (FILE, ROW)
"""Where in the lake an envelope lies: of several of one id that of the first to arrive."""
KEPT = timedelta(days=30)
"""How long feedback that is about no answer is listed; it is looked at for ever."""
NOTHING = "0-0"
"""Fingerprint of a day without rows."""
TOLERANCE = 1e-6
"""A client may have rounded the number that it was given."""
OF_ANSWERS = ("answers", SAID, ASSUMED, WAITING, "contradicted", "shadows")
OF_FEEDBACK = ("feedback", "used", "superseded", "repeated", "unmatched", "other_prediction")
"""Counts of a report."""
_MODELS = "map<string,struct<name:string,version:string>>"


def join(
    spark: SparkSession, lake: str, system: System, day: date, *, known_before_ms: int | None = None
) -> dict[str, Any]:
    """Write the joined rows of every day up to `day` whose labels may have changed by then; returns the counts. A day
    that was written by a run which had seen more stays as it is.

    Args: known_before_ms: what became known at this time or later is not looked at; midnight at the end of `day` where
    it is left out.
    Raises: NotMigrated: the version before wrote some answers, in other columns; DefinitionError: the system logs no
    answers, or they do not name what its label goes by; ArchivedMeanwhile: answers were replaced in the meantime.
    """
    if system.served is None:
        raise DefinitionError(f"system {system.name!r} logs no answers: describe them by served")
    known_before_ms = midnight_ms(next_day(day)) if known_before_ms is None else known_before_ms
    with ExitStack() as ends:

        def kept(frame: DataFrame) -> DataFrame:
            ends.callback(frame.cache().unpersist)
            return frame

        logged = envelopes(spark, lake, system.name, until=day)
        # Features and payloads are read where days are written, and not of all days.
        brief = logged.select(*BRIEF, *ARRIVAL).withColumn(DAY, _day_of("timestamp"))
        brief = kept(_each_once(brief.where(F.col(DAY) <= day.isoformat())))
        answers = kept(to_match(first_to_arrive(brief.where("not shadow"), ANSWER)))
        told = feedback_of(spark, lake, system, until=day, known_before_ms=known_before_ms)
        found = kept(matched(told, answers, system))
        asked = answers.withColumns(keys_of(system))
        said = by_record(spark, lake, system, asked, until=day, known_before_ms=known_before_ms)
        stands = kept(resolved(said.unionByName(statements(found, system)), system))
        labels = kept(_labels(brief, of_answers(stands), system, known_before_ms))
        now, as_of = _fingerprints(labels), AsOf(known_before_ms, day)
        days = _to_write(now, states(lake, system.name), as_of)
        _write(logged, labels, lake, system.name, {each: now.get(each, NOTHING) for each in days}, as_of)
        figures = {
            "days": [each.isoformat() for each in days],
            "known_before_ms": known_before_ms,
            **_counts(labels),
            **_feedback(found, told, stands),
        }
        _report(found, lake, system.name, day, figures)
    return figures


def _to_write(now: Mapping[date, str], before: Mapping[date, JoinState], as_of: AsOf) -> list[date]:
    """The days whose rows differ and were not written by a run that had seen more; later ones have no rows here.

    A day that has rows and no answers any more was archived anew without them.
    """
    found = []
    for day in sorted(now.keys() | before.keys()):
        was = before.get(day, JoinState())
        seen_more = was.as_of is not None and was.as_of > as_of
        if day <= as_of.date and not seen_more and now.get(day, NOTHING) != was.fingerprint:
            found.append(day)
    return found


def keys_of(system: System) -> dict[str, Column]:
    """The columns that the label of `system` goes by, from the subjects of an answer.

    Raises: DefinitionError: an answer does not name one of them.
    """
    if not isinstance(system.label, FollowedLabel):
        return {}
    named = {entity.key: entity.name for entity in system.entities}
    if odd := sorted(set(system.label.keys) - set(named)):
        raise DefinitionError(
            f"system {system.name!r}: label {system.label.column!r} goes by {odd}, and an answer names ids of "
            f"{sorted(named)} alone: take keys of entities"
        )
    return {key: F.try_element_at(SUBJECTS, F.lit(named[key])) for key in system.label.keys}


def _each_once(brief: DataFrame) -> DataFrame:
    return first_to_arrive(brief.withColumn(ANSWER, answer_id()), ANSWER, "shadow", "arm")


def _day_of(column: str) -> Column:
    return F.date_format(F.timestamp_millis(F.col(column)), "yyyy-MM-dd")


def _labels(brief: DataFrame, stands: DataFrame, system: System, known_before_ms: int) -> DataFrame:
    """The label of every envelope, with its day and its place in the lake."""
    waits = [each for each in (system.label and system.label.delay, system.feedback and system.feedback.within) if each]
    over = F.col("timestamp") + max((each.ms for each in waits), default=0) < known_before_ms
    label = F.col(LABEL)
    return brief.join(stands, ANSWER, "left").select(
        *PLACE,
        DAY,
        "shadow",
        F.when(label.isNull() & over, 0.0).otherwise(label).alias("label"),
        F.col(KNOWN_AT).alias("label_timestamp"),
        F.col(SOURCE).alias("label_source"),
        F.when(label.isNotNull(), SAID).when(over, ASSUMED).otherwise(WAITING).alias("label_status"),
        F.coalesce(CONTRADICTED, F.lit(False)).alias("contradicted"),
    )


def _fingerprints(labels: DataFrame) -> dict[date, str]:
    """Of each day: how many rows it has, and a hash over where each lies and what its label is."""
    each = F.xxhash64(*(F.col(name) for name in labels.columns))
    found = labels.groupBy(DAY).agg(F.count("*"), F.bit_xor(each)).collect()
    return {date.fromisoformat(day): f"{rows}-{hashed & 2**64 - 1:x}" for day, rows, hashed in found}


def _counts(labels: DataFrame) -> dict[str, int]:
    found = labels.groupBy("shadow", "label_status").agg(F.count("*"), F.count_if("contradicted")).collect()
    counts = dict.fromkeys(OF_ANSWERS, 0)
    for shadow, status, many, contradicted in found:
        if shadow:
            counts["shadows"] += many
            continue
        for name, more in (("answers", many), (status, many), ("contradicted", contradicted)):
            counts[name] += more
    return counts


def _feedback(found: DataFrame, told: DataFrame, stands: DataFrame) -> dict[str, int]:
    """Counts of all that was said: each event is one of four things."""
    differs = F.abs(F.col("prediction") - F.col(SCORE)) > TOLERANCE
    once = found.agg(F.count(ANSWER), F.count_if(F.col(ANSWER).isNull()), F.count_if(differs)).first()
    used = stands.where(F.col(BY_FEEDBACK) == 1).count()
    repeated = told.where(REPEATED).count()
    assert once is not None, "an aggregate without groups has one row"
    heard = once[0] + once[1] + repeated
    return dict(zip(OF_FEEDBACK, (heard, used, once[0] - used, repeated, once[1], once[2]), strict=True))


def _write(
    logged: DataFrame, labels: DataFrame, lake: str, system: str, fingerprints: Mapping[date, str], as_of: AsOf
) -> None:
    """Replace the rows of some days, in one pass over the answers: their envelopes, each once, with their labels and
    what was said of them before. Until all are written none is replaced.

    Args: fingerprints: of each day that is written.
    Raises: ArchivedMeanwhile: the answers of a day are not those any more that were joined.
    """
    if not fingerprints:
        return
    spark, days = logged.sparkSession, sorted(fingerprints)
    times = F.col("timestamp").between(midnight_ms(days[0]), midnight_ms(next_day(days[-1])) - 1)
    model = F.try_element_at(F.from_json("models", _MODELS), F.lit(MODEL))
    made = {"score": score(), "model": model["name"], "model_version": model["version"]}
    kinds = {each.name: each.dataType for each in from_arrow_schema(SCHEMA)}
    found = labels.where(F.col(DAY).isin([day.isoformat() for day in days])).drop("shadow")
    before = rows_of(spark, [layout.joined(lake, system, day) for day in days])
    rows = with_history(
        logged.where(times).join(found, list(PLACE)),
        None if before is None else before.withColumn(DAY, _day_of("timestamp")),
        as_of.known_before_ms,
        within=DAY,
    )
    columns = [made.get(name, F.col(name)).cast(kind).alias(name) for name, kind in kinds.items()]
    # Rows of a day come together, and a large day into several files.
    by_day = rows.select(*columns, F.col(DAY).alias(layout.DAY)).hint("rebalance", layout.DAY)
    with replacing_each(layout.joined_of(lake, system)) as staging:
        by_day.write.partitionBy(layout.DAY).mode("append").parquet(spark_url(staging))
        for day, fingerprint in fingerprints.items():
            folder = f"{staging}/{layout.day_folder(day)}"
            if fingerprint == NOTHING:
                write_partition(folder, SCHEMA.empty_table())
            if written_rows(folder) != _rows(fingerprint):
                raise ArchivedMeanwhile(
                    f"answers of {system} of {day} were archived anew while they were joined; nothing was written: run "
                    f"the join again"
                )
            write_fingerprint(folder, fingerprint, as_of)


def _rows(fingerprint: str) -> int:
    """How many a day has that has this fingerprint.

    >>> _rows("1206-9f3"), _rows(NOTHING)
    (1206, 0)
    """
    return int(fingerprint.split("-")[0])


def _report(found: DataFrame, lake: str, system: str, day: date, figures: dict[str, Any]) -> None:
    """Write the report of a date and, beside it, the feedback of the last days that is about no answer, and why."""
    reason = F.when(F.col(VALUE).isNull(), NO_MEANING).otherwise(NO_ANSWER)
    columns = [name for name in schema_of(Feedback).names if name not in ("request_id", "event_id")]
    lately = F.col(INGESTED) > (day - KEPT).isoformat()
    lost = found.where(F.col(ANSWER).isNull() & lately).select(
        *columns, "request_id", "event_id", INGESTED, reason.alias(REASON)
    )
    with replacing(layout.label_join(lake, system, day)) as staging:
        lost.write.mode("append").parquet(spark_url(staging))
        _put(staging, system, day, figures)


def _put(staging: str, system: str, day: date, figures: dict[str, Any]) -> None:
    fs, path = open_lake(staging)
    line = {"system": system, "date": day.isoformat(), **figures}
    fs.pipe_file(f"{path}/{layout.JOIN_REPORT}", orjson.dumps(line, option=orjson.OPT_INDENT_2))


def is_anything(lake: str, system: str, day: date) -> bool:
    """Whether there is anything to join by the end of `day`, or was when labels were joined before."""
    topics = predictions_of(system), MODEL_FEEDBACK
    return bool(joined_days(lake, system)) or any(holds_events(lake, topic, until=day) for topic in topics)


def join_nothing(lake: str, system: str, day: date, known_before_ms: int | None = None) -> dict[str, Any]:
    """Write the report of a date by which nothing was served and nothing said; returns its counts."""
    known_before_ms = midnight_ms(next_day(day)) if known_before_ms is None else known_before_ms
    figures = {"days": [], "known_before_ms": known_before_ms, **dict.fromkeys((*OF_ANSWERS, *OF_FEEDBACK), 0)}
    with replacing(layout.label_join(lake, system, day)) as staging:
        _put(staging, system, day, figures)
    return figures


def main(
    day: LogicalDate,
    system: SystemName = DEFAULT_SYSTEM,
    known_at: Annotated[
        datetime | None, typer.Option(help="Look at nothing that became known at this time, UTC, or later.")
    ] = None,
    lake_url: LakeUrl = None,
) -> None:
    """Join labels to answers for a logical date; the last line is the counts as JSON."""
    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    known_ms = None if known_at is None else round(known_at.replace(tzinfo=UTC).timestamp() * 1000)
    began = time.monotonic()
    lake = settings.lake_url
    # Before a system's first answer there is nothing that Spark need be started for.
    if is_anything(lake, system, logical):
        counts = join(make_session("join_labels"), lake, record(system), logical, known_before_ms=known_ms)
    else:
        counts = join_nothing(lake, system, logical, known_ms)
    report("join_labels", system, logical, {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)
