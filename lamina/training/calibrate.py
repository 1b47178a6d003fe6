"""Scores that mean what they say: a line through log-odds (Platt), fitted on rows whose unit the model had not seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lamina.evaluation.metrics import Flags, Floats, Texts
from lamina.scoring.checked import all_finite
from lamina.scoring.trees_spec import Calibration, Ensemble, correct
from lamina.training.fit import fit, under_sample
from lamina.training.recipe import Parameters

FOLDS = 3
FEWEST_POSITIVES = 20
"""A line from fewer says nothing: the scores stay as they are."""
SMALLEST = 1e-9


def held_out_scores(
    matrix: NDArray[np.float32],
    positive: Flags,
    unit: Texts,
    *,
    negatives_per_positive: int,
    seed: int,
    threads: int,
    parameters: Mapping[str, Parameters],
    weight: Floats | None = None,
) -> Floats:
    """float64[n]: each row's probability by models that learnt from the other units' rows, corrected for sampling.

    Raises: BadScore: when one of them is no finite number: no line through such scores says anything.

    Args: matrix: float32[n, inputs]; positive: bool[n]; unit: ids [n]; weight, parameters: as in `fit`.
    """
    weights = Ensemble()
    units, owner = np.unique(unit.astype(str), return_inverse=True)
    fold = np.random.default_rng(seed).integers(0, FOLDS, len(units))[owner]
    names = tuple(f"f{i}" for i in range(matrix.shape[1]))
    found = np.empty(len(positive))
    for held in range(FOLDS):
        others, own = np.flatnonzero(fold != held), fold == held
        sample = under_sample(positive[others], negatives_per_positive, seed)
        rows = others[sample.rows]
        members = fit(
            matrix[rows],
            positive[rows],
            names,
            seed=seed,
            threads=threads,
            weight=None if weight is None else weight[rows],
            parameters=parameters,
        )
        trees = members.trees.inplace_predict(matrix[own], validate_features=False).astype(np.float64)
        leaves = np.asarray(members.leaves.predict(matrix[own], num_threads=threads))
        found[own] = correct(weights.xgboost * trees + weights.lightgbm * leaves, sample.negatives_kept)
    return all_finite(found, len(positive))


def fit_calibration(positive: Flags, score: Floats, weight: Floats | None = None) -> Calibration | None:
    """The line by which the log-odds of `score`, float64[n], become those of the truth, rows counted by `weight`.

    None when there are too few positive rows, or when higher scores would mean fewer of them.
    """
    if positive.sum() < FEWEST_POSITIVES or positive.all():
        return None
    p = np.clip(score, SMALLEST, 1 - SMALLEST)
    line = LogisticRegression(C=np.inf).fit(np.log(p / (1 - p))[:, None], positive, sample_weight=weight)
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    return Calibration(slope=slope, intercept=intercept) if slope > 0 else None
