"""Shadows of fraud detection as the version before wrote them, on a topic of their own, `shadow-scores`."""

from __future__ import annotations

from pydantic import Field

from lamina.contracts.base import EpochMs, Event, Identifier, RequestId
from lamina.contracts.fraud_decisions import FRAUD, SCORE, USER
from lamina.contracts.served import MODEL, MODEL_FAILED, NO_FALLBACK, ModelUsed, Served

SHADOW_SCORES = "shadow-scores"


class ShadowScore(Event):
    """What the model of an arm would have said about a decision that the control made."""

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


def shadow_of(raw: bytes) -> Served:
    """The envelope of a `ShadowScore`. How long the model took was not written down; what was decided is in the answer.

    Raises: ContractError: it is none.
    """
    found = ShadowScore.from_json(raw)
    return Served(
        system=FRAUD,
        request_id=found.request_id,
        event_id=found.transaction_id,
        subjects={USER: found.user_id},
        outputs={} if found.score is None else {SCORE: found.score},
        models={MODEL: ModelUsed(name=found.model_name, version=found.model_version)},
        fallback=MODEL_FAILED if found.score is None else NO_FALLBACK,
        experiment=found.experiment,
        arm=found.arm,
        bucket=found.bucket,
        shadow=True,
        features={},
        seen={},
        through={},
        timestamp=found.timestamp,
        served_at=found.scored_at,
        latency_ms=0,
    )
