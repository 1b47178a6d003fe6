"""AUC with its variance, for rows that are not independent of each other: those of one user, say.

Variance by DeLong et al. (1988), added up by unit as in Obuchowski (1997). A fall counts beside what chance does to the
AUC now and did to the baseline's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lamina.monitoring.drift.distributions import Floats

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Ranking:
    """How well scores tell positive rows from negative ones. variance: of the AUC. positives: how many there were."""

    auc: float
    variance: float
    positives: int
    rows: int


def measure_ranking(positive: Flags, score: Floats, unit: NDArray[Any]) -> Ranking | None:
    """The AUC of rows, bool[n] and float64[n], `unit` [n] whom each is about; None where all are of one kind.

    >>> found = measure_ranking(np.array([False, True, False, True]), np.array([0.1, 0.9, 0.4, 0.3]), np.arange(4))
    >>> found.auc, found.positives
    (0.75, 2)
    """
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not (ones and zeros):
        return None
    rank = np.sort(score[~positive]), np.sort(score[positive])
    above = share_below(rank[0], score[positive])
    below = 1 - share_below(rank[1], score[~positive])
    auc = float(above.mean())
    _, place = np.unique(unit, return_inverse=True)
    units = int(place.max()) + 1
    # Of each unit, how far its positive rows, and its negative ones, are from the mean.
    a = np.bincount(place[positive], above - auc, units) / ones
    b = np.bincount(place[~positive], below - auc, units) / zeros
    with_ones = max(len(np.unique(place[positive])), 2)
    with_zeros = max(len(np.unique(place[~positive])), 2)
    variance = (
        with_ones / (with_ones - 1) * (a**2).sum()
        + with_zeros / (with_zeros - 1) * (b**2).sum()
        + 2 * units / max(units - 1, 1) * (a * b).sum()
    )
    return Ranking(auc, max(float(variance), 0.0), ones, ones + zeros)


def share_below(ascending: Floats, values: Floats) -> Floats:
    """For each value the share of the others below it, ties counting half."""
    low, high = (np.searchsorted(ascending, values, side=side) for side in ("left", "right"))
    shares: Floats = (low + high) / (2 * len(ascending))
    return shares


def fall_p(baseline: Ranking, now: Ranking) -> float:
    """How likely chance alone gives an AUC so far below the baseline's, by the normal approximation, one-sided."""
    deviation = math.sqrt(baseline.variance + now.variance)
    fall = baseline.auc - now.auc
    if deviation == 0:
        return float(fall <= 0)
    return float(stats.norm.sf(fall / deviation))
