"""The conditions under which the stream takes an event for none, beside the forms of its fields."""

from __future__ import annotations

import pytest

from jobs.flink.validity import problems
from lamina.definitions.activity import USER_EVENTS
from lamina.definitions.fraud import FRAUD_REPORTS, TRANSACTIONS


def test_every_range_of_a_contract_is_asked() -> None:
    """Of each number that is a column, whichever of its times is the source's."""
    ranges = {c for source in (TRANSACTIONS, FRAUD_REPORTS, USER_EVENTS) for c, _ in problems(source) if "BETWEEN" in c}
    for low, high, column in (
        (-1000000000.0, 1000000000.0, "amount"),
        (-90, 90, "location__lat"),
        (-180, 180, "location__lon"),
        (0, 1000000000.0, "purchase_amount"),
        (946684800000, 4102444800000, "transaction_timestamp"),
        (946684800000, 4102444800000, "timestamp"),
    ):
        assert f"`{column}` NOT BETWEEN {low} AND {high}" in ranges


def test_what_belongs_to_a_purchase_is_asked() -> None:
    asked = [c for c, _ in problems(USER_EVENTS)]
    for column in ("purchase_id", "purchase_amount"):
        assert f"(`event_type` = 'purchase') <> (`{column}` IS NOT NULL)" in asked


@pytest.mark.parametrize("source", [TRANSACTIONS, FRAUD_REPORTS, USER_EVENTS], ids=lambda s: s.name)
def test_reasons_name_the_field_and_never_a_value(source: object) -> None:
    for _, reason in problems(source):  # type: ignore[arg-type]
        assert reason.startswith("'")
