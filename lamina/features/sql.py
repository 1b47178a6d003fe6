"""From a definition to DuckDB's SQL: conditions, the columns that aggregates take, and features that need no window."""

from __future__ import annotations

from collections.abc import Mapping

from lamina.clock import DAY_MS
from lamina.contracts.aggregates import Predicate
from lamina.contracts.features import Chosen, Elapsed, EventSource, FeatureSet, Membership, Ratio, RequestFeature
from lamina.semantics.events import FIRST_WEEKEND_DAY, NIGHT_UNTIL_HOUR

HOUR_MS = 3_600_000
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


def quoted(column: str) -> str:
    """A column's name as SQL writes it, dotted where nested.

    >>> quoted("location.lat")
    '"location"."lat"'
    """
    return ".".join('"' + part.replace('"', '""') + '"' for part in column.split("."))


def condition(predicate: Predicate, source: EventSource) -> str:
    """The predicate as an expression that is never null: a missing value satisfies only `is null`.

    >>> from lamina.definitions.fraud import FRAUD_LABELS
    >>> condition(Predicate("is_fraud", "=", True), FRAUD_LABELS)
    'coalesce("is_fraud" = TRUE, FALSE)'
    """
    column = predicate.column
    name = number(column) if source.columns.get(column) == "double" else quoted(column)
    return f"coalesce({predicate.sql(name)}, FALSE)"


def number(column: str) -> str:
    """A column as a double; the only form in which numbers and truth values are aggregated. NaN is nothing."""
    return f"nullif(CAST({quoted(column)} AS DOUBLE), CAST('NaN' AS DOUBLE))"


def text(source: EventSource, column: str) -> str:
    """A column as the text that every engine writes for it: whole numbers in digits, `True` and `False`."""
    name = quoted(column)
    if source.columns[column] == "boolean":
        return f"CASE WHEN {name} THEN 'True' WHEN NOT {name} THEN 'False' END"
    return f"CAST({name} AS VARCHAR)"


def ratio(definition: Ratio, own: Mapping[str, str]) -> str:
    """The quotient of two features; the definition's default where the denominator is 0 or either part is missing.

    Args: own: expressions by name of the features that are no columns.
    """
    top, bottom = (own.get(part, quoted(part)) for part in definition.parts)
    quotient = f"coalesce(CASE WHEN {bottom} <> 0 THEN {top} / {bottom} END, {_default(definition.default)})"
    return f"{quotient} AS {quoted(definition.name)}"


def elapsed(definition: Elapsed, at: str, own: Mapping[str, str]) -> str:
    """Seconds from the time that a feature holds to that of another, or to column `at`; null where one is missing."""
    until, since = (own.get(name, quoted(name)) for name in (definition.until or at, definition.since))
    return f"({until} - {since}) / 1000 AS {quoted(definition.name)}"


def chosen(definition: Chosen) -> str:
    """The value of the feature that the row's column names, or the default where it names none.

    >>> print(chosen(Chosen("watched", "category", {"news": "news_30d"})))
    CASE "category" WHEN 'news' THEN "news_30d" ELSE CAST(NULL AS DOUBLE) END
    """
    cases = " ".join(f"WHEN {literal(value)} THEN {quoted(part)}" for value, part in definition.of.items())
    return f"CASE {quoted(definition.column)} {cases} ELSE {_default(definition.default)} END"


def membership(definition: Membership) -> str:
    """1.0 where a list holds the row's column, 0.0 where it does not; null where the column is."""
    column = quoted(definition.column)
    held = f"CAST(coalesce(list_contains({quoted(definition.of)}, {column}), FALSE) AS DOUBLE)"
    return f"CASE WHEN {column} IS NOT NULL THEN {held} END AS {quoted(definition.name)}"


def _default(value: float | None) -> str:
    return f"CAST({'NULL' if value is None else repr(value)} AS DOUBLE)"


def request_feature(feature: RequestFeature, source: EventSource) -> str:
    """A feature of the request alone, from the columns of its row. Times are after 1970, as every contract says."""
    return f"{_request_feature(feature, source)} AS {quoted(feature.name)}"


def _request_feature(feature: RequestFeature, source: EventSource) -> str:
    ts = quoted(source.timestamp)
    hour = f"({ts} % {DAY_MS} // {HOUR_MS})"
    weekday = f"(({ts} // {DAY_MS} + {EPOCH_WEEKDAY}) % 7)"
    match feature.transform:
        case "hour_of_day":
            return f"CAST({hour} AS DOUBLE)"
        case "day_of_week":
            return f"CAST({weekday} AS DOUBLE)"
        case "weekend":
            return f"CAST({weekday} >= {FIRST_WEEKEND_DAY} AS DOUBLE)"
        case "night":
            return f"CAST({hour} <= {NIGHT_UNTIL_HOUR} AS DOUBLE)"
        case "differs":
            return f"CAST({quoted(feature.column)} IS DISTINCT FROM {quoted(feature.other)} AS DOUBLE)"
        case "equals":
            return f"CAST({quoted(feature.column)} IS NOT DISTINCT FROM {literal(feature.value)} AS DOUBLE)"
        case "field":
            is_text = source.columns[feature.column] == "string"
            return quoted(feature.column) if is_text else number(feature.column)


def literal(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def derived(features: FeatureSet) -> list[str]:
    """What is made from other features, then the features of the request, in the order of `features.names`."""
    own = {f.name: _request_feature(f, features.request) for f in features.request_features}
    picked = {c.name: chosen(c) for c in features.chosen}
    own |= picked
    return [
        *(ratio(r, own) for r in features.ratios),
        *(elapsed(e, features.request.timestamp, picked) for e in features.elapsed),
        *(f"{expression} AS {quoted(name)}" for name, expression in picked.items()),
        *(membership(m) for m in features.memberships),
        *(request_feature(f, features.request) for f in features.request_features),
    ]
