"""Labelled rows, and which of them train and which test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lamina.clock import DAY_MS, midnight_ms
from lamina.errors import LaminaError
from lamina.evaluation.metrics import Flags, Floats, Ints, Outcomes, Texts, without_known
from lamina.scoring.trained_spec import Split

TEST_SHARE = 0.3


class TrainingSetError(LaminaError):
    """A training set that is missing or cannot be learnt from."""


class TooFewRows(TrainingSetError):
    """One that is there and lacks rows: of one kind, or of some days."""


@dataclass(frozen=True)
class Table:
    """Labelled rows in order of time, one array each: `inputs` by feature name, `day` in days since the epoch.

    `unit` is whom the row is about, `columns` what else the figures and slices of the problem look at, by name.
    `weight` says for how many rows each counts, 0 where its truth cannot be known. `waited` is how many days its label
    took, NaN where none had arrived by the logical date.
    """

    id: Texts
    inputs: Mapping[str, NDArray[Any]]
    positive: Flags
    unit: Texts
    day: Ints
    columns: Mapping[str, NDArray[Any]]
    weight: Floats
    waited: Floats

    def __len__(self) -> int:
        return len(self.positive)

    def take(self, rows: Flags | Ints) -> Table:
        """The rows chosen by a mask or by their places."""
        return replace(
            self,
            inputs={name: values[rows] for name, values in self.inputs.items()},
            id=self.id[rows],
            positive=self.positive[rows],
            unit=self.unit[rows],
            day=self.day[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
            weight=self.weight[rows],
            waited=self.waited[rows],
        )

    def outcomes(self, score: Floats) -> Outcomes:
        """The rows with their scores, float64[n]."""
        return Outcomes(self.positive, score, self.unit, self.day)


def refuse_one_sided(rows: Table, positives: str, what: str, remedy: str) -> None:
    """Nothing, when `rows` hold both kinds.

    Raises: TooFewRows: says of which rows, `what`, how those with the label are called, `positives`, and how to
    get others, `remedy`.
    """
    if rows.positive.all() or not rows.positive.any():
        raise TooFewRows(
            f"the {what} hold {len(rows)} usable rows with {rows.positive.sum()} known {positives}: both kinds are "
            f"needed. {remedy}"
        )


def split_days(
    day: date,
    *,
    train_days: int,
    delay_days: int,
    test_days: int,
    kind: Literal["time", "random"] = "time",
    blocked_days: int = 0,
    gap_days: int | None = None,
) -> Split:
    """The days that a model of the logical date `day` trains and tests on.

    Labels are complete `delay_days` after a row: the test days are the last complete ones, and the training
    days end `delay_days` before them, as if the model had been in use in the test. `blocked_days`: positive rows of so
    many last training days, and later ones, take their units out of the test; 0: those of all of them. `gap_days`: so
    many days lie between training and test, instead of `delay_days`: with none the test flatters a little, and the
    newest labelled days are learnt from.

    >>> split = split_days(date(2018, 8, 21), train_days=7, delay_days=7, test_days=7)
    >>> [str(d) for d in (split.train_first, split.train_last, split.test_first, split.test_last)]
    ['2018-07-25', '2018-07-31', '2018-08-08', '2018-08-14']
    """
    test_last = day - timedelta(days=delay_days)
    test_first = test_last - timedelta(days=test_days - 1)
    train_last = test_first - timedelta(days=(delay_days if gap_days is None else gap_days) + 1)
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


def rows_to_learn(table: Table, split: Split, seed: int) -> Flags:
    """Mask of the rows to train on: those of the training days whose truth is known."""
    inside = _between(table, split.train_first, split.train_last)
    return ~_drawn(table, split, seed) & inside if split.kind == "random" else inside


def rows_to_test(table: Table, split: Split, seed: int, *, known_leave: bool = True) -> Flags:
    """Mask of the rows to test on, of those whose truth is known.

    Split by time, units of which a positive row was known by the day of the row are left out where `known_leave`: they
    are dealt with by then, and scoring them well would be no merit.
    """
    if split.kind == "random":
        return _drawn(table, split, seed)
    rows = _between(table, split.test_first, split.test_last)
    if not known_leave:
        return rows
    return without_known(
        table.unit,
        table.day,
        table.positive,
        first=_number(split.blocked_from or split.train_first),
        delay_days=split.delay_days,
        rows=rows,
    )


def _drawn(table: Table, split: Split, seed: int) -> Flags:
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(table), bool)
    inside = _between(table, split.test_first, split.test_last)
    for kind in (True, False):
        places = np.flatnonzero(inside & (table.positive == kind))
        drawn[rng.choice(places, round(TEST_SHARE * len(places)), replace=False)] = True
    return drawn


def _between(table: Table, first: date, last: date) -> Flags:
    rows: Flags = (table.day >= _number(first)) & (table.day <= _number(last)) & (table.weight > 0)
    return rows


def _number(day: date) -> int:
    return midnight_ms(day) // DAY_MS
