"""The reference, checked by hand on cases small enough to count on fingers."""

from __future__ import annotations

import pytest

from lamina.contracts.aggregates import (
    Aggregate,
    Predicate,
    count,
    decayed_count,
    distinct,
    first,
    first_time,
    last,
    last_k,
    last_time,
    maximum,
    mean,
    minimum,
    session_count,
    std,
    total,
)
from lamina.contracts.features import Duration, Elapsed, Ratio, seconds
from lamina.definitions.fraud import MERCHANT_TRAFFIC, TRANSACTIONS, USER_HISTORY, USER_VELOCITY
from lamina.semantics.reference import aggregate_events, elapsed, equal_numbers, evaluate, in_window, ratio
from lamina.semantics.sketch import hash_of

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
        (first_time("x"), 10.0),
        (first_time("x", where=Predicate("amount", "is null")), 20.0),
        (last_time("x"), 30.0),
        (last_time("x", where=Predicate("amount", "is null")), 20.0),
        (distinct("country", "x", cap=9), 2.0),
        (distinct("amount", "x", cap=3), 3.0),
        (last_k("country", "x", k=2), ["FR", "BE"]),
        (last_k("amount", "x", k=9), [8.0, 2.0, 5.0]),
        (last_k("amount", "x", k=1, where=Predicate("country", "=", "FR")), [2.0]),
        (decayed_count("x", half_life=Duration(1, "1s")), 0.5**0.03 + 0.5**0.02 + 2 * 0.5**0.01),
        (session_count("x", gap=seconds(1)), 4.0),
        (session_count("x", gap=Duration(0, "0s")), 0.0),
    ],
)
def test_aggregates(aggregate: Aggregate, value: object) -> None:
    assert aggregate_events(aggregate, TRANSACTIONS, EVENTS, 40) == pytest.approx(value)


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [
        (count("x"), 0.0),
        (total("amount", "x"), 0.0),
        (mean("amount", "x"), None),
        (first_time("x"), None),
        (last_time("x"), None),
        (last_k("amount", "x", k=3), []),
        (session_count("x", gap=seconds(1)), 0.0),
        (decayed_count("x", half_life=seconds(1)), 0.0),
        (distinct("country", "x", cap=3), 0.0),
    ],
)
def test_aggregates_of_nothing(aggregate: Aggregate, value: object) -> None:
    assert aggregate_events(aggregate, TRANSACTIONS, [], 40) == value


def test_a_daily_window_holds_whole_days_and_ends_at_the_request() -> None:
    midnight = NOON - DAY // 2
    window = USER_HISTORY.features[0]
    assert not in_window(window, midnight - 89 * DAY - 1, NOON)
    assert in_window(window, midnight - 89 * DAY, NOON)
    assert in_window(window, NOON - 1, NOON)
    assert not in_window(window, NOON, NOON), "the request is left out"


def test_a_delayed_window_is_cut_at_whole_tiles_on_both_ends() -> None:
    at, delay, day = NOON + 500, 7 * DAY, MERCHANT_TRAFFIC.features[0]
    assert in_window(day, NOON + 999 - delay, at), "same second as the end"
    assert not in_window(day, NOON + 1000 - delay, at)
    assert not in_window(day, NOON - delay - DAY + 999, at)
    assert in_window(day, NOON - delay - DAY + 1000, at)


def test_a_duplicate_counts_once_as_it_first_arrived() -> None:
    total_1h = next(f for f in USER_VELOCITY.features if f.name == "total_amount_1h")
    arrived = [event(1, NOON, 3.0), event(1, NOON, 4.0), event(2, NOON + 1, 5.0)]
    assert evaluate(total_1h, arrived, "u", NOON + 1) == 8.0


def test_events_of_others_are_left_out() -> None:
    total_1h = next(f for f in USER_VELOCITY.features if f.name == "total_amount_1h")
    arrived = [{**event(i, NOON, 3.0**i), "user_id": user} for i, user in enumerate(("a", "u", "z", "U"))]
    assert evaluate(total_1h, arrived, "u", NOON) == 3.0
    assert evaluate(total_1h, arrived, "nobody", NOON) == 0.0


def test_more_values_than_the_cap_are_estimated() -> None:
    events = [event(i, i, country=f"C{i}") for i in range(9)]
    third = sorted(int(hash_of(f"C{i}"), 16) for i in range(9))[2]
    assert aggregate_events(distinct("country", "x", cap=3), TRANSACTIONS, events, 40) == 2 / (third / 2.0**64)


def test_numbers_are_equal_up_to_the_order_of_additions() -> None:
    assert equal_numbers(0.5, 0.5 + 1e-10)
    assert not equal_numbers(0.5, 0.5 + 1e-8)
    assert not equal_numbers(0.0, 1e-8)
    assert not equal_numbers(2e12, 2e12 + 1)
    assert not equal_numbers(2e12, 2e12 + 1.5e4)
    assert equal_numbers(2e12 + 0.5, 2e12 + 1.5)


@pytest.mark.parametrize(
    ("top", "bottom", "value"), [(1.0, 4.0, 0.25), (1.0, 0.0, 0.0), (None, 4.0, 0.0), (1.0, None, 0.0)]
)
def test_ratio(top: float | None, bottom: float | None, value: float) -> None:
    assert ratio(Ratio("r", "a", "b"), {"a": top, "b": bottom}) == value
    assert ratio(Ratio("r", "a", "b", default=None), {"a": top, "b": bottom}) == (value or None)


def test_a_session_ends_at_the_first_gap_and_is_over_when_the_newest_event_is_too_old() -> None:
    events = [event(i, at) for i, at in enumerate((1_000, 3_500, 4_000, 6_000))]
    session = session_count("x", gap=seconds(2))
    assert [aggregate_events(session, TRANSACTIONS, events, at) for at in (6_000, 8_000, 8_001)] == [3.0, 3.0, 0.0]


@pytest.mark.parametrize(("since", "value"), [(None, None), (1_000.0, 2.5)])
def test_elapsed(since: float | None, value: float | None) -> None:
    assert elapsed(Elapsed("e", "a"), {"a": since}, 3_500) == value
    assert elapsed(Elapsed("e", "a", until="b"), {"a": since, "b": 3_500.0}, 9_999) == value


def test_no_time_has_elapsed_until_one_that_is_missing() -> None:
    assert elapsed(Elapsed("e", "a", until="b"), {"a": 1_000.0, "b": None}, 3_500) is None
