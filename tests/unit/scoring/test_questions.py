from __future__ import annotations

from typing import Any

import pytest

from lamina.contracts.predictions import Question
from lamina.definitions import activity, fraud
from lamina.errors import ContractError
from lamina.scoring.questions import QuestionForm
from serving.routes.predict import FRAUD_QUESTION
from tests.unit import crossed

AT_MS = 1735689700000
CONTEXT: dict[str, Any] = FRAUD_QUESTION["context"]  # type: ignore[assignment]


def fraud_row(**changes: object) -> dict[str, object]:
    form = QuestionForm(fraud.FEATURES, fraud.FEATURES.model_features)
    question = Question.model_validate({"user_id": "u", "item_id": "m", "context": CONTEXT | changes})
    return form.row(question, id="r1", at_ms=AT_MS)


def test_a_row_is_a_request_of_the_system() -> None:
    row = fraud_row(location={"lat": 1.0, "lon": 2.0})
    assert (row["user_id"], row["merchant_id"], row["transaction_id"], row["timestamp"]) == ("u", "m", "r1", AT_MS)
    assert (row["amount"], row["location"]) == (28.76, {"lat": 1.0, "lon": 2.0})


def test_a_system_with_items_needs_no_context() -> None:
    form = QuestionForm(activity.FEATURES, activity.FEATURES.names)
    row = form.row(Question(user_id="u", item_id="i"), id="r1", at_ms=AT_MS)
    assert row == {"user_id": "u", "item_id": "i", "event_id": "r1", "timestamp": AT_MS}


def test_only_what_the_model_reads_is_needed() -> None:
    def needed(*names: str) -> set[str]:
        return set(QuestionForm(fraud.FEATURES, names).needed)

    assert needed("lifetime_txn_count", "merchant_fraud_risk_7d", "hour_of_day") == set()
    assert needed("is_international") == {"country", "user_country"}
    assert needed("user_avg_amount_7d") == {"amount"}


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"amount": None}, "context.amount", "missing"),
        ({"amount": "1"}, "context.amount", "must be a double"),
        ({"amount": True}, "context.amount", "must be a double"),
        ({"amount": 10**400}, "context.amount", "must be a double"),
        ({"country": 7}, "context.country", "must be a string"),
        ({"country": "P\x1eT"}, "context.country", "must be a string"),
        ({"colour": "red"}, "context.colour", "amount"),
        ({"user_id": "other"}, "context.user_id", "no column"),
        ({"location": {"lat": "north"}}, "context.location.lat", "must be a double"),
        ({"location": "here"}, "context.location", "no column"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], field: str, says: str) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        fraud_row(**changes)
    assert caught.value.field == field


def test_numbers_without_end_are_refused() -> None:
    question = Question.model_construct(
        user_id="u", item_id="m", context=CONTEXT | {"amount": float("inf")}, timestamp=None
    )
    with pytest.raises(ContractError, match="must be a double"):
        QuestionForm(fraud.FEATURES, ("amount",)).row(question, id="r", at_ms=AT_MS)


def test_an_absent_optional_part_may_be_null() -> None:
    assert fraud_row(location=None)["location"] is None


def test_what_crosses_features_with_a_column_needs_the_column() -> None:
    form = QuestionForm(crossed.FEATURES, ("share",))
    assert (form.needed, form.item_key) == (("country",), "merchant_id")
    assert QuestionForm(crossed.FEATURES, ("known",)).needed == ()
