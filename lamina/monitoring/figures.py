"""Figures of scored rows whose truth is known, each with the interval in which it lies by the data.

`auc`, `average_precision`, `log_loss`, `accuracy` and `calibration_error` count every row once, as the evaluation of a
new version does, so that both can be compared. `precision` and `recall` are those of what the system did, and count a
row that chance let through for all those like it: without, the rows that it declined would be missing from both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import coo_array

from lamina.evaluation.metrics import EVEN, Flags, Floats, Ints, Texts
from lamina.evaluation.resample import CONFIDENCE, drawn_units, owners
from lamina.monitoring.forms import Figure

NAMES = ("auc", "average_precision", "log_loss", "calibration_error", "accuracy", "precision", "recall")
BANDS = 10
"""Bands of the score, with equally many rows each, over which the calibration error is taken."""
RESAMPLES = 400
UNDEFINED = -1.0
"""Stands for a figure that a draw has not, as SciPy warns of what is no number; no figure is negative."""
MOST_UNDEFINED = 0.05
"""An interval is given when a figure can be had in all but this share of the draws."""


@dataclass(frozen=True)
class Weighed:
    """Scored rows, to take figures of with any weights. One array each, see `Weighed.of`.

    segment: int64[n], from the highest score down. One is the rows of a score that positive ones have, or all the
    others between two of these: how those are ranked among each other changes no figure.
    """

    segment: Ints
    positive: Floats
    score: Floats
    loss: Floats
    right: Floats
    flagged: Floats
    counts: Floats
    band: Ints

    @classmethod
    def of(cls, positive: Flags, score: Floats, flagged: Floats, counts: Floats) -> Self:
        """Rows of bool[n] and float64[n].

        Args: flagged: 1 where the system took it for positive, 0 where not, NaN where it did nothing; counts: for how
        many rows each stands in precision and recall.
        """
        order = np.argsort(-score, kind="stable")
        # A probability of 0 or 1 that is wrong has an infinite loss; scikit-learn's bound makes it a large one.
        sure = np.finfo(np.float64).eps
        given = np.clip(np.where(positive, score, 1 - score), sure, 1 - sure)
        band = np.empty(len(score), np.int64)
        band[order] = np.arange(len(score)) * BANDS // len(score)
        return cls(
            segment=_segments(positive, score, order),
            positive=positive.astype(np.float64),
            score=score,
            loss=-np.log(given),
            right=((score >= EVEN) == positive).astype(np.float64),
            flagged=flagged,
            counts=counts,
            band=band,
        )

    def by_unit(self, units: int, owner: Ints) -> Callable[[Floats], Floats]:
        """Gives the figures, float64[7, draws] in the order of `NAMES`, of rows that count as often as their units were
        drawn, float64[draws, units]; NaN what cannot be had.

        Args: owner: int64[n], the unit of each row. Every figure is made of sums over rows, and these of sums over each
        unit's: with them a draw is one product of matrices.
        """
        ranked, n = int(self.segment.max()) + 1, len(self.score)
        acted = self.counts * self.flagged
        summed = (self.loss, self.right, acted * self.positive, acted, self.counts * self.positive)
        places = [self.segment, self.segment + ranked, 2 * ranked + self.band]
        values = [np.ones(n), self.positive, self.score - self.positive]
        for i, value in enumerate(summed):
            places.append(np.full(n, 2 * ranked + BANDS + i))
            values.append(value)
        where = (np.concatenate(places), np.tile(owner, len(places)))
        sums = coo_array((np.concatenate(values), where), shape=(2 * ranked + BANDS + len(summed), units)).tocsr()
        return lambda counts: _figures(sums @ counts.T, ranked)


def _segments(positive: Flags, score: Floats, order: Ints) -> Ints:
    ranked = score[order]
    _, tie = np.unique(-ranked, return_inverse=True)
    held = (np.bincount(tie, positive[order]) > 0)[tie]
    begins = np.append(True, (held[1:] != held[:-1]) | (held[1:] & (tie[1:] != tie[:-1])))
    found = np.empty(len(score), np.int64)
    found[order] = np.cumsum(begins) - 1
    return found


def _figures(sums: Floats, ranked: int) -> Floats:
    """Figures from the sums of draws, float64[terms, draws], in the order that `Weighed.by_unit` has them in."""
    total, positive = sums[:ranked], sums[ranked : 2 * ranked]
    off, (loss, right, hits, acted, relevant) = sums[2 * ranked : 2 * ranked + BANDS], sums[2 * ranked + BANDS :]
    found, flagged = np.cumsum(positive, axis=0), np.cumsum(total, axis=0)
    rows, others = flagged[-1], flagged[-1] - found[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # By scikit-learn's definitions; nothing is flagged only where nothing is found.
        precision = (positive * (found / np.maximum(flagged, 1.0))).sum(axis=0) / found[-1]
        auc = ((total - positive) * (found - positive / 2)).sum(axis=0) / (found[-1] * others)
        calibration = np.abs(off).sum(axis=0) / rows
        both = np.where((found[-1] > 0) & (others > 0), 1.0, np.nan)
        return np.array(
            [auc * both, precision * both, loss / rows, calibration, right / rows, hits / acted, hits / relevant]
        )


def measure(rows: Weighed, unit: Texts | Ints, *, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Figure]:
    """Every figure that these rows have, by name, with the interval over draws of units.

    Args: unit: ids [n] of whom each row is about; the rows of one are drawn together.
    """
    units, owner = owners(unit)
    figures = rows.by_unit(units, owner)
    values = figures(np.ones((1, units)))[:, 0]

    def told(counts: Floats) -> Floats:
        return np.nan_to_num(figures(counts), nan=UNDEFINED)

    several = units > 1
    draws = drawn_units(units, told, seed=seed, resamples=resamples).bootstrap_distribution if several else None
    found = {}
    for i, name in enumerate(NAMES):
        if not np.isnan(values[i]):
            low, high = (None, None) if draws is None else interval(np.where(draws[i] == UNDEFINED, np.nan, draws[i]))
            found[name] = Figure(value=float(values[i]), low=low, high=high)
    return found


def interval(draws: Floats) -> tuple[float | None, float | None]:
    """The ends between which the middle of the draws lies, of float64[n]; none where too many have no figure.

    >>> [round(end) for end in interval(np.arange(201.0))]
    [10, 190]
    >>> interval(np.array([0.5, np.nan]))
    (None, None)
    """
    if np.isnan(draws).mean() > MOST_UNDEFINED:
        return None, None
    low, high = np.nanquantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
