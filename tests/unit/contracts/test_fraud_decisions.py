"""A decision as it is answered, in its envelope, and as older versions logged it: none of them loses anything."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from lamina.contracts.fraud_decisions import DECISION_TOPIC, SCORE, Decision, answer_of, read_answer, served_of
from lamina.contracts.served import Served
from lamina.errors import ContractError
from lamina.lake.schemas import json_columns
from lamina.scoring import protocol

RECORDED = sorted((Path(__file__).parents[2] / "data" / "events").glob("decision-v*.json"))
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


def test_a_decision_taken_as_it_is_writes_what_a_validated_one_does() -> None:
    validated = Decision.from_json(BEFORE_EXPERIMENTS)
    trusted = Decision.trusted(**{name: getattr(validated, name) for name in Decision.model_fields})
    assert trusted == validated and trusted.model_dump() == validated.model_dump()
    assert trusted.to_json() == orjson.dumps(validated.model_dump())


FALLBACK = {"score": None, "model_version": None, "fallback": "rules_only_no_features", "unknown_user": True}


@pytest.mark.parametrize("changes", [{}, FALLBACK], ids=["by the model", "by the rules alone"])
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_envelope_of_a_decision_gives_it_back(path: Path, changes: dict[str, object]) -> None:
    decision = Decision.from_json(path.read_bytes()).model_copy(update=changes)
    served = served_of(decision)
    assert answer_of(served) == decision
    assert answer_of(served).to_json() == decision.to_json()
    assert Served.from_json(served.to_json()) == read_answer(served.to_json()) == served
    assert read_answer(decision.to_json()) == served
    assert answer_of(read_answer(served.to_json())).to_json() == decision.to_json()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"payload": {}}, "payload"),
        ({"payload": {"reasons": 7, "amount": 1.0, "policy": None}}, "payload"),
        ({"action": "call the police"}, "action"),
        ({"outputs": {"score": 1.5}}, "score"),
        ({"subjects": {"user": "u"}}, "payload"),
        ({"models": {}}, "payload"),
        ({"timestamp": 7}, "timestamp"),
    ],
)
def test_an_envelope_that_holds_no_decision_is_refused(changes: dict[str, object], field: str) -> None:
    served = orjson.loads(served_of(Decision.from_json(BEFORE_EXPERIMENTS)).to_json())
    with pytest.raises(ContractError, match=field):
        read_answer(orjson.dumps(served | changes))


def test_a_shadow_is_read_though_it_holds_no_decision() -> None:
    served = served_of(Decision.from_json(BEFORE_EXPERIMENTS)).model_copy(update={"shadow": True, "payload": {}})
    assert read_answer(served.to_json()) == served


def test_the_score_is_the_output_of_a_model_that_gives_one_number() -> None:
    assert SCORE == protocol.SCORE


@pytest.mark.parametrize(
    ("score", "good"),
    [(0.0, True), (1.0, True), (0.25, True), (1e-9, True), (1.5, False), (-0.25, False), (10.0, False), (None, True)],
)
def test_the_gate_takes_probabilities_alone_for_scores(score: float | None, good: bool) -> None:
    (rule,) = [e for e in DECISION_TOPIC.suite.expectations if e.columns == ("outputs",) and "regex" in e.arguments]
    text = orjson.dumps({} if score is None else {SCORE: score}).decode()
    assert bool(re.match(rule.arguments["regex"], text)) == good
    assert "outputs" in json_columns(Served), "as the lake keeps it"
