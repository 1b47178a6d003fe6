"""Recorded bytes of decisions: whatever was ever logged stays readable."""

from __future__ import annotations

import orjson
import pytest

from lamina.contracts.fraud_decisions import Decision, ShadowScore

BEFORE_EXPERIMENTS = b"""{"request_id": "r-1", "transaction_id": "txn-0001", "user_id": "user-00000153",
"merchant_id": "merchant-0000018", "action": "review", "score": 0.61, "reasons": [{"kind": "risk",
"code": "score_review", "detail": "score 0.610 reaches 0.60 for any amount", "weight": null}],
"model_name": "fraud", "model_version": "3",
"rules_version": "1", "fallback": "none", "features": {"amount": 2800.0, "merchant_category": "travel"},
"seen": {"user_1m": 3}, "through": {"user_1d": 1735603200000}, "feature_age_ms": 1200, "stale": false,
"unknown_user": false, "amount": 2800.0, "timestamp": 1735689649076, "decided_at": 1735689649081, "latency_ms": 4.2,
"stage_ms": {"features": 1.1}}"""


def test_decisions_logged_before_there_were_experiments() -> None:
    found = Decision.from_json(BEFORE_EXPERIMENTS)
    assert (found.experiment, found.arm, found.bucket) == (None, None, None)
    assert Decision.from_json(found.to_json()) == found


def test_exposure_survives_the_wire() -> None:
    found = Decision.from_json(BEFORE_EXPERIMENTS).model_copy(
        update={"experiment": "trees@2", "arm": "new", "bucket": 9999}
    )
    assert Decision.from_json(found.to_json()) == found


@pytest.mark.parametrize("score", [0.25, None])
def test_shadow_scores(score: float | None) -> None:
    found = ShadowScore(
        request_id="r-1",
        transaction_id="t",
        user_id="u",
        experiment="trees@2",
        arm="new",
        bucket=0,
        model_name="fraud",
        model_version="4",
        score=score,
        decided_version="3",
        decided_score=0.5,
        timestamp=1735689649076,
        scored_at=1735689649090,
    )
    assert ShadowScore.from_json(found.to_json()) == found


def test_a_decision_taken_as_it_is_writes_what_a_validated_one_does() -> None:
    validated = Decision.from_json(BEFORE_EXPERIMENTS)
    trusted = Decision.trusted(**{name: getattr(validated, name) for name in Decision.model_fields})
    assert trusted == validated and trusted.model_dump() == validated.model_dump()
    assert trusted.to_json() == orjson.dumps(validated.model_dump())
