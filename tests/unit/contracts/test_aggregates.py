"""Conditions as SQL text."""

from __future__ import annotations

import pytest

from lamina.contracts.aggregates import Predicate


@pytest.mark.parametrize(
    ("predicate", "sql"),
    [
        (Predicate("country", "=", "Côte d'Ivoire"), "country = 'Côte d''Ivoire'"),
        (Predicate("amount", ">=", 2.5), "amount >= 2.5"),
        (Predicate("is_fraud", "=", False), "is_fraud = FALSE"),
        (Predicate("location.lat", "is not null"), "location.lat IS NOT NULL"),
    ],
)
def test_sql(predicate: Predicate, sql: str) -> None:
    assert predicate.sql() == sql


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Predicate("amount", ">", float("inf")), "finite number"),
        (Predicate("amount", "<=", float("-inf")), "finite number"),
        (Predicate("amount", "=", float("nan")), "finite number"),
        (Predicate("amount", "==", 1.0), "has the operator '=='; there are '='"),  # type: ignore[arg-type]
        (Predicate("country", "like", "B%"), "has the operator 'like'"),  # type: ignore[arg-type]
        (Predicate("country", "IS NULL"), "has the operator 'IS NULL'"),  # type: ignore[arg-type]
        (Predicate("items", "=", 2.5), "never equals 2.5"),
        (Predicate("items", "<>", 2.5), "never equals 2.5"),
    ],
)
def test_conditions_that_no_engine_or_no_event_fulfils_are_refused(condition: Predicate, words: str) -> None:
    [complaint] = condition.complaints({"amount": "double", "country": "string", "items": "long"})
    assert words in complaint


@pytest.mark.parametrize(
    "condition", [Predicate("items", "=", 2), Predicate("items", ">", 2.5), Predicate("amount", "=", 2.5)]
)
def test_conditions_that_some_event_fulfils_are_taken(condition: Predicate) -> None:
    assert not list(condition.complaints({"amount": "double", "items": "long"}))
