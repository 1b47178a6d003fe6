"""What the main job runs on: the simulated world or a folder of third-party transactions; the code behind is one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lamina.clock import Clock, midnight_ms, next_day
from lamina.contracts.topics import FRAUD_LABELS, TRANSACTIONS
from lamina.errors import LaminaError
from lamina.lake import layout
from lamina.lake.write import SourceWriter
from lamina.orchestration.days import TRAIN_DAYS
from lamina.worlds.fraud.world import FraudWorld


@dataclass(frozen=True)
class History:
    """What was put into the lake before the live day: rows by topic, rejected rows."""

    transactions: int
    labels: int
    rejected: int


@dataclass(frozen=True)
class LiveDay:
    """The day that is posted: transactions and labels in order of time, and which transactions are fraud."""

    day: date
    transactions: pa.Table
    labels: pa.Table
    frauds: dict[str, str | None] = field(repr=False)


class DemoInput(Protocol):
    """A source of transactions for the main job. `is_published`: others' figures for the same protocol are known."""

    name: str
    live_day: date
    training_date: date
    listed_cards: list[str]
    is_published: bool
    train_days: int

    @property
    def clock(self) -> Clock:
        """The time that the jobs take for now: the live day is just over."""
        return lambda: midnight_ms(next_day(self.live_day))

    def import_history(self, lake_url: str) -> History:
        """Put everything before the live day into the lake."""

    def live(self) -> LiveDay:
        """What is posted on the live day."""


class WorldInput(DemoInput):
    """The fraud world: `days` days, of which the last goes live. The model is trained on the newest complete labels."""

    def __init__(self, *, seed: int = 7, users: int = 1000, days: int = 45, start: date = date(2026, 1, 5)) -> None:
        self.world = FraudWorld(seed=seed, users=users, days=days, start=start)
        self.name = f"fraud world, seed {seed}: {users:,} users, {days} days"
        self.live_day = self.world.date_of(days - 1)
        self.training_date = self.live_day - timedelta(days=1)
        self.listed_cards = self.world.listed_cards
        self.is_published = False
        self.train_days = TRAIN_DAYS

    def import_history(self, lake_url: str) -> History:
        """See `DemoInput.import_history`."""
        topics = (TRANSACTIONS, FRAUD_LABELS)
        rows = dict.fromkeys(topics, 0)
        writers = {t: SourceWriter(layout.topic(lake_url, t), "world") for t in topics}
        for n in range(self.world.days - 1):
            partition = layout.ingested(self.world.date_of(n))
            for topic, table in self.world.day(n).items():
                if table.num_rows:
                    writers[topic].add(partition, table)
                    rows[topic] += table.num_rows
        for writer in writers.values():
            writer.commit()
        return History(rows[TRANSACTIONS], rows[FRAUD_LABELS], 0)

    def live(self) -> LiveDay:
        """See `DemoInput.live`."""
        n = self.world.days - 1
        truth = self.world.truth(n).to_pydict()
        frauds = dict(zip(truth["transaction_id"], truth["scenario"], strict=True))
        return LiveDay(self.live_day, self.world.transactions(n), self.world.labels_known_on(n), frauds)


class HandbookInput(DemoInput):
    """The Fraud Detection Handbook's transactions; the model is trained by the book's protocol (see `training_date`).

    Labels are complete a week back, so a training on 2018-08-21 tests on 2018-08-08..14 and learns on 2018-07-25..31.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.file = folder / "transactions.parquet"
        if not self.file.exists():
            raise LaminaError(f"no transactions.parquet in {folder}: set DATA to the folder that holds it")
        self._scratch = scratch
        self.name = "Fraud Detection Handbook (Le Borgne et al. 2022)"
        self.live_day = date(2018, 9, 30)
        self.training_date = date(2018, 8, 21)
        self.listed_cards: list[str] = []
        self.is_published = True
        self.train_days = 7  # as in the publication, so that the report's table compares like with like

    def import_history(self, lake_url: str) -> History:
        """See `DemoInput.import_history`."""
        self._import(lake_url, "--until", self.live_day.isoformat())
        return History(_rows(lake_url, TRANSACTIONS), _rows(lake_url, FRAUD_LABELS), _rejected(lake_url))

    def live(self) -> LiveDay:
        """See `DemoInput.live`."""
        lake = str(self._scratch / "live-day")
        # Labels are known a week late: some of this day are about earlier days, and those about this day come after.
        week = timedelta(days=8)
        self._import(lake, "--from", str(self.live_day - week), "--until", str(self.live_day + week))
        start, end = midnight_ms(self.live_day), midnight_ms(next_day(self.live_day))
        transactions = _table(lake, TRANSACTIONS).sort_by([("timestamp", "ascending"), ("transaction_id", "ascending")])
        transactions = transactions.filter(_between(transactions["timestamp"], start, end))
        labels = _table(lake, FRAUD_LABELS).sort_by("timestamp")
        own = labels.filter(_between(labels["transaction_timestamp"], start, end)).to_pydict()
        frauds = dict(zip(own["transaction_id"], own["scenario"], strict=True))
        return LiveDay(self.live_day, transactions, labels.filter(_between(labels["timestamp"], start, end)), frauds)

    def _import(self, lake_url: str, *options: str) -> None:
        command = [sys.executable, "-m", "lamina.cli", "import", "transactions", str(self.file)]
        run = subprocess.run(
            [*command, "--mapping", "handbook", "--lake", lake_url, *options],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise LaminaError(f"the import of {self.file} failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")


def _between(column: pa.ChunkedArray, start: int, end: int) -> pa.ChunkedArray:
    return pc.and_(pc.greater_equal(column, start), pc.less(column, end))


def _table(lake_url: str, topic: str) -> pa.Table:
    return ds.dataset(layout.topic(lake_url, topic), format="parquet").to_table()


def _rows(lake_url: str, topic: str) -> int:
    return int(ds.dataset(layout.topic(lake_url, topic), format="parquet").count_rows())


def _rejected(lake_url: str) -> int:
    file = Path(layout.rejects(lake_url, TRANSACTIONS, "handbook"))
    return sum(1 for _ in file.open()) if file.exists() else 0
