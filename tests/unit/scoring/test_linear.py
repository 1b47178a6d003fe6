from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from lamina.definitions.fraud import FEATURES
from lamina.errors import ModelUnavailable
from lamina.scoring.inputs import inputs_of
from lamina.scoring.linear import WIDEST, LinearScorer, LinearSpec, Weight, squashed
from lamina.scoring.protocol import SCORE, Value
from lamina.scoring.trained_spec import Rows, Split
from models.fraud.score import load

DAY = date(2025, 1, 1)
INPUTS = inputs_of(FEATURES, {"device_type": ("terminal", "mobile")}, ("amount", "txn_count_1h", "device_type"))
SPEC = LinearSpec(
    system="fraud",
    logical_date=DAY,
    inputs=INPUTS,
    split=Split(kind="time", train_first=DAY, train_last=DAY, delay_days=7, test_first=DAY, test_last=DAY),
    rows=Rows(train=1, train_positives=1, used=1, test=0, test_positives=0),
    seed=0,
    metrics={},
    git_commit="none",
    libraries={},
    intercept=-2.0,
    numbers={
        "amount": Weight(mean=3.0, deviation=2.0, weight=1.5),
        "txn_count_1h": Weight(mean=0.0, deviation=1.0, weight=0.5),
    },
    texts={"device_type": {"mobile": 0.7}},
)


@pytest.fixture
def scorer(tmp_path: Path) -> LinearScorer:
    SPEC.write(tmp_path)
    found = load(tmp_path)
    assert isinstance(found, LinearScorer)
    return found


def test_the_score_is_the_logistic_of_the_weighted_sum(scorer: LinearScorer) -> None:
    row: dict[str, Value] = {"amount": 99.0, "txn_count_1h": 0.0, "device_type": "mobile"}
    log_odds = -2.0 + 1.5 * (np.log(100.0) - 3.0) / 2.0 + 0.7
    assert scorer.predict(row) == pytest.approx(1 / (1 + np.exp(-log_odds)), rel=1e-12)
    parts = dict(scorer.explain(row))
    assert sum(parts.values()) == pytest.approx(log_odds + 2.0)
    assert parts["device_type"] == 0.7
    assert next(iter(parts)) == "amount"


def test_what_is_missing_or_new_adds_nothing(scorer: LinearScorer) -> None:
    nothing = 1 / (1 + np.exp(2.0))
    assert scorer.predict({}) == pytest.approx(nothing)
    assert scorer.predict({"device_type": "watch", "amount": None}) == pytest.approx(nothing)


def test_all_forms_of_asking_agree(scorer: LinearScorer) -> None:
    rows: list[dict[str, Value]] = [
        {"amount": 10.0 * i, "txn_count_1h": float(i), "device_type": "mobile"} for i in range(5)
    ]
    columns = {name: np.array([row[name] for row in rows], object) for name in SPEC.texts}
    columns |= {name: np.array([row[name] for row in rows], np.float64) for name in SPEC.numbers}
    found = scorer.predict_batch(rows)[SCORE]
    assert found.tolist() == [scorer.predict(row) for row in rows]
    assert scorer.predict_columns(columns, 5)[SCORE].tolist() == found.tolist()
    assert scorer.predict_batch([])[SCORE].shape == (0,)


def test_a_number_that_was_never_seen_so_large_does_not_decide_alone(scorer: LinearScorer) -> None:
    highest = 1 / (1 + np.exp(2.0 - 1.5 * WIDEST))
    assert scorer.predict({"amount": 1e300}) == pytest.approx(highest)


def test_a_regression_of_features_that_mean_something_else_is_refused(tmp_path: Path) -> None:
    changed = SPEC.model_copy(update={"inputs": (INPUTS[0].model_copy(update={"meaning": "another"}), *INPUTS[1:])})
    changed.write(tmp_path)
    with pytest.raises(ModelUnavailable, match="amount changed"):
        load(tmp_path)


def test_both_signs_are_squashed_alike() -> None:
    values = np.array([5.0, 1e6])
    np.testing.assert_allclose(squashed(-values), -squashed(values))
