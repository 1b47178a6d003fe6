"""The day a DAG run is about, and the days its training window spans.

The logical date D of a run is the UTC day that is processed; a scheduled run starts once D is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from lamina.clock import Clock, require_over
from lamina.errors import LaminaError

TRAIN_DAYS, DELAY_DAYS, TEST_DAYS = 14, 7, 7
"""Days that a model trains on, that labels take to be complete, and that it is tested on, unless others are given."""


class NoLogicalDate(LaminaError):
    """A run that does not say which day it is about."""


class WindowError(LaminaError):
    """Parameters of a training window that leave no day to train on."""


class HasLogicalDate(Protocol):
    """What a DAG run says about itself."""

    run_id: str
    logical_date: datetime | None


def logical_day(run: HasLogicalDate) -> date:
    """The UTC day that `run` processes.

    Raises: NoLogicalDate: when the run was triggered without one, as asset events and the API may.
    """
    if run.logical_date is None:
        raise NoLogicalDate(
            f"run {run.run_id} has no logical date, so there is no day to process: trigger it again with the logical "
            "date set to the day, for example 2018-08-21T00:00:00Z"
        )
    return run.logical_date.date()


def over_day(run: HasLogicalDate, clock: Clock) -> date:
    """The UTC day that `run` processes, once it is over by `clock`.

    Raises: NoLogicalDate: see `logical_day`. DayNotOver: when it is not over.
    """
    return require_over(logical_day(run), clock)


def training_days(day: date, params: Mapping[str, Any]) -> tuple[date, date]:
    """First and last day, both included, of the rows that a training run on `day` needs.

    Labels are complete `delay_days` after an event. The test days are the last complete ones, the training days
    end `delay_days` before them, or `gap_days` where that is given; `first_day` and `last_day` among the parameters win
    over this.

    >>> windows = {"train_days": TRAIN_DAYS, "delay_days": DELAY_DAYS, "test_days": TEST_DAYS}
    >>> [day.isoformat() for day in training_days(date(2018, 8, 21), windows)]
    ['2018-07-18', '2018-08-14']
    """
    train, delay, test = (int(params[name]) for name in ("train_days", "delay_days", "test_days"))
    gap = params.get("gap_days")
    last = _given(params, "last_day") or day - timedelta(days=delay)
    first = _given(params, "first_day") or last - timedelta(
        days=test + (delay if gap is None else int(gap)) + train - 1
    )
    if first > last:
        raise WindowError(f"the training window from {first} to {last} is empty: set first_day before last_day")
    return first, last


def _given(params: Mapping[str, Any], name: str) -> date | None:
    value = params.get(name)
    return date.fromisoformat(value) if value else None
