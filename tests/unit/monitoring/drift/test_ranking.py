"""AUC and its variance: that of scikit-learn, and what happens again and again to rows drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lamina.monitoring.drift.ranking import Ranking, fall_p, measure_ranking

RNG = np.random.default_rng(8)


def drawn(units: int, each: int, sway: float) -> Ranking:
    """Rows of units, each of which has a level of its own that all its rows share."""
    unit = np.repeat(np.arange(units), each)
    positive = np.repeat(RNG.random(units) < 0.2, each)
    score = RNG.normal(0, 1, units * each) + np.repeat(RNG.normal(0, sway, units), each) + 1.5 * positive
    found = measure_ranking(positive, score, unit)
    assert found is not None
    return found


def test_auc_is_that_of_scikit_learn_with_ties() -> None:
    positive, score = RNG.random(500) < 0.3, RNG.integers(0, 9, 500).astype(np.float64)
    found = measure_ranking(positive, score, np.arange(500))
    assert found is not None and found.auc == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


@pytest.mark.parametrize(("each", "sway"), [(1, 0.0), (8, 1.0)], ids=["independent", "eight rows a unit"])
def test_the_variance_is_what_drawing_again_shows(each: int, sway: float) -> None:
    found = [drawn(200, each, sway) for _ in range(400)]
    seen = np.var([each.auc for each in found])
    assert np.mean([each.variance for each in found]) == pytest.approx(seen, rel=0.25)


def test_rows_of_one_kind_have_no_auc() -> None:
    assert measure_ranking(np.ones(3, bool), np.arange(3.0), np.arange(3)) is None
    assert measure_ranking(np.zeros(0, bool), np.zeros(0), np.zeros(0)) is None


def test_a_fall_is_judged_by_both_variances() -> None:
    baseline, now = Ranking(0.95, 0.0001, 100, 1000), Ranking(0.93, 0.0003, 100, 1000)
    assert fall_p(baseline, now) == pytest.approx(0.1587, abs=1e-4)
    assert fall_p(now, baseline) > 0.5
    assert (
        fall_p(Ranking(1, 0, 1, 2), Ranking(0.9, 0, 1, 2)) == 0
        and fall_p(Ranking(1, 0, 1, 2), Ranking(1, 0, 1, 2)) == 1
    )
