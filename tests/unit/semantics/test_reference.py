"""The reference, checked by hand on cases small enough to count on fingers."""

from __future__ import annotations

import pytest

from lamina.contracts.aggregates import (
    Aggregate,
    Predicate,
    count,
    distinct,
    first,
    last,
    last_time,
    maximum,
    mean,
    minimum,
    std,
    total,
)
from lamina.contracts.features import Ratio
from lamina.definitions.fraud import MERCHANT_TRAFFIC, TRANSACTIONS, USER_HISTORY, USER_VELOCITY
from lamina.semantics.reference import aggregate_events, evaluate, in_window, ratio

DAY = 86_400_000
NOON = 1_533_729_600_000  # 2018-08-08T12:00:00Z


def event(number: int, at: int, amount: float | None = 1.0, **more: object) -> dict[str, object]:
    """A transaction of user u at `at`."""
    return {
        "transaction_id": f"t{number}",
        "user_id": "u",
        "merchant_id": "m",
        "timestamp": at,
        "amount": amount,
        **more,
    }


EVENTS = [
    event(1, 10, 5.0, country="FR"),
    event(2, 20, None, country="BE"),
    event(3, 30, 2.0, country="FR"),
    event(4, 30, 8.0, country=None),
]


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [
        (count("x"), 4.0),
        (count("x", where=Predicate("country", "=", "FR")), 2.0),
        (count("x", where=Predicate("country", "<>", "FR")), 1.0),
        (total("amount", "x"), 15.0),
        (mean("amount", "x"), 5.0),
        (minimum("amount", "x"), 2.0),
        (maximum("amount", "x"), 8.0),
        (std("amount", "x"), 6.0**0.5),
        (first("country", "x"), "FR"),
        (last("amount", "x"), 8.0),
        (last("country", "x"), "FR"),
        (last_time("x"), 30.0),
        (last_time("x", where=Predicate("amount", "is null")), 20.0),
        (distinct("country", "x", cap=9), 2.0),
        (distinct("country", "x", cap=1), 1.0),
    ],
)
def test_aggregates(aggregate: Aggregate, value: object) -> None:
    assert aggregate_events(aggregate, TRANSACTIONS, EVENTS) == value


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [(count("x"), 0.0), (total("amount", "x"), 0.0), (mean("amount", "x"), None), (last_time("x"), None)],
)
def test_aggregates_of_nothing(aggregate: Aggregate, value: object) -> None:
    assert aggregate_events(aggregate, TRANSACTIONS, []) == value


def test_a_daily_window_holds_whole_days_and_ends_at_the_request() -> None:
    midnight = NOON - DAY // 2
    window = 90 * DAY
    assert not in_window(USER_HISTORY, window, midnight - 89 * DAY - 1, NOON)
    assert in_window(USER_HISTORY, window, midnight - 89 * DAY, NOON)
    assert in_window(USER_HISTORY, window, NOON - 1, NOON)
    assert not in_window(USER_HISTORY, window, NOON, NOON), "the request is left out"


def test_a_delayed_window_is_cut_at_whole_tiles_on_both_ends() -> None:
    at, delay = NOON + 500, 7 * DAY
    assert in_window(MERCHANT_TRAFFIC, DAY, NOON + 999 - delay, at), "same second as the end"
    assert not in_window(MERCHANT_TRAFFIC, DAY, NOON + 1000 - delay, at)
    assert not in_window(MERCHANT_TRAFFIC, DAY, NOON - delay - DAY + 999, at)
    assert in_window(MERCHANT_TRAFFIC, DAY, NOON - delay - DAY + 1000, at)


def test_a_duplicate_counts_once_as_it_first_arrived() -> None:
    total_1h = next(f for f in USER_VELOCITY.features if f.name == "total_amount_1h")
    arrived = [event(1, NOON, 3.0), event(1, NOON, 4.0), event(2, NOON + 1, 5.0)]
    assert evaluate(total_1h, arrived, "u", NOON + 1) == 8.0


@pytest.mark.parametrize(
    ("top", "bottom", "value"), [(1.0, 4.0, 0.25), (1.0, 0.0, 0.0), (None, 4.0, 0.0), (1.0, None, 0.0)]
)
def test_ratio(top: float | None, bottom: float | None, value: float) -> None:
    assert ratio(Ratio("r", "a", "b"), {"a": top, "b": bottom}) == value
