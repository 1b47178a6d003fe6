"""Batch tiles of a range of days, one day a chunk; the newest of them is published.

`python -m jobs.spark.backfill --system fraud --from 2018-08-01 --to 2018-08-14`. Every finished day is recorded beside
the lake's tiles, so that a run that was killed goes on with the next day; a run that ended leaves no record, and the
same command makes everything anew. Where a later day than the range was built before, that day is built anew as well,
for what was corrected in the range is part of it: the store never goes back, and never keeps what was corrected.
While features are rolled out, the other generations are built and published with what the code defines.
"""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer
from pyspark.sql import SparkSession
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jobs.spark import batch_features
from jobs.spark import publish as publishing
from jobs.spark.command import DEFAULT_SYSTEM, LakeUrl, SystemName, overrides, processed, report, run
from jobs.spark.session import make_session
from lamina.clock import Clock, require_over, system_clock
from lamina.definitions import load
from lamina.errors import LaminaError
from lamina.features.built import built_through, require_built_over
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.rollout.records import beside, readable_records
from lamina.semantics.plan import Plan, make_plan
from lamina.settings import load_settings

First = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, UTC.")]
Last = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, itself included.")]


class RangeError(LaminaError):
    """A range of days that holds none."""


class Record:
    """Which days of a backfill are done, in the lake; days done for other tile specs count for nothing."""

    def __init__(self, lake: str, plan: Plan, first: date, last: date) -> None:
        self._fs, self._path = open_lake(layout.backfill(lake, plan.features.system, first, last))
        others = beside(readable_records(lake, plan.features.system), plan)
        # One that another keeps further back is built anew for it.
        more = [f"{t.key} {t.reach}" for other, keys in others for t in other.tile_specs if t.key in keys]
        self._tile_specs = sorted([*(t.key for t in plan.tile_specs), *more])

    def done(self) -> list[date]:
        """The finished days, in the order in which they were finished."""
        if not self._fs.exists(self._path):
            return []
        found = orjson.loads(self._fs.cat_file(self._path))
        return [date.fromisoformat(d) for d in found["done"]] if found["tilings"] == self._tile_specs else []

    def add(self, day: date) -> None:
        """Say that `day` is finished."""
        done = [d.isoformat() for d in (*self.done(), day)]
        self._fs.makedirs(self._path.rsplit("/", 1)[0], exist_ok=True)
        self._fs.pipe_file(self._path, orjson.dumps({"tilings": self._tile_specs, "done": done}))

    def clear(self) -> None:
        """Forget every finished day."""
        if self._fs.exists(self._path):
            self._fs.rm_file(self._path)


def days_of(lake: str, plan: Plan, first: date, last: date, clock: Clock = system_clock) -> list[date]:
    """The days to build, oldest first: the range, and the newest day that was built before where it lies behind it.

    Raises: RangeError: when the range is empty. DayNotOver: when the range, or what was built before, goes on beyond
    the last day that is over.
    """
    if first > last:
        raise RangeError(f"from {first} to {last} there is no day: give the earlier one as --from")
    require_over(last, clock)
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    built = built_through(lake, plan)
    newest = built[-1] - timedelta(days=1) if built else last
    require_built_over(newest, plan, clock)
    return [*days, newest] if newest > last else days


def backfill(
    spark: SparkSession,
    lake: str,
    plan: Plan,
    first: date,
    last: date,
    redis_url: str,
    *,
    again: bool = False,
    console: Console | None = None,
    clock: Clock = system_clock,
) -> dict[str, Any]:
    """Build the tiles of each day from `first` to `last`, of `plan` and of the generations beside it, and publish the
    newest; returns the counts.

    Counts: `days`, how many of them were `resumed` (done by a run before), `tiles` of this run, `published` (the day)
    and what `jobs.spark.publish` counts by entity.

    Args: again: forget what a run before has done. console: where the progress is shown. clock: says whether a
    day is over.
    Raises: RangeError, DayNotOver: see `days_of`; nothing is built then.
    """
    days = days_of(lake, plan, first, last, clock)
    record = Record(lake, plan, first, last)
    if again:
        record.clear()
    done = set(record.done()) & set(days)
    tiles = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console or Console(stderr=True)) as progress:
        bar = progress.add_task("backfill", total=len(days) + 1, completed=len(done))
        for day in days:
            if day in done:
                continue
            progress.update(bar, description=f"tiles of {day}")
            built = batch_features.build_beside(spark, lake, plan, day)
            tiles += sum(built["tiles"].values())
            record.add(day)
            progress.advance(bar)
        progress.update(bar, description=f"publishing {days[-1]}")
        published = publishing.publish(spark, lake, plan, days[-1], redis_url, clock=clock)
        progress.advance(bar)
    record.clear()
    counts = {"days": len(days), "resumed": len(done), "tiles": tiles, "published": days[-1].isoformat()}
    return {**counts, "entities": published}


def main(
    first: First,
    last: Last,
    system: SystemName = DEFAULT_SYSTEM,
    lake_url: LakeUrl = None,
    again: Annotated[bool, typer.Option("--again", help="Begin with the first day, whatever is recorded.")] = False,
) -> None:
    """Build and publish the batch tiles of a range of days; the last line is the counts as JSON."""
    settings = load_settings(**overrides(lake_url))
    plan = make_plan(load(system))
    # Before a session is started.
    days_of(settings.lake_url, plan, first.date(), processed(last, settings), settings.clock)
    began = time.monotonic()
    redis_url = settings.redis_url.get_secret_value()
    counts = backfill(
        make_session("backfill"),
        settings.lake_url,
        plan,
        first.date(),
        last.date(),
        redis_url,
        again=again,
        clock=settings.clock,
    )
    report("backfill", system, last.date(), {**counts, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    run(main)
