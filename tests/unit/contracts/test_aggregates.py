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
