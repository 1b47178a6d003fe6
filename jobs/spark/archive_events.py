"""Kafka to the lake, by ranges of offsets: every message is archived once, or lies in `dead-letters` with the reason.

`python -m jobs.spark.archive_events --topic transactions --date 2018-08-08`. A rerun reads the same messages again and
replaces what it wrote; the ranges are committed with the data, in one renamed folder.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import pyarrow as pa
import typer

from jobs.spark import offsets
from jobs.spark.command import LakeUrl, LogicalDate, overrides, processed, run
from jobs.spark.lake import spark_url, written_rows
from lamina.clock import Clock, require_over, system_clock
from lamina.errors import ContractError, StreamError
from lamina.lake.schemas import SCHEMAS, in_lake, row_of
from lamina.lake.write import open_lake, replacing, write_file
from lamina.quality.standing import forget
from lamina.settings import Settings, load_settings
from lamina.streams import dead_letters
from lamina.streams.identity import identity_of
from lamina.streams.topics import contract_of, read_event

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RAW, REASON = "raw", "reason"
MESSAGES_PER_TASK = 100_000


def archive(
    spark: Callable[[], SparkSession],
    settings: Settings,
    topic: str,
    day: date,
    *,
    allow_gap: bool = False,
    clock: Clock = system_clock,
) -> dict[str, Any]:
    """Archive `topic` for the logical date `day`; returns the counts: `read = archived + dead`, and `lost`. `run` tells
    what this call wrote from what another wrote of the same day.

    Args: spark: gives a session; it is not asked for when there is nothing to read. clock: stamps dead letters; whether
    the day is over, the settings' clock says.
    Raises: DayNotOver: what arrives later would never be archived. OffsetsLost, TopicChanged: when messages are gone or
    the topic was made anew, and `allow_gap` is False. StreamError: when Kafka fails, counts do not add up, or none of
    the messages was read and `allow_gap` is False.
    """
    require_over(day, settings.clock)
    began, now_ms = time.monotonic(), clock()
    target = offsets.folder(settings.lake_url, topic, day)
    name = settings.topic_prefix + topic
    identity = identity_of(settings.kafka_bootstrap, name)
    held = offsets.held(settings.kafka_bootstrap, name)
    records = offsets.records(settings.lake_url, topic)
    archived = offsets.of_topic(topic, day, records, identity, allow_gap=allow_gap)
    plan = offsets.plan(topic, day, archived, *held, allow_gap=allow_gap)
    offsets.note(records, identity)
    counts = {"read": 0, "archived": 0, "dead": 0}
    with replacing(target) as staging:
        fs, path = open_lake(staging)
        if plan.messages:
            counts = _archive(spark(), settings, topic, plan, staging, now_ms)
        else:
            # Readers that learn the columns from the files find them on a day without messages too.
            write_file(fs, f"{path}/part-empty.parquet", in_lake(SCHEMAS[topic]).empty_table())
        if plan.messages and not counts["read"] and not allow_gap:
            # It would be a day without events, and the messages would never be read again.
            raise StreamError(
                f"{topic} for {day}: Spark read no message at {plan.messages} offsets "
                f"({offsets.as_json(plan.ranges)}); nothing was changed, run the job again. Where they hold only "
                "markers of transactions, --allow-gap goes on without"
            )
        if counts["read"] != counts["archived"] + counts["dead"]:
            raise StreamError(
                f"{topic} for {day}: counts do not add up: {counts}; nothing was changed, run the job again"
            )
        found = {
            "job": "archive_events",
            "run": uuid.uuid4().hex,
            "topic": topic,
            "date": day.isoformat(),
            "offsets": offsets.as_json(plan.ranges),
            **offsets.as_fields(identity),
            **counts,
            # Offsets without a message: a transaction's markers, or what compaction removed.
            "without_message": plan.messages - counts["read"],
            "lost": sum(len(r) for r in plan.lost.values()),
            "lost_offsets": offsets.as_json(plan.lost),
        }
        fs.pipe_file(f"{path}/{offsets.MANIFEST}", orjson.dumps(found))
        forget(settings.lake_url, topic, day)
    return {**found, "seconds": round(time.monotonic() - began, 1)}


def kept(topic: str) -> None:
    """Nothing, for a topic that is kept in the lake.

    Raises: StreamError: says which are.
    """
    contract_of(topic)
    if topic not in SCHEMAS:
        raise StreamError(f"topic {topic!r} is not kept in the lake; those that are: {', '.join(SCHEMAS)}")


def _archive(
    spark: SparkSession, settings: Settings, topic: str, plan: offsets.OffsetPlan, staging: str, now_ms: int
) -> dict[str, int]:
    """Write what is good to `staging` and what is not to `dead-letters`; counts of what was read and written."""
    from pyspark import StorageLevel
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    messages = _messages(spark, settings, topic, plan)
    columns = from_arrow_schema(_checked_schema(topic))
    checked = messages.mapInArrow(_checker(topic), columns).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        good = checked.where(F.col(REASON).isNull()).drop(RAW, REASON)
        good.write.mode("append").option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(
            spark_url(staging)
        )
        read = checked.count()
        broken = checked.where(F.col(REASON).isNotNull()).select("partition", "offset", REASON, RAW)
        write = _letter_writer(settings.kafka_bootstrap, settings.topic_prefix, topic, now_ms)
        dead = sum(row.n for row in broken.mapInArrow(write, "n long").collect())
    finally:
        checked.unpersist()
    return {"read": read, "archived": written_rows(staging), "dead": dead}


def _messages(spark: SparkSession, settings: Settings, topic: str, plan: offsets.OffsetPlan) -> DataFrame:
    name = settings.topic_prefix + topic
    ends = [{name: {str(p): end for p, end in side}} for side in _sides(plan.ranges)]
    return (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka_bootstrap)
        .option("subscribe", name)
        .option("startingOffsets", orjson.dumps(ends[0]).decode())
        .option("endingOffsets", orjson.dumps(ends[1]).decode())
        .option("minPartitions", str(max(1, plan.messages // MESSAGES_PER_TASK)))
        .option("failOnDataLoss", "true")
        .load()
        .select("partition", "offset", "value")
    )


def _sides(ranges: offsets.Ranges) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return [(p, r.start) for p, r in ranges.items()], [(p, r.end) for p, r in ranges.items()]


def _checked_schema(topic: str) -> pa.Schema:
    """Columns of the lake, all nullable, and for a broken message its bytes and the reason."""
    fields = [f.with_nullable(True) for f in in_lake(SCHEMAS[topic])]
    return pa.schema([*fields, pa.field(RAW, pa.binary()), pa.field(REASON, pa.string())])


def _checker(topic: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Reads messages by the contract itself, so that what is archived is what every other reader of it accepts."""

    def check(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = _checked_schema(topic)
        for batch in batches:
            places = zip(*(batch.column(c).to_pylist() for c in ("partition", "offset", "value")), strict=True)
            rows = [checked_row(topic, *place) for place in places]
            # Column by column: a tenth of the time that `from_pylist` takes.
            columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in schema]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return check


def checked_row(topic: str, partition: int, offset: int, raw: bytes | None) -> dict[str, Any]:
    """A message as a row: the columns of its event, or its bytes and why it is none.

    >>> checked_row("transactions", 0, 7, b"")["reason"]
    'Transaction.(whole event): Invalid JSON: EOF while parsing a value at line 1 column 0'
    """
    row: dict[str, Any] = {"partition": partition, "offset": offset}
    try:
        return {**row, **row_of(read_event(topic, raw or b""))}
    except ContractError as error:
        return {**row, RAW: raw or b"", REASON: str(error)}


def _letter_writer(
    bootstrap: str, prefix: str, topic: str, now_ms: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not batch.num_rows:
                continue
            letters = (
                dead_letters.make_letter(topic, row["partition"], row["offset"], row[REASON], row[RAW], now_ms)
                for row in batch.to_pylist()
            )
            yield pa.RecordBatch.from_pydict({"n": [dead_letters.write(bootstrap, prefix, letters)]})

    return write


def main(
    topic: Annotated[list[str], typer.Option(help="Topic to archive, without prefix; may be given several times.")],
    day: LogicalDate,
    lake_url: LakeUrl = None,
    allow_gap: Annotated[bool, typer.Option(help="Go on although Kafka has deleted messages of the range.")] = False,
    system: Annotated[
        str | None, typer.Option(help="Taken for uniformity of the jobs; topics belong to all systems.")
    ] = None,
) -> None:
    """Archive topics for a logical date; the last lines are the counts as JSON."""
    from jobs.spark.session import make_session

    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    for name in topic:
        kept(name)
    for name in topic:
        counts = archive(lambda: make_session("archive_events"), settings, name, logical, allow_gap=allow_gap)
        print(orjson.dumps(counts).decode(), flush=True)


if __name__ == "__main__":
    run(main)
