"""Served against recomputed: every feature of every answer of a day, from the archived events, as it was at its time.

`python -m jobs.spark.parity --system fraud --date 2018-08-14` compares what was archived for the date, writes
`report.json` and `report.html`, and ends with exit code 3 when a served value cannot be explained by the events that
were readable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import orjson
import pyarrow as pa
import typer
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.spark.command import LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.comparison import Comparison, Difference, matches_of
from jobs.spark.lake import ARRIVAL, answers, archived, read_events, without_duplicates
from jobs.spark.matching import answer_id
from jobs.spark.parity_report import EXAMPLES, make_report, write_report
from jobs.spark.session import make_session
from jobs.spark.training_set import archived_features
from jobs.spark.visible import Answer, EntityHistory
from lamina.clock import day_of, midnight_ms
from lamina.contracts.features import Entity, FeatureSet
from lamina.definitions import load
from lamina.lake.answers import are_archived
from lamina.lake.partitions import CLOCK_SKEW
from lamina.rollout.records import recorded
from lamina.semantics.plan import Plan, make_plan
from lamina.settings import load_settings

EXIT_MISMATCH = 3
SERVED = "_served"
KEY = "_key"
ANSWER = ("request_id", "event_id", "timestamp", "features", "seen", "through")
"""What is carried of an answer: fields of its envelope."""

LOOKED_AT = ("event_id", "features", "seen", "through", "differing", "asked")
"""What is carried of an answer that differs. asked: the columns of the request that features are crossed with."""

VALUE_SCHEMA = pa.schema(
    [
        ("feature", pa.string()),
        ("outcome", pa.string()),
        ("early", pa.bool_()),
        ("n", pa.int64()),
        ("size", pa.float64()),
        ("request_id", pa.string()),
        ("at_ms", pa.int64()),
        ("served", pa.string()),
        ("expected", pa.string()),
        ("readable", pa.string()),
        ("tiles", pa.string()),
    ]
)
"""One value that differs, or how often a feature matched (`n`). Values as JSON."""
VALUE_DDL = (
    "feature string, outcome string, early boolean, n long, size double, request_id string, at_ms long, "
    "served string, expected string, readable string, tiles string"
)


def compare(
    spark: SparkSession, lake: str, features: FeatureSet, day: date, since_ms: int | None = None
) -> dict[str, Any]:
    """The report on the answers that were archived for `day`, from the events that had been archived by then.

    Args: since_ms: take the days from this time on as well, and leave answers for earlier times out, epoch ms.
    """
    served, apart = _answers(spark, lake, features, day, since_ms)
    served = served.persist()
    compared = served.count()
    if not compared:
        return make_report(features, day, {**apart, "compared": 0}, [], [])
    rows = _requests(spark, lake, features, served, day).persist()
    apart["without_request"] = compared - (joined := rows.count())
    found = archived_features(spark, lake, features, rows, until=day)
    checked = found.mapInArrow(_checker(features), _checked_ddl(features)).persist()
    values = checked.where("differing IS NULL").select(*VALUE_SCHEMA.names)
    differing = checked.where("differing IS NOT NULL")
    if suspects := differing.count():
        for entity in features.entities:
            values = values.unionByName(_explained(spark, lake, features, entity, differing, day))
    values = values.persist()
    totals = values.groupBy("feature", "outcome").agg(
        F.sum("n").alias("n"),
        F.sum(F.when(F.col("early"), F.col("n")).otherwise(0)).alias("early"),
        F.max("size").alias("largest"),
    )
    counted = [row.asDict() for row in totals.collect()]
    examples = _examples(values) if suspects else []
    for frame in (values, checked, rows, served):
        frame.unpersist()
    return make_report(features, day, {**apart, "compared": joined}, counted, examples)


def _first_day(day: date, since_ms: int | None) -> date:
    return day if since_ms is None else min(day, day_of(since_ms))


def _answers(
    spark: SparkSession, lake: str, features: FeatureSet, day: date, since_ms: int | None
) -> tuple[DataFrame, dict[str, int]]:
    """Answers whose features can be compared, and how many were left out, by cause."""
    first = _first_day(day, since_ms)
    logged = answers(spark, lake, features.system, since=first, until=day)
    if since_ms is not None:
        logged = logged.where(F.col("timestamp") >= since_ms)
    # One request may ask about many events.
    once = without_duplicates(logged.withColumn("_answer", answer_id()), "_answer")
    plan = make_plan(features)
    has_features = F.col("features") != "{}"
    # A definition that changed changes the names of its tile specs: such values cannot be made again.
    current = _holds(F.json_object_keys("seen"), plan)
    firsts = _first_of_each_event(spark, lake, features.system, once.frame, first)
    counts = firsts.agg(
        F.count("*").alias("firsts"),
        F.count_if(~has_features).alias("without_features"),
        F.count_if(has_features & ~current).alias("other_definitions"),
    ).first()
    found = {k: int(v or 0) for k, v in (counts.asDict() if counts else {}).items()}
    served = once.frame.count()
    apart = {"answers": served, "repeated": served - found.pop("firsts", 0), **found}
    return firsts.where(has_features & current).select(*ANSWER), apart


def _holds(labels: Column, plan: Plan) -> Column:
    """Whether an array of what was logged as seen has a number for every tile spec of `plan`, and for no others.

    Those of values may be missing: an answer of a version before did not count the values of hot entities.
    """
    every, needed = (
        F.array(*map(F.lit, names)).cast("array<string>")
        for names in ([n for t in plan.streamed for n in plan.seen_labels(t)], [t.seen_label() for t in plan.streamed])
    )
    return F.forall(labels, lambda label: F.array_contains(every, label)) & (
        F.size(F.array_intersect(labels, needed)) == len(plan.streamed)
    )


def _first_of_each_event(spark: SparkSession, lake: str, system: str, served: DataFrame, first: date) -> DataFrame:
    """`served` without answers to an event that had been answered before, in these days or earlier ones.

    Such a one found the event itself among the past: engines count an id once, but it was there already.
    """
    kept = without_duplicates(served, "event_id").frame
    # An event comes again with the time it had: only one from before these days can have been answered before them.
    midnight = midnight_ms(first)
    oldest = kept.where(F.col("timestamp") < midnight).agg(F.min("timestamp")).first()
    if oldest is None or oldest[0] is None:
        return kept
    since = day_of(oldest[0]) - CLOCK_SKEW
    before = answers(spark, lake, system, since=since, until=first - timedelta(days=1))
    return kept.join(before.select("event_id").distinct(), "event_id", "left_anti")


def _requests(spark: SparkSession, lake: str, features: FeatureSet, served: DataFrame, day: date) -> DataFrame:
    """The requests behind `served`, at the time that was answered for, with the answer as a struct beside them."""
    request = features.request
    first = served.agg(F.min("timestamp")).first()
    events = read_events(spark, lake, request.topic, request.id, from_ms=first[0] if first else None, until=day).frame
    carried = served.select(F.col("event_id").alias("_id"), F.struct(*ANSWER).alias(SERVED))
    joined = events.drop(*ARRIVAL).join(carried, F.col(request.id) == F.col("_id")).drop("_id")
    return joined.withColumn(request.timestamp, F.col(f"{SERVED}.timestamp"))


def _checked_ddl(features: FeatureSet) -> str:
    keys = "".join(f", `{e.key}` string" for e in features.entities)
    texts = "".join(f", {name} string" for name in LOOKED_AT)
    return f"{VALUE_DDL}{texts}{keys}"


def _checker(features: FeatureSet) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Rows for what matches (counted), for what cannot be explained by events, and for answers to be looked at."""
    keys = [e.key for e in features.entities]
    answer = [(n, pa.string()) for n in (*LOOKED_AT, *keys)]
    columns = sorted({f.column.partition(".")[0] for f in features.crossed})
    schema = pa.schema([*VALUE_SCHEMA, *(pa.field(*d) for d in answer)])

    def check(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        comparison = Comparison(features)
        explainable = {n for e in features.entities for n in comparison.explainable(e)}
        for batch in batches:
            rows, matched = [], []
            for row in batch.to_pylist():
                answer, served = row[SERVED], orjson.loads(row[SERVED]["features"])
                names, differing = comparison.split(served, {n: row[n] for n in features.names})
                matched.append(names)
                base = {"request_id": answer["request_id"], "at_ms": answer["timestamp"]}
                for n in differing:
                    if n not in explainable:
                        rows.append(base | _value_row(comparison.unexplained(n, served.get(n), differing[n])))
                rest = {n: v for n, v in differing.items() if n in explainable}
                if rest:
                    texts = {n: answer[n] for n in ("event_id", "features", "seen", "through")}
                    asked = orjson.dumps({c: row[c] for c in columns}, default=str).decode()
                    own = {"differing": orjson.dumps(rest).decode(), "asked": asked, **{k: row[k] for k in keys}}
                    rows.append(base | texts | own)
            counts = matches_of(matched)
            rows += [{"feature": n, "outcome": "match", "early": False, "n": k} for n, k in counts.items()]
            yield pa.RecordBatch.from_pylist(rows, schema=schema)

    return check


def _value_row(difference: Difference) -> dict[str, Any]:
    return {
        "feature": difference.feature,
        "outcome": difference.outcome,
        "early": difference.early,
        "n": 1,
        "size": difference.size,
        "served": orjson.dumps(difference.served).decode(),
        "expected": orjson.dumps(difference.expected).decode(),
        "readable": orjson.dumps(difference.readable).decode(),
        "tiles": orjson.dumps(difference.tiles).decode(),
    }


def _explained(
    spark: SparkSession, lake: str, features: FeatureSet, entity: Entity, differing: DataFrame, day: date
) -> DataFrame:
    """A row for each value of `entity` that differs; its events are read again, with duplicates and places in Kafka."""
    asked = differing.withColumn(KEY, F.col(entity.key))
    oldest = asked.agg(F.min("at_ms")).first()
    since = day_of((oldest[0] if oldest else 0) - max(v.horizon for v in features.views) * 1000) - CLOCK_SKEW
    keys = asked.select(KEY).distinct()
    parts = []
    for source in dict.fromkeys(v.source for v in features.views if v.entity == entity):
        events = archived(spark, lake, source.topic, since=since, until=day)
        columns = dict.fromkeys(c.partition(".")[0] for c in source.columns)
        own = events.select(F.lit(source.name).alias("_source"), F.col(entity.key).alias(KEY), *columns, *ARRIVAL)
        parts.append(own.join(F.broadcast(keys), KEY, "left_semi"))
    events = parts[0]
    for part in parts[1:]:
        events = events.unionByName(part, allowMissingColumns=True)
    pairs = asked.groupBy(KEY).cogroup(events.groupBy(KEY))
    return pairs.applyInArrow(_explainer(features, entity), VALUE_DDL)


def _explainer(features: FeatureSet, entity: Entity) -> Callable[[pa.Table, pa.Table], pa.Table]:
    def explain(asked: pa.Table, events: pa.Table) -> pa.Table:
        arrived: dict[str, list[dict[str, Any]]] = {}
        for event in sorted(events.to_pylist(), key=_arrival):
            arrived.setdefault(event.pop("_source"), []).append(event)
        comparison = Comparison(features)
        history = EntityHistory(make_plan(features), entity, arrived)
        rows = []
        for row in asked.to_pylist():
            values, differing = orjson.loads(row["features"]), orjson.loads(row["differing"])
            served = Answer(
                request_id=row["request_id"],
                event_id=row["event_id"],
                at_ms=row["at_ms"],
                seen=orjson.loads(row["seen"]),
                through=orjson.loads(row["through"]),
                values={n: values.get(n) for n in differing},
            )
            base = {"request_id": served.request_id, "at_ms": served.at_ms}
            found = comparison.explain(history, entity, served, values, differing, orjson.loads(row["asked"]))
            rows += [base | _value_row(difference) for difference in found]
        return pa.Table.from_pylist(rows, schema=VALUE_SCHEMA)

    return explain


def _arrival(event: dict[str, Any]) -> tuple[Any, ...]:
    place = (event["partition"], event["offset"]) if event["partition"] is not None else (-1, -1)
    return (event["ingested"], *place, event["arrival_file"], event["arrival_row"])


def _examples(values: DataFrame) -> list[dict[str, Any]]:
    """A few values of each feature and outcome, the largest differences first."""
    from pyspark.sql import Window

    order = Window.partitionBy("feature", "outcome").orderBy(F.col("size").desc_nulls_last(), "request_id")
    chosen = values.where("outcome <> 'match'").withColumn("_place", F.row_number().over(order))
    return [row.asDict() for row in chosen.where(F.col("_place") <= EXAMPLES).drop("_place").collect()]


def main(
    system: SystemName,
    day: LogicalDate,
    lake_url: LakeUrl = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="All answers for times from this on, UTC: also days before, or a part of the day."),
    ] = None,
    generation: Annotated[str, typer.Option(help="A recorded one to compare by; else what the code defines.")] = "",
) -> None:
    """Compare what was served on a logical date; the last line is the counts as JSON. Exit code 3: a mismatch."""
    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    began = time.monotonic()
    since_ms = None if since is None else round(since.replace(tzinfo=since.tzinfo or UTC).timestamp() * 1000)
    features = recorded(settings.lake_url, system, generation) if generation else load(system)
    if are_archived(settings.lake_url, system, since=_first_day(logical, since_ms), until=logical):
        found = compare(make_session("parity"), settings.lake_url, features, logical, since_ms)
    else:
        found = make_report(features, logical, {}, [], [])
    # The report of the code's own definitions is asked before a model is promoted: another has a folder of its own.
    named = {"system": f"{system}-{generation}"} if generation else {}
    url = write_report(settings.lake_url, found | named)
    figures = {k: v for k, v in found.items() if isinstance(v, int)}
    report("parity", system, logical, {**figures, "report": url, "seconds": round(time.monotonic() - began, 1)})
    if found["mismatches"]:
        raise typer.Exit(EXIT_MISMATCH)


if __name__ == "__main__":
    run(main)
