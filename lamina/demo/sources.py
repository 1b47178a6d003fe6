"""What the main job runs on: a simulated world, or files of others; the code behind is one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lamina.clock import Clock, midnight_ms, next_day
from lamina.contracts.features import EventSource
from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.schemas import without_position
from lamina.lake.write import SourceWriter
from lamina.orchestration.days import TRAIN_DAYS
from lamina.worlds.protocol import World


@dataclass(frozen=True)
class History:
    """What was put into the lake before the live day: rows by topic, rejected rows."""

    rows: Mapping[str, int]
    rejected: int


@dataclass(frozen=True)
class LiveDay:
    """The day that is posted: events by topic in order of time, and what is true of them: ids and truths."""

    day: date
    events: Mapping[str, pa.Table]
    truth: pa.Table


class Source(Protocol):
    """Events for the main job: all days before `live_day` are history; a model is trained for `training_date`."""

    name: str
    live_day: date
    training_date: date
    train_days: int

    @property
    def clock(self) -> Clock:
        """The time that the jobs take for now: the live day is just over."""
        return lambda: midnight_ms(next_day(self.live_day))

    def import_history(self, lake_url: str) -> History:
        """Put everything before the live day into the lake."""

    def live(self) -> LiveDay:
        """What is posted on the live day."""


def put_days(world: World, days: Iterable[int], lake_url: str, source: str) -> dict[str, int]:
    """Put days of `world` into the lake, as files of `source`; returns rows by topic."""
    rows: dict[str, int] = {}
    writers: dict[str, SourceWriter] = {}
    for n in days:
        partition = layout.ingested(world.date_of(n))
        for topic, table in world.day(n).items():
            rows[topic] = rows.get(topic, 0) + table.num_rows
            if table.num_rows:
                if topic not in writers:
                    writers[topic] = SourceWriter(layout.topic(lake_url, topic), source)
                writers[topic].add(partition, without_position(table))
    for writer in writers.values():
        writer.commit()
    return rows


class WorldSource(Source):
    """A simulated world, of which the last day goes live. The model is trained on the newest complete labels."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.live_day = world.date_of(world.days - 1)
        self.training_date = self.live_day - timedelta(days=1)
        self.train_days = TRAIN_DAYS

    def import_history(self, lake_url: str) -> History:
        """See `Source.import_history`."""
        return History(put_days(self.world, range(self.world.days - 1), lake_url, "world"), 0)

    def live(self) -> LiveDay:
        """See `Source.live`."""
        n = self.world.days - 1
        return LiveDay(self.live_day, self.world.day(n), self.world.truth(n))


@dataclass(kw_only=True)
class FileSource(Source):
    """A file that `lamina import <kind>` reads by one of its mappings, with events and labels about them.

    Args: labels: by the time when they are known; label_days: how long that takes; about: the column of a label that
    says when the event was; truth: of a label, the event's id and what is true of it.
    Raises: LaminaError: when there is no such file.
    """

    name: str
    file: Path
    kind: str
    mapping: str
    live_day: date
    training_date: date
    train_days: int
    events: EventSource
    labels: EventSource
    label_days: int
    about: str
    truth: tuple[str, str]
    scratch: Path

    def __post_init__(self) -> None:
        if not self.file.exists():
            raise LaminaError(f"no {self.file.name} in {self.file.parent}: set DATA to the folder that holds it")

    def import_history(self, lake_url: str) -> History:
        """See `Source.import_history`."""
        self._import(lake_url, "--until", self.live_day.isoformat())
        topics = self.events.topic, self.labels.topic
        rejects = Path(layout.rejects(lake_url, self.events.topic, self.mapping))
        rejected = sum(1 for _ in rejects.open()) if rejects.exists() else 0
        return History({topic: _dataset(lake_url, topic).count_rows() for topic in topics}, rejected)

    def live(self) -> LiveDay:
        """See `Source.live`."""
        lake, events, labels = str(self.scratch / "live-day"), self.events, self.labels
        # Some labels that come on this day are about earlier days, and those about this day come after.
        around = timedelta(days=self.label_days + 1)
        self._import(lake, "--from", str(self.live_day - around), "--until", str(self.live_day + around))
        happened = self._of_the_day(_dataset(lake, events.topic).to_table(), events.timestamp)
        known = _dataset(lake, labels.topic).to_table().sort_by(labels.timestamp)
        day = {
            events.topic: happened.sort_by([(events.timestamp, "ascending"), (events.id, "ascending")]),
            labels.topic: self._of_the_day(known, labels.timestamp),
        }
        return LiveDay(self.live_day, day, self._of_the_day(known, self.about).select(list(self.truth)))

    def _of_the_day(self, table: pa.Table, column: str) -> pa.Table:
        start, end = midnight_ms(self.live_day), midnight_ms(next_day(self.live_day))
        return table.filter(pc.and_(pc.greater_equal(table[column], start), pc.less(table[column], end)))

    def _import(self, lake_url: str, *options: str) -> None:
        command = [sys.executable, "-m", "lamina.cli", "import", self.kind, str(self.file)]
        run = subprocess.run(
            [*command, "--mapping", self.mapping, "--lake", lake_url, *options],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise LaminaError(f"the import of {self.file} failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")


def _dataset(lake_url: str, topic: str) -> ds.Dataset:
    return ds.dataset(layout.topic(lake_url, topic), format="parquet")
