"""Estimates without labels are NannyML's, within what it rounds; and they say when they cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from lamina.monitoring.cbpe import Estimator, calibration_error, expected, needs_calibration
from tests.data.nannyml.cases import CASES, CHUNK, CHUNKS, REFERENCE, Case

ANSWERS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "nannyml" / "cbpe.json").read_text(encoding="utf-8")
)["cases"]
THEIRS = {"auc": "roc_auc"}
ROUNDED = 2e-6
"""NannyML rounds its running sums to five places, over chunks of 1,500 rows."""


def estimator_of(case: Case) -> Estimator:
    first = slice(0, REFERENCE)
    return Estimator.of(case.positive[first], case.score[first], case.flagged[first].astype(np.float64))


def chunk_of(n: int) -> slice:
    return slice(REFERENCE + n * CHUNK, REFERENCE + (n + 1) * CHUNK)


@pytest.mark.parametrize("name", CASES)
def test_every_figure_and_band_is_that_of_nannyml(name: str) -> None:
    case, answer = CASES[name], ANSWERS[name]
    estimator = estimator_of(case)
    assert (estimator.calibrate is not None) == answer["needs_calibration"]
    for n in range(CHUNKS):
        rows = chunk_of(n)
        found = estimator.estimate(case.score[rows], case.flagged[rows].astype(np.float64))
        assert set(found) == {"auc", "average_precision", "f1", "precision", "recall", "accuracy"}
        for metric, ours in found.items():
            theirs = answer["chunks"][n][THEIRS.get(metric, metric)]
            assert ours.value == pytest.approx(theirs["value"], abs=ROUNDED), (n, metric)
            if metric == "average_precision":  # both draw 50 samples of the reference, each its own
                assert ours.sampling_error == pytest.approx(theirs["sampling_error"], rel=0.45)
                continue
            assert ours.sampling_error == pytest.approx(theirs["sampling_error"], rel=1e-6), (n, metric)
            assert ours.low == pytest.approx(theirs["lower_confidence_boundary"], abs=ROUNDED)
            assert ours.high == pytest.approx(min(theirs["upper_confidence_boundary"], 1.0), abs=ROUNDED)


@pytest.mark.parametrize("name", CASES)
def test_what_was_asked_is_what_was_answered(name: str) -> None:
    """The seeded rows are the ones that NannyML saw: their realised AUC is the same to the last digit."""
    case = CASES[name]
    for n in range(CHUNKS):
        rows = chunk_of(n)
        realised = ANSWERS[name]["chunks"][n]
        assert roc_auc_score(case.positive[rows], case.score[rows]) == pytest.approx(
            realised["roc_auc"]["realized"], abs=1e-12
        )
        found = average_precision_score(case.positive[rows], case.score[rows])
        assert found == pytest.approx(realised["average_precision"]["realized"], abs=1e-12)


def test_scores_that_say_too_little_are_calibrated_first() -> None:
    case = CASES["overdrawn"]
    rows = chunk_of(1)
    raw = expected(case.score[rows], case.score[rows], case.flagged[rows])
    found = estimator_of(case).estimate(case.score[rows], case.flagged[rows].astype(np.float64))
    truth = ANSWERS["overdrawn"]["chunks"][1]["recall"]["realized"]
    assert abs(found["recall"].value - truth) < 0.03 < abs(raw["recall"] - truth)


def test_the_band_holds_the_truth_where_positives_are_rare() -> None:
    # With as many of either kind it is too narrow, NannyML's as well: it counts how one kind varies alone.
    case = CASES["rare"]
    estimator = estimator_of(case)
    for n in range(CHUNKS):
        rows = chunk_of(n)
        auc = estimator.estimate(case.score[rows], case.flagged[rows].astype(np.float64))["auc"]
        assert auc.low < roc_auc_score(case.positive[rows], case.score[rows]) < auc.high


def test_calibration_is_not_asked_for_where_it_cannot_help() -> None:
    positive = np.arange(200) >= 100
    assert not needs_calibration(positive, np.where(positive, 0.6, 0.1))
    assert not needs_calibration(np.ones(50, bool), np.full(50, 0.2))
    assert calibration_error(positive, positive.astype(np.float64)) == 0.0


def test_what_cannot_be_had_is_left_out() -> None:
    case = CASES["calibrated"]
    estimator = estimator_of(case)
    found = estimator.estimate(case.score[chunk_of(0)], np.zeros(CHUNK))
    assert "precision" not in found and found["recall"].value == 0.0
    nobody = Estimator.of(case.positive[:REFERENCE], case.score[:REFERENCE], np.zeros(REFERENCE))
    assert "precision" not in nobody.estimate(case.score[:100], np.ones(100))
    sure = expected(np.ones(5), np.ones(5), np.ones(5, bool))
    assert np.isnan(sure["auc"]) and sure["precision"] == sure["recall"] == 1.0


def test_the_same_rows_have_the_same_estimate() -> None:
    case = CASES["rare"]
    first, second = (estimator_of(case).spreads for _ in range(2))
    assert first == second


def test_where_most_are_positive_the_rarer_kind_says_how_sure_an_auc_is() -> None:
    case = CASES["rare"]
    rare = Estimator.of(case.positive, case.score, case.flagged.astype(float)).spreads["auc"]
    turned = Estimator.of(~case.positive, 1 - case.score, 1 - case.flagged.astype(float)).spreads["auc"]
    assert (turned.deviation, turned.share) == pytest.approx((rare.deviation, rare.share))
