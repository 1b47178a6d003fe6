"""The fixed table: from a probability of fraud and an amount to an action, by thresholds that are data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lamina.contracts.fraud_decisions import Action
from lamina.contracts.reasons import Reason
from lamina.yaml_files import YamlNumber

SEVERITY: dict[Action, int] = {"approve": 0, "review": 1, "reject": 2}


class Band(BaseModel):
    """Thresholds for amounts under `below` (None: all amounts); a score at or above a threshold asks for its action."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    below: YamlNumber | None = None
    reject: YamlNumber = Field(gt=0, le=1)
    review: YamlNumber = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Band:
        if self.review > self.reject:
            raise ValueError(f"review ({self.review}) must not be above reject ({self.reject})")
        return self


def complaint(bands: Sequence[Band]) -> str | None:
    """What is wrong with the order of `bands`, or None."""
    if not bands or bands[-1].below is not None:
        return "the last band must leave `below` out, so that every amount has a band"
    ends = [band.below for band in bands[:-1]]
    if None in ends or any(a >= b for a, b in pairwise(ends)):  # type: ignore[operator]
        return "bands must go up in `below`, and only the last may leave it out"
    return None


def assess(bands: Sequence[Band], score: float, amount: float) -> tuple[Action, Reason | None]:
    """The action for a score, and the threshold it reached.

    Args: score: probability of fraud; amount: in the transaction's currency, refunds (negative) are in the first band.

    >>> assess([Band(below=100, reject=0.95, review=0.85), Band(reject=0.8, review=0.6)], 0.9, 99.99)[0]
    'review'
    """
    band = next(b for b in bands if b.below is None or amount < b.below)
    for action, threshold in (("reject", band.reject), ("review", band.review)):
        if score >= threshold:
            where = "any amount" if band.below is None else f"amounts below {band.below:,.0f}"
            detail = f"score {score:.3f} reaches {threshold:.2f} for {where}"
            return action, Reason(kind="risk", code=f"score_{action}", detail=detail)  # type: ignore[return-value]
    return "approve", None


def most_severe(*actions: Action) -> Action:
    """The action that stands when several are asked for.

    >>> most_severe("review", "approve")
    'review'
    """
    return max(actions, key=SEVERITY.__getitem__)
