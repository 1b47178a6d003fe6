"""Features of the request itself."""

from __future__ import annotations

import pytest

from lamina.contracts.features import RequestFeature
from lamina.semantics.events import request_value, value_of

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


def test_a_part_that_is_missing_makes_the_column_missing() -> None:
    assert value_of({"a": 1}, "a.b") is None
