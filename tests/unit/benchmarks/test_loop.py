from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from benchmarks.loop import ACTS, LONG, QUICK
from benchmarks.loop_days import Days
from benchmarks.loop_ways import days_between, hour_of_day
from lamina.clock import DAY_MS, midnight_ms
from lamina.evaluation.table import Table

FIRST = date(2025, 3, 1)


@pytest.fixture
def days() -> Days:
    """A row at noon of each of ten days; the odd ones are positive, which is known five days later."""
    at = np.array([midnight_ms(FIRST) + n * DAY_MS + DAY_MS // 2 for n in range(10)])
    positive = np.arange(10) % 2 == 1
    none = np.zeros(10, object)
    table = Table(
        id=none,
        inputs={},
        positive=positive,
        unit=none,
        day=at // DAY_MS,
        columns={"timestamp": at},
        weight=np.ones(10),
        waited=np.where(positive, 5.0, np.nan),
    )
    return Days(table, FIRST + timedelta(days=5), FIRST + timedelta(days=9))


def test_a_label_counts_from_the_day_on_which_it_became_known(days: Days) -> None:
    known = days.known_on(FIRST + timedelta(days=6))
    assert len(known) == 7
    assert known.positive.tolist() == [False, True] + [False] * 5
    assert np.isfinite(known.waited).tolist() == known.positive.tolist()


def test_the_truth_of_days_is_whole(days: Days) -> None:
    assert days.between(FIRST + timedelta(days=3), FIRST + timedelta(days=5)).positive.tolist() == [True, False, True]


def test_days_are_each_and_in_order() -> None:
    assert list(days_between(FIRST, FIRST + timedelta(days=2))) == [FIRST + timedelta(days=n) for n in range(3)]
    assert hour_of_day(FIRST).isoformat() == "2025-03-01T23:00:00+00:00"
    assert set(QUICK.ways) <= set(LONG.ways) == set(ACTS)
