"""Draws weigh units, and every figure is what it is with each row counted as often as its unit was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, precision_score, recall_score, roc_auc_score

from lamina.evaluation.resample import owners
from lamina.monitoring.figures import NAMES, Weighed, measure

ROWS, UNITS = 600, 90


@pytest.mark.parametrize(("share", "levels"), [(0.1, 25), (0.1, 10_000), (0.6, 6), (0.02, 3)])
def test_figures_of_draws_are_those_of_rows_that_are_there_so_often(share: float, levels: int) -> None:
    rng = np.random.default_rng(levels)
    positive, score = rng.random(ROWS) < share, rng.integers(1, levels, ROWS) / levels
    flagged, counts = (rng.random(ROWS) < 0.3).astype(np.float64), rng.choice([1.0, 1.0, 8.0], ROWS)
    unit = np.array([f"u{n}" for n in rng.integers(0, UNITS, ROWS)], object)
    units, owner = owners(unit)
    draws = rng.integers(0, 4, (7, units)).astype(np.float64)
    found = Weighed.of(positive, score, flagged, counts).by_unit(units, owner)(draws)
    for i, draw in enumerate(draws):
        weight = draw[owner]
        expected = {
            "auc": roc_auc_score(positive, score, sample_weight=weight),
            "average_precision": average_precision_score(positive, score, sample_weight=weight),
            "log_loss": log_loss(positive, score, sample_weight=weight, labels=[False, True]),
            "accuracy": np.average((score >= 0.5) == positive, weights=weight),
            "precision": precision_score(positive, flagged > 0, sample_weight=weight * counts),
            "recall": recall_score(positive, flagged > 0, sample_weight=weight * counts),
        }
        got = dict(zip(NAMES, found[:, i], strict=True))
        assert {name: got[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_draws_without_a_kind_have_no_ranking_and_those_without_an_action_no_precision() -> None:
    positive, score = np.array([True, False, False]), np.array([0.9, 0.4, 0.1])
    figures = Weighed.of(positive, score, np.array([1.0, 0.0, 0.0]), np.ones(3)).by_unit(3, np.arange(3))
    found = figures(np.array([[0.0, 1.0, 1.0], [2.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    named = dict(zip(NAMES, found, strict=True))
    for name in ("auc", "average_precision"):
        np.testing.assert_array_equal(np.isnan(named[name]), [True, True, False])
    np.testing.assert_array_equal(np.isnan(named["precision"]), [True, False, False])
    nobody = measure(Weighed.of(positive, score, np.full(3, np.nan), np.ones(3)), np.arange(3))
    assert not {"precision", "recall"} & set(nobody) and nobody["auc"].value == 1.0
