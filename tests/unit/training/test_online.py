from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lamina.definitions.fraud import FEATURES
from lamina.evaluation.metrics import Ints
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table
from lamina.scoring.inputs import inputs_of
from lamina.training.online import BrokenState, OnlineLearner, OnlinePlan, RisingRate, in_order_of_labels
from models.fraud.problem import PROBLEM
from tests.training_sets import DAY, write_training_set

INPUTS = inputs_of(
    FEATURES, {"merchant_category": (), "device_type": ()}, ("amount", "merchant_fraud_risk_7d", "merchant_category")
)
PLAN = OnlinePlan(negatives_kept=0.5, rate=0.05)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = write_training_set(str(tmp_path_factory.mktemp("lake")))
    return read_table(lake, PROBLEM, DAY, FEATURES.names)


def every(table: Table) -> Ints:
    return np.arange(len(table))


def test_it_learns_what_was_put_in(table: Table) -> None:
    learner = OnlineLearner(INPUTS, PLAN)
    learner.learn(table, every(table))
    weights = learner.numbers
    assert weights["amount"].weight > 0
    assert weights["merchant_fraud_risk_7d"].weight > 0
    scores = OnlineLearner(INPUTS, dataclasses.replace(PLAN, negatives_kept=1.0)).learn(table, every(table))
    half = len(table) // 2
    assert roc_auc_score(table.positive[half:], scores[half:]) > 0.85


def test_saved_read_back_and_gone_on_it_is_the_same_to_the_last_bit(table: Table) -> None:
    at_once, first = OnlineLearner(INPUTS, PLAN), OnlineLearner(INPUTS, PLAN)
    rows = every(table)
    whole = at_once.learn(table, rows)
    parts = [first.learn(table, rows[:1500])]
    again = OnlineLearner.from_json(first.to_json())
    parts.append(again.learn(table, rows[1500:]))
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert again.to_json() == at_once.to_json()


def test_the_rate_rises_when_labels_turn_around_and_falls_again(table: Table) -> None:
    learner = OnlineLearner(INPUTS, dataclasses.replace(PLAN, negatives_kept=1.0, half_life_rows=200, threshold=10.0))
    learner.learn(table, every(table))
    assert learner.drifts == 0
    assert learner.rate == 0.05
    turned = dataclasses.replace(table, positive=~table.positive)
    learner.learn(turned, every(table)[:300])
    assert learner.drifts > 0
    raised = learner.rate
    assert raised > 0.06
    before = learner.drifts
    learner.learn(turned, every(table)[300:5000])
    assert learner.rate < raised or learner.drifts > before
    assert OnlineLearner.from_json(learner.to_json()).rate == learner.rate


@pytest.mark.parametrize(("later", "rate"), [(0, 0.1), (2000, 0.055), (6000, 0.02125)])
def test_the_example_of_the_module(later: int, rate: float) -> None:
    assert RisingRate(OnlinePlan(), raised_at=100).get(100 + later) == pytest.approx(rate)
    assert RisingRate(OnlinePlan()).get(later) == 0.01


def test_negative_rows_are_drawn_by_their_ids_and_the_intercept_corrected(table: Table) -> None:
    learner = OnlineLearner(INPUTS, dataclasses.replace(PLAN, negatives_kept=0.1))
    found = learner.learn(table, every(table))
    positives = int(table.positive.sum())
    assert learner.rows == len(found)
    assert positives + 0.05 * len(table) < len(found) < positives + 0.15 * len(table)
    assert learner.intercept == pytest.approx(json.loads(learner.to_json())["intercept"] + np.log(0.1))


def test_missing_numbers_and_new_texts_do_no_harm(table: Table) -> None:
    holes = {**table.inputs, "amount": np.where(np.arange(len(table)) % 2, np.nan, table.inputs["amount"])}
    holes["merchant_category"] = np.array([None] * len(table), dtype=object)
    learner = OnlineLearner(INPUTS, PLAN)
    assert np.isfinite(learner.learn(dataclasses.replace(table, inputs=holes), every(table)[:500])).all()
    assert learner.texts == {"merchant_category": {}}


def test_labels_are_learnt_in_the_order_in_which_they_became_known(table: Table) -> None:
    few = table.take(np.arange(3))
    rows = dataclasses.replace(
        few,
        positive=np.array([True, False, True]),
        waited=np.array([6.5, np.nan, 1.0]),
        weight=np.array([1.0, 1.0, 1.0]),
        day=np.array([0, 0, 2]),
    )
    assert in_order_of_labels(rows, 7).tolist() == [2, 0, 1]
    unknown = dataclasses.replace(rows, weight=np.array([1.0, 1.0, 0.0]))
    assert in_order_of_labels(unknown, 7).tolist() == [0, 1]


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1}'])
def test_a_state_that_cannot_be_read_says_what_to_do(text: str) -> None:
    with pytest.raises(BrokenState, match="learn anew"):
        OnlineLearner.from_json(text)
