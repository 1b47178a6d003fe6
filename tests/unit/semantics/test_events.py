"""Features of the request itself."""

from __future__ import annotations

import pytest

from lamina.contracts.aggregates import Predicate
from lamina.contracts.features import RequestFeature
from lamina.semantics.events import EventRow, holds, request_value, value_of

SATURDAY_7_AM = 1_533_970_800_000  # 2018-08-11T07:00:00Z
EVENT = {"amount": 3, "country": "FR", "user_country": "BE", "transaction_type": "online", "location": None}


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (RequestFeature("x", "field", "amount"), 3.0),
        (RequestFeature("x", "field", "country"), "FR"),
        (RequestFeature("x", "field", "location.lat"), None),
        (RequestFeature("x", "hour_of_day"), 7.0),
        (RequestFeature("x", "day_of_week"), 5.0),
        (RequestFeature("x", "weekend"), 1.0),
        (RequestFeature("x", "night"), 0.0),
        (RequestFeature("x", "differs", "country", other="user_country"), 1.0),
        (RequestFeature("x", "equals", "transaction_type", value="online"), 1.0),
    ],
)
def test_request_value(feature: RequestFeature, value: object) -> None:
    assert request_value(feature, EVENT, SATURDAY_7_AM) == value


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("=", False, True, False),
        ("<>", True, False, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_a_missing_value_satisfies_no_comparison(operator: str, below: bool, equal: bool, above: bool) -> None:
    predicate = Predicate("amount", operator, 5.0)  # type: ignore[arg-type]
    found = [holds(predicate, {"amount": amount}) for amount in (4.0, 5.0, 6.0, None)]
    assert found == [below, equal, above, False]
    assert not holds(predicate, {})


def test_whether_a_value_is_missing_is_a_condition_too() -> None:
    rows: list[EventRow] = [{"amount": 0.0}, {"amount": None}, {}]
    assert [holds(Predicate("amount", "is null"), row) for row in rows] == [False, True, True]
    assert [holds(Predicate("amount", "is not null"), row) for row in rows] == [True, False, False]
    assert all(holds(None, row) for row in rows)


def test_the_week_ends_on_friday_at_midnight() -> None:
    hour = 3_600_000
    monday = SATURDAY_7_AM - 7 * hour - 5 * 24 * hour
    days = [monday + day * 24 * hour for day in range(8)]
    assert [request_value(RequestFeature("x", "weekend"), {}, at) for at in days] == [0, 0, 0, 0, 0, 1, 1, 0]
    assert [request_value(RequestFeature("x", "day_of_week"), {}, at) for at in days] == [0, 1, 2, 3, 4, 5, 6, 0]
    assert request_value(RequestFeature("x", "weekend"), {}, days[5] - 1) == 0.0


def test_the_night_lasts_until_seven() -> None:
    night, hour = RequestFeature("x", "night"), 3_600_000
    midnight = SATURDAY_7_AM - 7 * hour
    assert [request_value(night, {}, midnight + i * hour) for i in range(24)] == [1.0] * 7 + [0.0] * 17
    assert request_value(night, {}, SATURDAY_7_AM - 1) == 1.0


@pytest.mark.parametrize(("country", "differs", "equals"), [("FR", 0.0, 0.0), ("BE", 1.0, 1.0), ("US", 1.0, 0.0)])
def test_two_values_differ_whichever_is_larger(country: str, differs: float, equals: float) -> None:
    event = {"country": country.lower().upper(), "user_country": "FR"}  # equal, and not the same object
    assert request_value(RequestFeature("x", "differs", "country", other="user_country"), event, 0) == differs
    assert request_value(RequestFeature("x", "equals", "country", value="BE"), event, 0) == equals


def test_a_part_that_is_missing_makes_the_column_missing() -> None:
    assert value_of({"a": 1}, "a.b") is None
