"""How payments that wait for an analyst are reviewed: what is at stake, and the label that his verdict becomes."""

from __future__ import annotations

from collections.abc import Callable

from lamina.contracts.fraud_decisions import MERCHANT, SCORE, USER
from lamina.contracts.served import Served
from lamina.contracts.transactions import FRAUD_LABELS, FraudLabel
from lamina.reviews.cases import ANALYST, Answer, Label, Reviewing
from lamina.rules.book import RuleBook

ACTION = "review"
RULED = 1.0
"""What counts as the probability of fraud where a rule asked for a review and no model was there to weigh it."""


def reviewing(book: Callable[[], RuleBook]) -> Reviewing:
    """How fraud's answers are reviewed, by the costs of the rules in force when one comes in."""
    return Reviewing(action=ACTION, expected_loss=lambda served: expected_loss(book(), served), labels=labels)


def expected_loss(book: RuleBook, served: Served) -> float:
    """What it is expected to cost to let the payment through, in its currency: what the decision weighed, else by the
    costs of `book`, else score times amount.
    """
    weighed, amount = served.payload["cost_approve"], served.payload["amount"]
    if isinstance(weighed, int | float):
        return float(weighed)
    assert isinstance(amount, int | float), "every payment has one"
    score = served.outputs.get(SCORE, RULED)
    return book.costs.expected(score, amount).approve if book.costs is not None else score * max(amount, 0.0)


def labels(served: Served, answer: Answer, at_ms: int) -> tuple[Label, ...]:
    """The analyst's finding, for the features of the merchant: rejected is fraud. Its time is the verdict's."""
    assert served.event_id is not None, "a payment has an id"
    found = FraudLabel(
        transaction_id=served.event_id,
        user_id=served.subjects[USER],
        merchant_id=served.subjects[MERCHANT],
        is_fraud=answer == "reject",
        source=ANALYST,
        transaction_timestamp=served.timestamp,
        timestamp=at_ms,
    )
    return (Label(FRAUD_LABELS, found.user_id, found.to_json()),)
