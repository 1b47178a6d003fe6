"""A fraud world whose fraudsters change their ways on a day, and what is known of it by the end of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from benchmarks.fraud_world import world_table
from lamina.clock import DAY_MS, midnight_ms
from lamina.evaluation.metrics import Ints
from lamina.evaluation.table import Table
from lamina.worlds.fraud.shift import QUIET, Shift
from lamina.worlds.fraud.world import LABEL_DELAY_DAYS, FraudWorld

SEED = 7
START = date(2025, 1, 1)
WARM_DAYS = 45
"""Fill the windows of the features before the first row that is looked at."""
LOOK_BACK_DAYS = 42
"""Of the rows that a day's training may use."""


@dataclass(frozen=True)
class Days:
    """All rows of the world's last days, with the whole truth, and the first day of the shift."""

    table: Table
    shift: date
    last: date

    @classmethod
    def of(cls, users: int, before_days: int, after_days: int, seed: int = SEED) -> Days:
        """`before_days` days whose fraudsters work as usual, and `after_days` with the other ones."""
        at = WARM_DAYS + before_days
        days = at + after_days
        world = FraudWorld(seed=seed, users=users, days=days, start=START, shift=Shift(at, QUIET))
        known = START + timedelta(days=days - 1 + LABEL_DELAY_DAYS)
        table, _ = world_table(world, known, before_days + after_days)
        return cls(table, START + timedelta(days=at), START + timedelta(days=days - 1))

    def known_on(self, day: date) -> Table:
        """The rows of the last days up to `day`, as known at its end: what is not reported yet counts as honest."""
        rows = self.between(day - timedelta(days=LOOK_BACK_DAYS - 1), day)
        waited = np.where(np.isnan(rows.waited), np.inf, rows.waited)
        arrived = rows.columns["timestamp"] + waited * DAY_MS < midnight_ms(day) + DAY_MS
        return replace(rows, positive=rows.positive & arrived, waited=np.where(arrived, rows.waited, np.nan))

    def between(self, first: date, last: date) -> Table:
        """The rows of these days, both included, with the whole truth."""
        days: Ints = self.table.day
        return self.table.take((days >= _number(first)) & (days <= _number(last)))


def _number(day: date) -> int:
    return midnight_ms(day) // DAY_MS
