from __future__ import annotations

import pytest

from lamina.contracts.fraud_decisions import payload_of
from lamina.contracts.served import ModelUsed, Served
from lamina.contracts.transactions import FraudLabel
from lamina.reviews.cases import uncertainty
from lamina.rules.costs import Costs
from lamina.settings import Settings
from serving.systems.fraud.review import expected_loss, labels, reviewing
from serving.systems.fraud.rule_engine import RuleEngine

BOOK = RuleEngine(Settings().rules_file).book


def answer(score: float | None, amount: float, cost: float | None = None) -> Served:
    return Served(
        system="fraud",
        request_id="r-1",
        event_id="t-1",
        subjects={"user": "u-1", "merchant": "m-1"},
        outputs={} if score is None else {"score": score},
        action="review",
        models={"rules": ModelUsed(name="rules", version="2")},
        features={"amount": amount},
        seen={},
        through={},
        timestamp=1_735_689_600_000,
        served_at=1_735_689_600_001,
        latency_ms=2.0,
        payload=payload_of([], amount, None, (cost, None, None)),
    )


@pytest.mark.parametrize(
    ("score", "amount", "cost", "expected"),
    [
        (0.5, 200.0, None, 0.5 * 215),  # and the fee of 15
        (0.5, 200.0, 77.0, 77.0),  # as the decision weighed it
        (None, 200.0, None, 215.0),
        (0.5, -200.0, None, 7.5),
    ],
)
def test_what_is_at_stake(score: float | None, amount: float, cost: float | None, expected: float) -> None:
    assert BOOK.costs is not None and BOOK.costs.fraud_fee == 15
    assert expected_loss(BOOK, answer(score, amount, cost)) == pytest.approx(expected)


def test_without_costs_it_is_score_times_amount() -> None:
    book = BOOK.model_copy(update={"costs": None})
    assert expected_loss(book, answer(0.5, 200.0)) == 100.0
    assert expected_loss(book, answer(0.5, -5.0)) == 0.0


@pytest.mark.parametrize(("said", "is_fraud"), [("reject", True), ("approve", False)])
def test_a_verdict_is_an_analysts_label(said: str, is_fraud: bool) -> None:
    (made,) = labels(answer(0.7, 20.0), said, 1_735_689_700_000)  # type: ignore[arg-type]
    assert (made.topic, made.key) == ("fraud-labels", "u-1")
    found = FraudLabel.from_json(made.value)
    assert (found.transaction_id, found.is_fraud, found.source, found.timestamp) == (
        "t-1",
        is_fraud,
        "analyst",
        1_735_689_700_000,
    )
    assert labels(answer(0.7, 20.0), said, 1_735_689_700_000) == (made,), "sent again the same"  # type: ignore[arg-type]


def test_a_case_of_an_answer() -> None:
    case = reviewing(lambda: BOOK).case(answer(0.75, 200.0))
    assert (case.system, case.request_id, case.event_id, case.score) == ("fraud", "r-1", "t-1", 0.75)
    assert case.uncertainty == uncertainty(0.75) == 0.5
    assert Served.from_json(case.evidence.encode()) == answer(0.75, 200.0)
    assert Costs(friction=1, review=1).expected(0.75, 200.0).approve == 150.0
