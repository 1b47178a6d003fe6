"""Scores that mean what they say: a line through log-odds (Platt), fitted on rows whose user the model had not seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lamina.evaluation.metrics import Flags, Floats, Texts
from lamina.scoring.checked import all_finite
from lamina.scoring.trees_spec import Calibration, Ensemble, correct
from lamina.training.fit import Parameters, fit, under_sample

FOLDS = 3
FEWEST_FRAUDS = 20
"""A line from fewer says nothing: the scores stay as they are."""
SMALLEST = 1e-9


def held_out_scores(
    matrix: NDArray[np.float32],
    fraud: Flags,
    user: Texts,
    *,
    negatives_per_positive: int,
    seed: int,
    threads: int,
    weight: Floats | None = None,
    parameters: Mapping[str, Parameters] | None = None,
) -> Floats:
    """float64[n]: each row's probability by models that learnt from the other users' rows, corrected for sampling.

    Raises: BadScore: when one of them is no finite number: no line through such scores says anything.

    Args: matrix: float32[n, inputs]; fraud: bool[n]; user: ids [n]; weight, parameters: as in `fit`.
    """
    weights = Ensemble()
    users, owner = np.unique(user.astype(str), return_inverse=True)
    fold = np.random.default_rng(seed).integers(0, FOLDS, len(users))[owner]
    names = tuple(f"f{i}" for i in range(matrix.shape[1]))
    found = np.empty(len(fraud))
    for held in range(FOLDS):
        others, own = np.flatnonzero(fold != held), fold == held
        sample = under_sample(fraud[others], negatives_per_positive, seed)
        rows = others[sample.rows]
        members = fit(
            matrix[rows],
            fraud[rows],
            names,
            seed=seed,
            threads=threads,
            weight=None if weight is None else weight[rows],
            parameters=parameters,
        )
        trees = members.trees.inplace_predict(matrix[own], validate_features=False).astype(np.float64)
        leaves = np.asarray(members.leaves.predict(matrix[own], num_threads=threads))
        found[own] = correct(weights.xgboost * trees + weights.lightgbm * leaves, sample.negatives_kept)
    return all_finite(found, len(fraud))


def fit_calibration(fraud: Flags, score: Floats, weight: Floats | None = None) -> Calibration | None:
    """The line by which the log-odds of `score`, float64[n], become those of the truth, rows counted by `weight`.

    None when there are too few frauds, or when higher scores would mean less fraud.
    """
    if fraud.sum() < FEWEST_FRAUDS or fraud.all():
        return None
    p = np.clip(score, SMALLEST, 1 - SMALLEST)
    line = LogisticRegression(C=np.inf).fit(np.log(p / (1 - p))[:, None], fraud, sample_weight=weight)
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    return Calibration(slope=slope, intercept=intercept) if slope > 0 else None
