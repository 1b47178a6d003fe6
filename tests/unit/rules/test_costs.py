"""Expected costs by hand, and what of the actions is cheapest."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from lamina.rules.costs import Costs, choose

COSTS = Costs(
    loss_share=0.5, fraud_fee=20, friction=10, friction_share=0.1, review=4, review_friction=1, review_finds=0.8
)


def test_each_cost_by_hand() -> None:
    found = COSTS.expected(0.25, 400.0)
    assert found.approve == pytest.approx(0.25 * (200 + 20))
    assert found.review == pytest.approx(4 + 0.75 * 1 + 0.25 * 0.2 * 220)
    assert found.reject == pytest.approx(0.75 * (10 + 40))
    assert found.cheapest == "review"


@pytest.mark.parametrize(
    ("score", "amount", "action"),
    [
        (0.0, 1e6, "approve"),
        (0.9, 5.0, "reject"),
        (0.05, 20.0, "approve"),
        (0.05, 2000.0, "review"),
        (0.95, 2000.0, "reject"),
        (0.01, -300.0, "approve"),  # a refund has no amount to lose
    ],
)
def test_the_cheapest_stands(score: float, amount: float, action: str) -> None:
    found, reason, costs = choose(COSTS, score, amount)
    assert found == action == costs.cheapest
    assert getattr(costs, found) == min(costs)
    assert (reason.code if reason else None) == (None if action == "approve" else f"cost_{action}")


def test_the_same_amount_needs_less_suspicion_when_larger() -> None:
    """What a fixed threshold cannot do: the score from which on nothing is approved falls with the amount."""
    scores = np.linspace(0, 1, 1001)
    first = [next(s for s in scores if choose(COSTS, float(s), amount)[0] != "approve") for amount in (20, 200, 2000)]
    assert first == sorted(first, reverse=True) and len(set(first)) == 3


def test_arrays_cost_what_numbers_do() -> None:
    p, amount = np.array([0.0, 0.3, 1.0]), np.array([10.0, 500.0, 0.0])
    columns = COSTS.of(p, amount)
    for i in range(3):
        assert [float(c[i]) for c in columns] == pytest.approx(list(COSTS.expected(float(p[i]), float(amount[i]))))


def test_the_reason_names_every_cost() -> None:
    _, reason, _ = choose(Costs(friction=10, review=5, review_finds=0.9), 0.1, 200.0)
    assert reason is not None
    assert reason.detail == "score 0.100: approving is expected to cost 20.00, reviewing 7.00, rejecting 9.00"


@pytest.mark.parametrize("wrong", [{"friction": -1, "review": 1}, {"friction": 1}, {"friction": 1, "review": "nan"}])
def test_costs_that_cannot_be_right(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Costs.model_validate(wrong)
