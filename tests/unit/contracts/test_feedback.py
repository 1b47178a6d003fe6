"""Feedback on the wire: how it is keyed, and that no text of it can be a card number."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lamina.contracts.feedback import FEEDBACK_TOPIC, Feedback

SAID: dict[str, Any] = {"system": "fraud", "feedback_id": "f", "source": "analyst", "timestamp": 1_534_291_231_000}


@pytest.mark.parametrize(
    ("named", "key"),
    [
        ({"subjects": {"user": "u", "merchant": "m"}, "request_id": "r"}, "u"),
        ({"event_id": "e", "request_id": "r"}, "e"),
        ({"request_id": "r"}, "r"),
        ({}, "f"),
    ],
)
def test_events_about_the_same_stay_in_order(named: dict[str, Any], key: str) -> None:
    assert Feedback(**SAID, **named).key == key


@pytest.mark.parametrize("field", ["action", "source", "author"])
def test_no_text_is_a_card_number(field: str) -> None:
    with pytest.raises(ValidationError, match="looks like a card number"):
        Feedback(**{**SAID, field: "paid by 4000001234567899"})


def test_a_client_that_repeats_itself_or_tells_of_old_days_fails_no_gate() -> None:
    """The topic is everybody's: its gate holds up the labels of all systems."""
    assert FEEDBACK_TOPIC.suite is not None
    rules = FEEDBACK_TOPIC.suite.expectations
    assert {rule.columns for rule in rules if rule.severity == "critical"} == {
        ("system",),
        ("feedback_id",),
        ("source",),
    }
    assert {rule.kind for rule in rules if rule.severity == "critical"} == {"expect_column_values_to_not_be_null"}
    assert len({rule.name for rule in rules}) == len(rules)
