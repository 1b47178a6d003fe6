"""How far two distributions are apart, and how likely chance alone would bring them as far."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

from lamina.monitoring.drift.distributions import Floats, Numbers, Texts

PSI_FLOOR = 0.0001
"""What the share of an empty bin counts as, as in Evidently: with none, one such bin makes any index."""
PSI_BINS = 10


def kolmogorov_smirnov(reference: Numbers, current: Numbers) -> float:
    """The largest distance between the two cumulative shares, 0 to 1; NaN where one has no values."""
    if not (reference.count and current.count):
        return math.nan
    at = np.union1d(reference.values, current.values)
    return float(np.abs(reference.share_at_most(at) - current.share_at_most(at)).max())


def kolmogorov_smirnov_p(statistic: float, n: int, m: int) -> float:
    """How likely samples of `n` and `m` values of one distribution are at least so far apart.

    As `scipy.stats.ks_2samp(..., method="asymp")`, from the statistic.
    """
    return float(np.clip(stats.kstwo.sf(max(statistic, 0.0), round(n * m / (n + m))), 0, 1))


def bin_edges(reference: Numbers, bins: int = PSI_BINS) -> Floats:
    """The inner edges of bins that each hold as many of the reference's values; fewer where values repeat."""
    return np.unique(reference.quantiles(np.arange(1, bins) / bins))


def binned(column: Numbers, edges: Floats) -> Floats:
    """The shares of the values up to each edge, and beyond the last."""
    return np.diff(np.concatenate(([0.0], column.share_at_most(edges), [1.0])))


def population_stability(reference: Floats, current: Floats, floor: float = PSI_FLOOR) -> float:
    """The population stability index of two lists of shares of the same bins: sum of (c - r) ln(c / r).

    >>> round(population_stability(np.array([0.5, 0.5]), np.array([0.6, 0.4])), 4)
    0.0405
    """
    r, c = np.maximum(reference, floor), np.maximum(current, floor)
    return float(((c - r) * np.log(c / r)).sum())


def aligned(reference: Texts, current: Texts) -> tuple[Floats, Floats]:
    """The shares of each text in both, and of all others last; float64[texts + 1]."""
    names = sorted({*reference.counts, *current.counts})
    both = [
        np.array([*(column.counts.get(name, 0) for name in names), column.others], np.float64) / max(column.count, 1)
        for column in (reference, current)
    ]
    return both[0], both[1]


def closer(reference: Floats, current: Floats, error: float) -> Floats:
    """`current` with each share moved towards the reference's by up to `error`: what is certain of the difference."""
    moved: Floats = reference + np.sign(current - reference) * np.maximum(np.abs(current - reference) - error, 0)
    return moved


def jensen_shannon(reference: Floats, current: Floats) -> float:
    """The Jensen-Shannon distance to base 2 of two lists of shares, 0 to 1."""
    return float(np.nan_to_num(jensenshannon(reference, current, base=2)))


def chi_square_p(reference: Floats, current: Floats, n: int, m: int) -> float:
    """How likely samples of `n` and `m` rows of one distribution differ at least so much, by Pearson's statistic.

    Of texts that are expected fewer than 5 times in one of the samples all are taken together, as the statistic wants.
    """
    expected = (n * reference + m * current) / (n + m)
    rare = expected * min(n, m) < 5
    r, c = (np.append(shares[~rare], shares[rare].sum()) for shares in (reference, current))
    pooled = (n * r + m * c) / (n + m)
    kept = pooled > 0
    freedom = int(kept.sum()) - 1
    if freedom < 1:
        return 1.0
    statistic = n * m / (n + m) * float(((r - c)[kept] ** 2 / pooled[kept]).sum())
    return float(stats.chi2.sf(statistic, freedom))


def shares_p(reference: float, n: float, current: float, m: float, dispersion: float = 1.0) -> float:
    """How likely samples of `n` and `m` rows differ in a share as much, by the normal approximation, two-sided.

    Args: dispersion: how many times the variance of the shares is that of independent rows.
    """
    pooled = (n * reference + m * current) / (n + m)
    variance = dispersion * pooled * (1 - pooled) * (1 / n + 1 / m)
    if variance == 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(current - reference) / math.sqrt(variance)))
