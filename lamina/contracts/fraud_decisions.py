"""What fraud detection answers to a transaction and why, and that answer as the envelope of all systems holds it.

The API answers with a `Decision`. On topic `predictions-fraud` it is a `Served`, whose `payload` has what only fraud
knows; until there was an envelope, it was logged as it was answered. Each is made from the other, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from pydantic import Field, JsonValue, ValidationError

from lamina.contracts.base import EpochMs, Event, Identifier, RequestId
from lamina.contracts.expectations import matches, one_of, present
from lamina.contracts.reasons import Reason
from lamina.contracts.served import MODEL, FeatureValue, ModelUsed, Served, answers, served_topic
from lamina.contracts.topics import predictions_of
from lamina.errors import ContractError

FRAUD = "fraud"
PREDICTIONS = predictions_of(FRAUD)
PREDICTIONS_BEFORE = "model-predictions"
"""What the topic was called before there was one a system: `lamina migrate` leads over what is left of it."""
SCORE = "score"
"""The model's output: the probability of fraud."""
RULES = "rules"
"""The stage that answers beside the model."""
USER, MERCHANT = "user", "merchant"
"""The subjects. A user's answers have one key, and so one order."""

Action = Literal["approve", "review", "reject"]
Fallback = Literal["none", "rules_only_no_model", "rules_only_no_features", "rules_only_deadline"]
Policy = Literal["fixed_table", "expected_cost"]


class Decision(Event):
    """The answer to one transaction, as returned: enough to recompute every feature that was used.

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


ActionCosts = tuple[float | None, float | None, float | None]
"""Expected ones, of approving, of a review and of rejecting; None by a policy that weighs none."""


def payload_of(
    reasons: Sequence[Reason], amount: float, policy: Policy | None, costs: ActionCosts
) -> dict[str, JsonValue]:
    """What only fraud knows of an answer. Hot path."""
    return {
        "reasons": [vars(reason) for reason in reasons],
        "amount": amount,
        "policy": policy,
        "cost_approve": costs[0],
        "cost_review": costs[1],
        "cost_reject": costs[2],
    }


def reasons_of(served: Served) -> list[Mapping[str, JsonValue]]:
    """The reasons of an answer, each as the fields of a `Reason`. Hot path."""
    return cast("list[Mapping[str, JsonValue]]", served.payload["reasons"])


def answer_of(served: Served) -> Decision:
    """The decision that `served`, which fraud has made, holds. Hot path.

    A fallback names the model that did not answer, which is called after the system.

    Raises: KeyError: it is another system's, or a shadow.
    """
    fields = fields_of(served)
    fields["reasons"] = [Reason.trusted(**reason) for reason in reasons_of(served)]
    return Decision.trusted(**fields)


def fields_of(served: Served) -> dict[str, Any]:
    """The fields of the decision that `served` holds, its reasons as fields as well. Hot path.

    Raises: KeyError: as `answer_of`.
    """
    payload, model = served.payload, served.models.get(MODEL)
    return dict(
        request_id=served.request_id,
        transaction_id=served.event_id,
        user_id=served.subjects[USER],
        merchant_id=served.subjects[MERCHANT],
        action=served.action,
        score=served.outputs.get(SCORE),
        reasons=payload["reasons"],
        model_name=model.name if model is not None else served.system,
        model_version=model.version if model is not None else None,
        rules_version=served.models[RULES].version,
        fallback=served.fallback,
        features=served.features,
        seen=served.seen,
        through=served.through,
        feature_age_ms=served.feature_age_ms,
        stale=served.stale,
        unknown_user=USER in served.unknown,
        amount=payload["amount"],
        timestamp=served.timestamp,
        decided_at=served.served_at,
        latency_ms=served.latency_ms,
        stage_ms=served.stage_ms,
        experiment=served.experiment,
        arm=served.arm,
        bucket=served.bucket,
        policy=payload["policy"],
        cost_approve=payload["cost_approve"],
        cost_review=payload["cost_review"],
        cost_reject=payload["cost_reject"],
        intended=served.intended,
        propensity=served.propensity,
    )


def served_of(decision: Decision) -> Served:
    """The envelope of `decision`, as it would have been logged.

    Raises: pydantic.ValidationError: it holds what no envelope may, such as a negative time.
    """
    costs = (decision.cost_approve, decision.cost_review, decision.cost_reject)
    models = {RULES: ModelUsed(name=RULES, version=decision.rules_version)}
    if decision.model_version is not None:
        models = {MODEL: ModelUsed(name=decision.model_name, version=decision.model_version), **models}
    return Served(
        system=FRAUD,
        request_id=decision.request_id,
        event_id=decision.transaction_id,
        subjects={USER: decision.user_id, MERCHANT: decision.merchant_id},
        outputs={} if decision.score is None else {SCORE: decision.score},
        action=decision.action,
        intended=decision.intended,
        propensity=decision.propensity,
        models=models,
        fallback=decision.fallback,
        experiment=decision.experiment,
        arm=decision.arm,
        bucket=decision.bucket,
        features=decision.features,
        seen=decision.seen,
        through=decision.through,
        feature_age_ms=decision.feature_age_ms,
        stale=decision.stale,
        unknown=[USER] if decision.unknown_user else [],
        timestamp=decision.timestamp,
        served_at=decision.decided_at,
        latency_ms=decision.latency_ms,
        stage_ms=decision.stage_ms,
        payload=payload_of(decision.reasons, decision.amount, decision.policy, costs),
    )


def read_answer(raw: bytes) -> Served:
    """The answer in `raw`: the envelope, or the decision as the version before logged and kept it.

    Raises: ContractError: it is neither, or an envelope that holds no decision.
    """
    try:
        served = Served.from_json(raw)
    except ContractError as error:
        try:
            return served_of(Decision.from_json(raw))
        except (ContractError, ValidationError):
            raise error from None
    if not served.shadow:
        try:
            Decision.from_json(answer_of(served).to_json())
        except (KeyError, TypeError) as error:
            raise ContractError(Served.__name__, "payload", f"holds no decision of fraud detection: {error}") from None
    return served


A_PROBABILITY = r"(?:0(?:\.\d+)?|1(?:\.0+)?|\d(?:\.\d+)?[eE]-\d+)"

DECISION_TOPIC = served_topic(
    FRAUD,
    *answers(
        *present("event_id", "action"),
        one_of("action", "approve", "review", "reject"),
        matches("subjects", rf'^\{{"{USER}":".+","{MERCHANT}":".+"\}}$', "an answer is about a user and a merchant"),
    ),
    matches("outputs", rf'^\{{(?:"{SCORE}":{A_PROBABILITY})?\}}$', "a score is a probability"),
    older=read_answer,
)
