"""What each answer to a payment is expected to cost, and the cheapest: `Costs.expected` is hot path."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lamina.contracts.fraud_decisions import Action
from lamina.contracts.reasons import Reason
from lamina.yaml_files import YamlNumber

Number = TypeVar("Number", float, NDArray[np.float64])


class ExpectedCosts(NamedTuple):
    """Of each action on one payment, in its currency."""

    approve: float
    review: float
    reject: float

    @property
    def cheapest(self) -> Action:
        """The action that costs least; of two that cost the same the milder.

        >>> ExpectedCosts(approve=8.0, review=5.0, reject=5.0).cheapest
        'review'
        """
        if self.approve <= self.review and self.approve <= self.reject:
            return "approve"
        return "review" if self.review <= self.reject else "reject"


class Costs(BaseModel):
    """What things cost, in the currency of the payments; shares are of a payment's amount.

    A fraud that is let through costs `loss_share` of its amount and `fraud_fee`. A decline costs `friction` and
    `friction_share` when the payment was honest, and nothing when it was not. A review costs `review` always and
    `review_friction` when the payment was honest, and finds `review_finds` of the frauds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    loss_share: YamlNumber = Field(1.0, ge=0, le=1)
    fraud_fee: YamlNumber = Field(0.0, ge=0)
    friction: YamlNumber = Field(ge=0)
    friction_share: YamlNumber = Field(0.0, ge=0, le=1)
    review: YamlNumber = Field(ge=0)
    review_friction: YamlNumber = Field(0.0, ge=0)
    review_finds: YamlNumber = Field(1.0, ge=0, le=1)

    def expected(self, p: float, amount: float) -> ExpectedCosts:
        """Of a payment of `amount` (a refund, which is negative, counts as 0) that is fraud with probability `p`.

        >>> Costs(friction=10, review=5, review_finds=0.9).expected(0.1, 200.0)
        ExpectedCosts(approve=20.0, review=7.0, reject=9.0)
        """
        amount = max(amount, 0.0)
        return ExpectedCosts(*self.of(p, amount))

    def of(self, p: Number, amount: Number) -> tuple[Number, Number, Number]:
        """Costs of approving, reviewing and rejecting, of numbers or arrays; `amount` is not negative."""
        honest = 1.0 - p
        loss = p * (self.loss_share * amount + self.fraud_fee)
        return (
            loss,
            self.review + self.review_friction * honest + (1.0 - self.review_finds) * loss,
            honest * (self.friction + self.friction_share * amount),
        )


def choose(costs: Costs, score: float, amount: float) -> tuple[Action, Reason | None, ExpectedCosts]:
    """The cheapest action for a score that is a probability, and the costs that made it so."""
    found = costs.expected(score, amount)
    action = found.cheapest
    if action == "approve":
        return action, None, found
    detail = (
        f"score {score:.3f}: approving is expected to cost {found.approve:,.2f}, reviewing {found.review:,.2f}, "
        f"rejecting {found.reject:,.2f}"
    )
    return action, Reason(kind="risk", code=f"cost_{action}", detail=detail), found
