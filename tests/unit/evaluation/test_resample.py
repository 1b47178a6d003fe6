from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from lamina.evaluation.metrics import Floats, Outcomes
from lamina.evaluation.resample import Ranking, differences

ROWS, USERS = 2000, 300


def drawn(seed: int, noise: float) -> tuple[Outcomes, Floats]:
    """Outcomes scored well, and scores of the same rows by a model with so much more noise."""
    rng = np.random.default_rng(seed)
    fraud = rng.random(ROWS) < 0.05
    score = fraud + rng.normal(0, 0.6, ROWS)
    user = np.array([f"u{n}" for n in rng.integers(0, USERS, ROWS)], dtype=object)
    outcomes = Outcomes(fraud, score, user, np.zeros(ROWS, np.int64))
    return outcomes, score + rng.normal(0, noise, ROWS)


@pytest.mark.parametrize("seed", range(5))
def test_weighed_figures_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fraud, score = rng.random(500) < 0.1, rng.integers(0, 40, 500) / 40  # many ties
    weight = rng.integers(0, 4, 500).astype(np.float64)
    expected = [f(fraud, score, sample_weight=weight) for f in (average_precision_score, roc_auc_score)]
    assert Ranking.of(fraud, score).figures(weight) == pytest.approx(expected, abs=1e-12)


def test_a_model_is_as_good_as_itself() -> None:
    outcomes, _ = drawn(0, 0.0)
    for found in differences(outcomes, outcomes.score, resamples=50).values():
        assert (found.low, found.difference, found.high) == (0.0, 0.0, 0.0)


def test_a_clear_gain_is_sure_and_a_small_one_is_not() -> None:
    outcomes, worse = drawn(1, 1.0)
    clear = differences(outcomes, worse, resamples=200)["average_precision"]
    assert 0 < clear.low < clear.difference < clear.high
    outcomes, alike = drawn(2, 0.05)
    small = differences(outcomes, alike, resamples=200)["average_precision"]
    assert small.low < 0 < small.high
    turned = differences(Outcomes(**{**vars(outcomes), "score": alike}), outcomes.score, resamples=200)
    assert turned["average_precision"].low == pytest.approx(-small.high)


def test_the_same_seed_draws_the_same_users() -> None:
    outcomes, worse = drawn(3, 0.3)
    first, second = (differences(outcomes, worse, seed=4, resamples=50) for _ in range(2))
    assert first == second


def test_the_interval_is_as_wide_as_users_differ_not_as_rows_do() -> None:
    """Every row tenfold is no more evidence: rows of one user stay together."""
    outcomes, worse = drawn(5, 0.5)
    tenfold = Outcomes(**{name: np.repeat(values, 10) for name, values in vars(outcomes).items()})
    once = differences(outcomes, worse, resamples=200)["auc"]
    often = differences(tenfold, np.repeat(worse, 10), resamples=200)["auc"]
    assert often.high - often.low == pytest.approx(once.high - once.low)


def test_draws_without_frauds_show_no_difference() -> None:
    outcomes, worse = drawn(6, 1.0)
    one = np.zeros(ROWS, bool)
    one[0] = True
    found = differences(Outcomes(**{**vars(outcomes), "positive": one}), worse, resamples=100)["auc"]
    assert found.low <= 0 <= found.high
