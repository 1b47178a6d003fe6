"""How good one head of a ranker is: figures of probabilities, and of quantities such as seconds."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import log_loss, roc_auc_score

from lamina.evaluation.metrics import Flags, Floats, Ints
from lamina.scoring.ranker.heads import HeadKind

BANDS = 10
SMALLEST = 1e-9


def head_figures(kind: HeadKind, truth: Floats, value: Floats, weight: Floats) -> dict[str, float]:
    """Figures of a head's values, float64[n], by what became of the rows, float64[n], NaN where that is not known.

    binary: auc, log_loss, calibration_error. quantity: mean_error (mean size of an error, in its unit),
    rank_correlation (Spearman's, rows counted alike), mean_ratio (mean of the values by that of the truth), and
    calibration_error by the mean of the truth.

    Args: weight: float64[n], for how many rows each counts.
    Raises: ValueError: nothing is known, or all rows are alike, so that nothing can be told apart.
    """
    known = ~np.isnan(truth)
    truth, value, weight = truth[known], value[known], weight[known]
    if not len(truth) or (truth == truth[0]).all():
        raise ValueError(f"{len(truth)} rows with a truth, all alike: rows that differ are needed")
    if kind == "binary":
        clipped = np.clip(value, SMALLEST, 1 - SMALLEST)
        return {
            "auc": float(roc_auc_score(truth, value, sample_weight=weight)),
            "log_loss": float(log_loss(truth, clipped, sample_weight=weight)),
            "calibration_error": calibration_error(truth, value, weight),
        }
    mean = float(np.average(truth, weights=weight))
    return {
        "mean_error": float(np.average(np.abs(truth - value), weights=weight)),
        "rank_correlation": float(spearmanr(truth, value).statistic),
        "mean_ratio": float(np.average(value, weights=weight)) / mean,
        "calibration_error": calibration_error(truth, value, weight) / mean,
    }


def calibration_error(truth: Floats, value: Floats, weight: Floats) -> float:
    """Mean difference, in size, between what was said and what was, over ten bands of as many rows each by value.

    Chance leaves some: of 1,000 rows at a probability of 0.1, about 0.02.

    >>> calibration_error(np.array([0.0, 1.0]), np.array([0.25, 0.75]), np.ones(2))
    0.25
    """
    total = 0.0
    for rows in np.array_split(np.argsort(value, kind="stable"), min(BANDS, len(value))):
        total += abs(float(((value[rows] - truth[rows]) * weight[rows]).sum()))
    return total / float(weight.sum())


def auc_within(positive: Flags, score: Floats, position: Ints) -> float:
    """How likely a positive row scores above another that was shown at the same position; ties count half.

    Over all rows, a score that says again what the policy before it said is rewarded: what was shown high was clicked.

    >>> shown = np.array([1, 1, 2, 2])
    >>> auc_within(np.array([True, False, True, False]), np.array([0.2, 0.1, 0.9, 0.8]), shown)
    1.0

    Raises: ValueError: at no position there are rows of both kinds.
    """
    right = pairs = 0.0
    for place in np.unique(position):
        rows = position == place
        count = float(positive[rows].sum()) * float((~positive[rows]).sum())
        if count:
            right += count * float(roc_auc_score(positive[rows], score[rows]))
            pairs += count
    if not pairs:
        raise ValueError("at no position there are rows of both kinds")
    return right / pairs
