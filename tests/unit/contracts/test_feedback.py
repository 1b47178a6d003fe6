"""Feedback on the wire: how it is keyed, and that no text of it can be a card number."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lamina.contracts.feedback import Feedback

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
