from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.clock import midnight_ms
from lamina.errors import DayNotOver
from lamina.orchestration.days import NoLogicalDate, WindowError, logical_day, over_day, training_days

WEEKS = {"train_days": 7, "delay_days": 7, "test_days": 7, "first_day": None, "last_day": None}


def test_the_day_of_a_run_is_its_logical_date() -> None:
    run = SimpleNamespace(run_id="scheduled__2018-08-21", logical_date=datetime(2018, 8, 21, tzinfo=UTC))
    assert logical_day(run) == date(2018, 8, 21)


def test_a_run_without_a_logical_date_says_what_to_do() -> None:
    with pytest.raises(NoLogicalDate, match=r"manual__1 has no logical date.*trigger it again"):
        logical_day(SimpleNamespace(run_id="manual__1", logical_date=None))


def test_a_run_for_a_day_that_is_not_over_is_refused() -> None:
    run = SimpleNamespace(run_id="manual__1", logical_date=datetime(2018, 8, 21, tzinfo=UTC))
    assert over_day(run, lambda: midnight_ms(date(2018, 8, 22))) == date(2018, 8, 21)
    with pytest.raises(DayNotOver, match="2018-08-21 is not over"):
        over_day(run, lambda: midnight_ms(date(2018, 8, 22)) - 1)


@given(train=st.integers(1, 90), delay=st.integers(0, 30), test=st.integers(1, 30))
def test_the_window_holds_training_delay_and_test_days_and_ends_where_labels_are_complete(
    train: int, delay: int, test: int
) -> None:
    day = date(2018, 8, 21)
    first, last = training_days(day, {"train_days": train, "delay_days": delay, "test_days": test})
    assert (day - last).days == delay
    assert (last - first).days + 1 == train + delay + test


@pytest.mark.parametrize(("gap", "first"), [(None, "2018-07-25"), (7, "2018-07-25"), (0, "2018-08-01")])
def test_a_gap_of_its_own_moves_the_training_days(gap: int | None, first: str) -> None:
    assert [d.isoformat() for d in training_days(date(2018, 8, 21), {**WEEKS, "gap_days": gap})] == [
        first,
        "2018-08-14",
    ]


@pytest.mark.parametrize(
    ("given_days", "expected"),
    [
        ({}, ("2018-07-25", "2018-08-14")),
        ({"first_day": "2018-05-01"}, ("2018-05-01", "2018-08-14")),
        ({"first_day": "2018-05-01", "last_day": "2018-06-30"}, ("2018-05-01", "2018-06-30")),
        ({"last_day": "2018-08-13"}, ("2018-07-24", "2018-08-13")),
    ],
)
def test_days_that_are_given_win(given_days: dict[str, Any], expected: tuple[str, str]) -> None:
    first, last = training_days(date(2018, 8, 21), {**WEEKS, **given_days})
    assert (first.isoformat(), last.isoformat()) == expected


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(WindowError, match="set first_day before last_day"):
        training_days(date(2018, 8, 21), {**WEEKS, "first_day": "2018-09-01"})
