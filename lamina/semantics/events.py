"""Reading an event as definitions see it: dotted columns, conditions, features of the request itself."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lamina.contracts.aggregates import Predicate
from lamina.contracts.features import EventSource, RequestFeature

EventRow = Mapping[str, object]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NIGHT_UNTIL_HOUR = 6
FIRST_WEEKEND_DAY = 5


def value_of(event: EventRow, column: str) -> object:
    """The value of a dotted column, None where any part is missing.

    >>> value_of({"location": {"lat": 1.5}}, "location.lat")
    1.5
    """
    if "." not in column:
        return event.get(column)
    found: object = event
    for part in column.split("."):
        # Most are dictionaries; whether something is a mapping of another kind takes longer to find out.
        if not isinstance(found, dict) and not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def time_of(source: EventSource, event: EventRow) -> int:
    """When an event of `source` happened, in epoch milliseconds."""
    return int(value_of(event, source.timestamp))  # type: ignore[call-overload, no-any-return]


def holds(predicate: Predicate | None, event: EventRow) -> bool:
    """Whether `event` satisfies `predicate`; no predicate always holds, a missing value satisfies only `is null`."""
    if predicate is None:
        return True
    value = value_of(event, predicate.column)
    match predicate.operator:
        case "is null":
            return value is None
        case "is not null":
            return value is not None
        case compared:
            return value is not None and _COMPARE[compared](value, predicate.value)


def request_value(feature: RequestFeature, event: EventRow, at_ms: int) -> float | str | None:
    """The value of a feature of the request.

    >>> request_value(RequestFeature("night", "night"), {}, 1533686400000)
    1.0
    """
    match feature.transform:
        case "hour_of_day":
            return float(_when(at_ms).hour)
        case "day_of_week":
            return float(_when(at_ms).weekday())
        case "weekend":
            return float(_when(at_ms).weekday() >= FIRST_WEEKEND_DAY)
        case "night":
            return float(_when(at_ms).hour <= NIGHT_UNTIL_HOUR)
        case "differs":
            return float(value_of(event, feature.column) != value_of(event, feature.other))
        case "equals":
            return float(value_of(event, feature.column) == feature.value)
        case "field":
            value = value_of(event, feature.column)
            if value is None or isinstance(value, str):
                return value
            return float(value)  # type: ignore[arg-type]


def _when(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC)
