"""The training set of a day: its rows with what was known of them by then, and which of them train and which test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lamina.clock import DAY_MS, midnight_ms, next_day
from lamina.errors import LaminaError
from lamina.evaluation.decided import weights
from lamina.evaluation.metrics import Flags, Floats, Ints, Outcomes, Texts, without_known_frauds
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.scoring.encode import as_input
from lamina.scoring.trees_spec import Split

TEST_SHARE = 0.3
OWN_COLUMNS = ("transaction_id", "user_id", "timestamp", "amount", "is_fraud", "label_timestamp", "scenario")


class TrainingSetError(LaminaError):
    """A training set that is missing or cannot be learnt from."""


@dataclass(frozen=True)
class Table:
    """Labelled rows in order of time, one array each: `inputs` by feature name, `day` in days since the epoch.

    `country` is where the transaction was made, None where that is not known. `weight` says for how many rows each
    counts (`lamina.evaluation.decided`), 0 where its truth cannot be known. `waited` is how many days its label took,
    NaN where none had arrived by the logical date.
    """

    id: Texts
    inputs: Mapping[str, NDArray[Any]]
    fraud: Flags
    user: Texts
    day: Ints
    amount: Floats
    scenario: Texts
    country: Texts
    weight: Floats
    waited: Floats

    def __len__(self) -> int:
        return len(self.fraud)

    def take(self, rows: Flags | Ints) -> Table:
        """The rows chosen by a mask or by their places."""
        return replace(
            self,
            inputs={name: values[rows] for name, values in self.inputs.items()},
            id=self.id[rows],
            fraud=self.fraud[rows],
            user=self.user[rows],
            day=self.day[rows],
            amount=self.amount[rows],
            scenario=self.scenario[rows],
            country=self.country[rows],
            weight=self.weight[rows],
            waited=self.waited[rows],
        )

    def outcomes(self, score: Floats) -> Outcomes:
        """The rows with their scores, float64[n]."""
        return Outcomes(self.fraud, score, self.user, self.day, self.amount, self.scenario)


def refuse_one_sided(rows: Table, what: str, remedy: str) -> None:
    """Nothing, when `rows` hold both kinds.

    Raises: TrainingSetError: names the rows, `what`, and how to get others, `remedy`.
    """
    if rows.fraud.all() or not rows.fraud.any():
        raise TrainingSetError(
            f"the {what} hold {len(rows)} usable rows with {rows.fraud.sum()} known frauds: both kinds are needed. "
            f"{remedy}"
        )


def split_days(
    day: date,
    *,
    train_days: int,
    delay_days: int,
    test_days: int,
    kind: Literal["time", "random"] = "time",
    blocked_days: int = 0,
) -> Split:
    """The days that a model of the logical date `day` trains and tests on.

    Labels are complete `delay_days` after a transaction: the test days are the last complete ones, and the training
    days end `delay_days` before them, as if the model had been in use in the test. `blocked_days`: frauds of so many
    last training days, and later ones, take users out of the test; 0: of all of them.

    >>> split = split_days(date(2018, 8, 21), train_days=7, delay_days=7, test_days=7)
    >>> [str(d) for d in (split.train_first, split.train_last, split.test_first, split.test_last)]
    ['2018-07-25', '2018-07-31', '2018-08-08', '2018-08-14']
    """
    test_last = day - timedelta(days=delay_days)
    test_first = test_last - timedelta(days=test_days - 1)
    train_last = test_first - timedelta(days=delay_days + 1)
    train_first = train_last - timedelta(days=train_days - 1)
    if kind == "random":
        train_last, test_first = test_last, train_first
    return Split(
        kind=kind,
        train_first=train_first,
        train_last=train_last,
        delay_days=delay_days,
        test_first=test_first,
        test_last=test_last,
        blocked_from=train_last - timedelta(days=blocked_days - 1) if blocked_days else None,
    )


def read_table(lake: str, system: str, day: date, features: Sequence[str]) -> Table:
    """The training set that was made for `day`. A fraud whose label arrived after `day` was over counts as legitimate.

    Raises: TrainingSetError: when there is none, it is empty or lacks columns.
    """
    import pyarrow.dataset as ds

    url = f"{layout.training(lake, system, day)}/features"
    again = f"run python -m jobs.spark.training_set --system {system} --date {day}"
    fs, path = open_lake(url)
    if not fs.exists(path):
        raise TrainingSetError(f"{url} is not there: {again} first")
    wanted = list(dict.fromkeys((*OWN_COLUMNS, *features)))
    found = ds.dataset(path, format="parquet", filesystem=fs)
    if lacking := sorted(set(wanted) - set(found.schema.names)):
        raise TrainingSetError(f"{url} lacks the columns {', '.join(lacking)}: {again} with these definitions")
    table = found.to_table(columns=wanted)
    if not table.num_rows:
        raise TrainingSetError(f"{url} has no rows: check the days given to jobs.spark.extract_data, then {again}")
    # Spark writes in no particular order, and training must not depend on it.
    table = table.sort_by([("timestamp", "ascending"), ("transaction_id", "ascending")])
    columns = {name: as_input(table.column(name)) for name in wanted}
    known_by = columns["label_timestamp"] < midnight_ms(next_day(day))  # a missing time is NaN, and not before anything
    timestamp = columns["timestamp"].astype(np.int64)
    return Table(
        id=columns["transaction_id"],
        inputs={name: columns[name] for name in features},
        fraud=columns["is_fraud"].astype(bool) & known_by,
        user=columns["user_id"],
        day=timestamp // DAY_MS,
        amount=columns["amount"].astype(np.float64),
        scenario=columns["scenario"],
        country=_countries(f"{layout.training(lake, system, day)}/rows", columns["transaction_id"]),
        weight=weights(lake, columns["transaction_id"], timestamp, known_by),
        waited=np.where(known_by, (columns["label_timestamp"] - timestamp) / DAY_MS, np.nan),
    )


def _countries(url: str, ids: Texts) -> Texts:
    """Countries of the transactions `ids`, from the labelled rows that the features were made for, where they are."""
    import pyarrow.dataset as ds

    fs, path = open_lake(url)
    found: dict[str, str] = {}
    if fs.exists(path):
        rows = ds.dataset(path, format="parquet", filesystem=fs)
        if {"transaction_id", "country"} <= set(rows.schema.names):
            table = rows.to_table(columns=["transaction_id", "country"])
            found = dict(zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True))
    return np.array([found.get(i) for i in ids], dtype=object)


def rows_to_learn(table: Table, split: Split, seed: int) -> Flags:
    """Mask of the rows to train on: those of the training days whose truth is known."""
    inside = _between(table, split.train_first, split.train_last)
    return ~_drawn(table, split, seed) & inside if split.kind == "random" else inside


def rows_to_test(table: Table, split: Split, seed: int) -> Flags:
    """Mask of the rows to test on, of those whose truth is known.

    Split by time, users whose fraud was known by the day of the row are left out: their cards are blocked by then, and
    scoring them well would be no merit.
    """
    if split.kind == "random":
        return _drawn(table, split, seed)
    return without_known_frauds(
        table.user,
        table.day,
        table.fraud,
        train_first=_number(split.blocked_from or split.train_first),
        delay_days=split.delay_days,
        rows=_between(table, split.test_first, split.test_last),
    )


def _drawn(table: Table, split: Split, seed: int) -> Flags:
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(table), bool)
    inside = _between(table, split.test_first, split.test_last)
    for kind in (True, False):
        places = np.flatnonzero(inside & (table.fraud == kind))
        drawn[rng.choice(places, round(TEST_SHARE * len(places)), replace=False)] = True
    return drawn


def _between(table: Table, first: date, last: date) -> Flags:
    rows: Flags = (table.day >= _number(first)) & (table.day <= _number(last)) & (table.weight > 0)
    return rows


def _number(day: date) -> int:
    return midnight_ms(day) // DAY_MS
