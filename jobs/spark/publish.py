"""Batch tiles from the lake to Redis, by the executors: one blob per entity and tile spec, all tile specs of an entity
together.

`python -m jobs.spark.publish --system fraud --date 2018-08-14`. Entities are dealt into parts by a hash of their id; a
finished part is recorded beside the data in Redis, so that a run that was killed goes on where it stopped. An entity's
watermark advances only when every part is there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.spark.blob_writer import COUNTS_SCHEMA, NUMERIC, PART, SETS, TEXTS, TILE_SPEC, BlobWriter
from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, LogicalDate, SystemName, overrides, processed, report, run
from jobs.spark.lake import spark_source
from jobs.spark.session import make_session
from jobs.spark.tiles import ENTITY_ID, EVENTS, START
from lamina.clock import Clock, midnight_ms, next_day, require_over, system_clock
from lamina.definitions import load
from lamina.errors import LaminaError, WritesLost
from lamina.features.built import is_built, tiles_url
from lamina.lake.write import open_lake
from lamina.rollout.generation import covers
from lamina.rollout.records import beside, readable_records
from lamina.semantics.plan import Plan, State, TileSpec, make_plan
from lamina.settings import load_settings
from lamina.store.blobs import MAGIC
from lamina.store.filled import Filled, Until
from lamina.store.progress import Progress
from lamina.store.redis import RedisStore
from lamina.store.staleness import batch_watermark

TILES_PER_PART = 100_000
MIN_PARTS, MAX_PARTS = 4, 4096


class TilesMissing(LaminaError):
    """The lake has no batch tiles for the asked day."""


@dataclass(frozen=True)
class _Built:
    """Batch tiles of one entity kind: a frame a tile spec, and a name that changes when any of them is built anew."""

    frames: list[DataFrame]
    fingerprint: str


def publish(
    spark: SparkSession,
    lake: str,
    plan: Plan,
    day: date,
    redis_url: str,
    *,
    again: bool = False,
    takes_back: bool = False,
    clock: Clock = system_clock,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Publish the tiles of `plan`, and of the generations recorded beside it, through the end of `day`; returns the
    counts by entity kind.

    Counts: `parts` and how many of them were `resumed` (done before), `entities`, `blobs`, `applied` (blobs that no
    newer one stood in the way of) and `bytes` of this run.

    Args: again: write every part, also those recorded as done; takes_back: replace blobs of later days, too; clock:
    says whether the day is over; only: keys of the tile specs of `plan` to publish and nothing else, after which no
    entity kind is said to be complete and no speed tile goes; None for all.
    Raises: DayNotOver: before anything is written; TilesMissing: when `batch_features` has not run for the day;
    WritesLost: when Redis was restarted meanwhile and lost what it had acknowledged. A write that fails ends the job
    before `advance_watermark`.
    """
    require_over(day, clock)
    batch_end_ms, found = midnight_ms(next_day(day)), {}
    if only is None:
        tile_specs, speed = published(lake, plan, day)
    else:
        tile_specs, speed = [t for t in plan.tile_specs if t.key in only], []
    for entity in dict.fromkeys(t.entity for t in tile_specs):
        own = tuple(t for t in tile_specs if t.entity == entity)
        replaced = tuple(t.id for t in speed if t.entity == entity)
        found[entity.name] = _publish_entity(spark, lake, own, replaced, day, redis_url, again, takes_back)
        Filled(redis_url).note(_vouched_for(own, plan, Filled(redis_url).read()), batch_end_ms, takes_back=takes_back)
        if only is None:
            name = batch_watermark(plan.features.system, entity)
            RedisStore(redis_url).advance_watermark(name, batch_end_ms)
    return found


def published(lake: str, plan: Plan, day: date) -> tuple[list[TileSpec], list[TileSpec]]:
    """The tile specs of `plan` and those that the generations beside it have built as well, each as far back as any
    needs; and the speed tile specs whose tiles these replace.

    All of them go together: speed tiles that two generations share must not go before the blobs of both are there.
    """
    others = beside(readable_records(lake, plan.features.system), plan)
    found = {t.key: t for t in plan.tile_specs}
    for other, keys in others:
        # One that was recorded since the tiles were built is next day's.
        found |= {t.key: t for t in other.tile_specs if t.key in keys and is_built(lake, t, day)}
    waiting = [other for other, _ in others if any(t.key not in found for t in other.tile_specs)]
    still_read = {t.key for other in waiting for t in other.speed}
    speed = {t.key: t for each in (plan, *(other for other, _ in others)) for t in each.speed}
    return list(found.values()), [t for key, t in speed.items() if key not in still_read]


def _vouched_for(tile_specs: Iterable[TileSpec], plan: Plan, filled: Mapping[str, Until]) -> list[TileSpec]:
    """`tile_specs`, as far back as they are known to be built: tiles that are in the lake since before another
    generation was recorded reach back as far as `plan` asks, until `jobs.spark.fill` has built them anew.
    """
    own = {t.key: t for t in plan.tile_specs}
    found = []
    for each in tile_specs:
        short = own.get(each.key, each)
        is_filled = each.key in filled and covers(filled[each.key].reach, each)
        found.append(each if is_filled or covers(short.reach, each) else short)
    return found


def _publish_entity(
    spark: SparkSession,
    lake: str,
    tile_specs: tuple[TileSpec, ...],
    speed: tuple[str, ...],
    day: date,
    redis_url: str,
    again: bool,
    takes_back: bool,
) -> dict[str, int]:
    entity = tile_specs[0].entity
    through = next_day(day)
    batch_end_ms = midnight_ms(through)
    built = _read(spark, lake, tile_specs, through)
    tiles = sum(frame.count() for frame in built.frames)
    parts = min(MAX_PARTS, max(MIN_PARTS, -(-tiles // TILES_PER_PART)))
    work = f"{entity.name}:{batch_end_ms}:{built.fingerprint}:{MAGIC.decode()}:{parts}"
    progress = Progress(redis_url, work)
    if again:
        progress.clear()
    done = progress.done()
    counts = {"tiles": tiles, "parts": parts, "resumed": len(done)}
    part = F.pmod(F.xxhash64(ENTITY_ID), F.lit(parts)).cast("int").alias(PART)
    rows = _together(tile_specs, built.frames).select(part, "*")
    if done:
        rows = rows.where(~F.col(PART).isin(*done))
    writer = BlobWriter(tile_specs, speed, batch_end_ms, redis_url, work, takes_back)
    dealt = rows.repartitionById(parts, F.col(PART)).sortWithinPartitions(ENTITY_ID, TILE_SPEC, START)
    # One row a part comes back: its counts.
    written = dealt.mapInArrow(writer, COUNTS_SCHEMA).collect()
    for name in ("entities", "blobs", "applied", "bytes"):
        counts[name] = sum(row[name] for row in written)
    if gone := {row["part"] for row in written} - progress.done():
        raise WritesLost(f"Redis was restarted without {len(gone)} of the parts it had taken: run the job again")
    return counts


def _read(spark: SparkSession, lake: str, tile_specs: tuple[TileSpec, ...], through: date) -> _Built:
    frames = []
    digest = hashlib.sha256()
    for tile_spec in tile_specs:
        url = tiles_url(lake, tile_spec, through)
        fs, path = open_lake(url)
        files = sorted(str(f).rsplit("/", 1)[1] for f in fs.find(path)) if fs.exists(path) else []
        if not files:
            raise TilesMissing(f"no tiles at {url}: run jobs.spark.batch_features for the same date first")
        digest.update("\n".join((f"{tile_spec.id} {tile_spec.reach}", *files)).encode())
        frames.append(spark.read.parquet(spark_source(url)))
    return _Built(frames, digest.hexdigest()[:16])


def _together(tile_specs: tuple[TileSpec, ...], frames: list[DataFrame]) -> DataFrame:
    """Tiles of all tile specs under the same columns: which tile spec, entity, start, n, and lists of the states."""
    union = None
    for number, (tile_spec, frame) in enumerate(zip(tile_specs, frames, strict=True)):
        own = frame.select(
            F.lit(number).alias(TILE_SPEC),
            ENTITY_ID,
            START,
            EVENTS,
            _listed([s for s in tile_spec.states if s.numeric], "double").alias(NUMERIC),
            _listed([s for s in tile_spec.states if not s.numeric], "string").alias(TEXTS),
            _listed(list(tile_spec.keyed), "array<string>").alias(SETS),
        )
        union = own if union is None else union.unionAll(own)
    assert union is not None, "an entity has at least one tile spec"
    return union


def _listed(states: list[State], element: str) -> Any:
    # Labels hold dots, which would mean a field of a struct.
    return F.array(*(F.col(f"`{s.label}`") for s in states)).cast(f"array<{element}>")


def main(
    day: LogicalDate,
    system: SystemName = DEFAULT_SYSTEM,
    lake_url: LakeUrl = None,
    again: Annotated[bool, typer.Option("--again", help="Publish every part, also those recorded as done.")] = False,
) -> None:
    """Publish the batch tiles of a system for a logical date; the last line is the counts as JSON."""
    settings = load_settings(**overrides(lake_url))
    logical = processed(day, settings)
    began = time.monotonic()
    spark = make_session("publish")
    redis_url = settings.redis_url.get_secret_value()
    plan = make_plan(load(system))
    counts = publish(spark, settings.lake_url, plan, logical, redis_url, again=again, clock=settings.clock)
    figures = {"entities": counts, "seconds": round(time.monotonic() - began, 1)}
    report("publish", system, logical, figures)


if __name__ == "__main__":
    run(main)
