"""Margins of a head that mean what they say: a line through them, fitted on days that nothing was learnt from."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from lamina.errors import LaminaError
from lamina.evaluation.metrics import Floats
from lamina.scoring.ranker.heads import Head

FEWEST = 20
"""Rows that are not 0: a line from fewer says nothing."""
EXACT = 1e-8
FLAT = 1e-6
"""Deviation of margins from which on they tell rows apart."""


class NothingLearnt(LaminaError):
    """A head that tells rows apart no better than chance, or that too little is known of."""


def fit_line(head: Head, margin: Floats, truth: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and intercept by which margins become log-odds of a binary head, and the logarithm of a quantity.

    Logistic regression for the one; for the other Poisson's likelihood with a logarithmic link, which asks for means
    alone: any truth from 0 on will do. By both, the mean of the values is that of the truth.

    Args: margin, truth, weight: float64[n] of the validation rows, at the positions where they were shown; truth is NaN
    where it is not known.
    Raises: NothingLearnt: names the head, and what is missing.
    """
    known = ~np.isnan(truth) & (weight > 0)
    margin, truth, weight = margin[known], truth[known], weight[known]
    if (truth > 0).sum() < FEWEST:
        raise NothingLearnt(
            f"head {head.name!r} has {(truth > 0).sum()} validation rows above 0, and needs {FEWEST}: give more "
            "days to choose by, or leave it out"
        )
    centre, spread = float(margin.mean()), float(margin.std())
    slope, intercept = _line(head, (margin - centre) / spread, truth, weight) if spread > FLAT else (0.0, 0.0)
    if not slope > 0:
        raise NothingLearnt(
            f"head {head.name!r} tells the validation rows apart no better than chance: give more rows or features, or "
            "leave it out"
        )
    return slope / spread, intercept - slope * centre / spread


def _line(head: Head, scaled: Floats, truth: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and intercept of margins whose mean is 0 and deviation 1, which is what the solvers are made for."""
    rows = scaled[:, None]
    if head.kind == "binary":
        odds = LogisticRegression(C=np.inf, tol=EXACT, max_iter=1000).fit(rows, truth > 0, sample_weight=weight)
        return float(odds.coef_[0, 0]), float(odds.intercept_[0])
    unit = float(np.average(truth, weights=weight))
    means = PoissonRegressor(alpha=0.0, tol=EXACT, max_iter=1000, solver="newton-cholesky")
    means.fit(rows, truth / unit, sample_weight=weight)
    return float(means.coef_[0]), float(means.intercept_) + float(np.log(unit))
