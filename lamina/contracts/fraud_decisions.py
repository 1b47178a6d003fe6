"""What was decided about a transaction and why (topic `predictions-fraud`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lamina.contracts.base import EpochMs, Event, Identifier, RequestId
from lamina.contracts.expectations import (
    LATENESS,
    Expectation,
    Suite,
    between,
    in_time,
    mostly_unique,
    one_of,
    present,
    some_rows,
)
from lamina.contracts.reasons import Reason
from lamina.contracts.served import FeatureValue
from lamina.contracts.topics import EventTopic, Topic, predictions_of

PREDICTIONS = predictions_of("fraud")
PREDICTIONS_BEFORE = "model-predictions"
"""What the topic was called before there was one a system: `lamina migrate` leads over what is left of it."""

Action = Literal["approve", "review", "reject"]
Fallback = Literal["none", "rules_only_no_model", "rules_only_no_features", "rules_only_deadline"]
Policy = Literal["fixed_table", "expected_cost"]


class Decision(Event):
    """The answer to one transaction, as returned and as logged: enough to recompute every feature that was used.

    `features` are the values as used; `seen` says, per tile spec, how many events of the speed layer they were made
    from.
    """

    request_id: RequestId
    transaction_id: Identifier
    user_id: Identifier
    merchant_id: Identifier
    action: Action
    score: float | None = Field(None, ge=0, le=1, description="Probability of fraud; absent in a fallback.")
    reasons: list[Reason]
    model_name: str
    model_version: str | None
    rules_version: str
    fallback: Fallback = "none"
    features: dict[str, FeatureValue]
    seen: dict[str, int]
    through: dict[str, EpochMs] = Field(default_factory=dict, description="End of the batch tiles used, by tile spec.")
    feature_age_ms: int | None = Field(None, description="Age of the newest event in the features, at `timestamp`.")
    stale: bool = Field(False, description="Whether a view of its features lacks more than it may.")
    unknown_user: bool = False
    amount: float
    timestamp: EpochMs
    decided_at: EpochMs
    latency_ms: float = Field(ge=0)
    stage_ms: dict[str, float] = Field(default_factory=dict, description="Time spent per stage, in milliseconds.")
    experiment: str | None = Field(
        None, description="The experiment it took part in, as in `trees@2`: name and version."
    )
    arm: str | None = Field(None, description="The arm whose model gave the score.")
    bucket: int | None = Field(
        None, ge=0, lt=10_000, description="The user's bucket, which says whose arm it should be."
    )
    policy: Policy | None = Field(None, description="What turned the score into an action; absent without a score.")
    cost_approve: float | None = Field(None, description="Expected cost of approving, by the policy expected_cost.")
    cost_review: float | None = Field(None, description="Expected cost of a review.")
    cost_reject: float | None = Field(None, description="Expected cost of rejecting.")
    intended: Action | None = Field(None, description="What would have stood, had it not been let through by chance.")
    propensity: float | None = Field(
        None, gt=0, le=1, description="Probability of the action, where chance had a say in it."
    )


class DecisionAnswer(Decision):
    """A decision as its request is answered: the features as used are in it where they were asked for."""

    features: dict[str, FeatureValue] = Field({}, description="With `explain=true`.")
    seen: dict[str, int] = Field({}, description="With `explain=true`.")
    through: dict[str, EpochMs] = Field({}, description="With `explain=true`.")


DECISION_TOPIC = EventTopic(
    topic=Topic(PREDICTIONS),
    contract=Decision,
    suite=Suite(
        PREDICTIONS,
        LATENESS,
        (
            some_rows(),
            *present("request_id", "transaction_id", "user_id", "merchant_id", "action", "features"),
            mostly_unique("request_id", 0.99, "an id a request"),
            between("score", 0, 1),
            one_of("action", "approve", "review", "reject"),
            Expectation(
                "expect_column_values_to_be_in_set",
                {"column": "fallback", "value_set": ["none"], "mostly": 0.5},
                "warning",
                "most decisions were made without the model",
            ),
            between("latency_ms", 0, None),
            *in_time(),
        ),
    ),
)


class ShadowScore(Event):
    """What the model of an arm would have said about a decision that the control made (topic `shadow-scores`)."""

    request_id: RequestId
    transaction_id: Identifier
    user_id: Identifier
    experiment: str
    arm: str
    bucket: int = Field(ge=0, lt=10_000)
    model_name: str
    model_version: str
    score: float | None = Field(ge=0, le=1, description="Probability of fraud; absent when the model failed.")
    decided_version: str | None = Field(description="The version that made the decision.")
    decided_score: float | None = Field(ge=0, le=1, description="Its score.")
    timestamp: EpochMs
    scored_at: EpochMs
