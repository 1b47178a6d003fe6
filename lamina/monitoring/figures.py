"""Figures of scored rows whose truth is known, each with the interval in which it lies by the data.

`auc`, `average_precision`, `log_loss`, `accuracy` and `calibration_error` count every row once, as the evaluation of a
new version does, so that both can be compared. `precision` and `recall` are those of what the system did, and count a
row that chance let through for all those like it: without, the rows that it declined would be missing from both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from lamina.evaluation.metrics import EVEN, Flags, Floats, Ints, Texts
from lamina.evaluation.resample import CONFIDENCE, Ranking, drawn
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
    """Scored rows, to take figures of with any weights. One array each, see `Weighed.of`."""

    ranking: Ranking
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
        ranking = Ranking.of(positive, score)
        # A probability of 0 or 1 that is wrong has an infinite loss; scikit-learn's bound makes it a large one.
        sure = np.finfo(np.float64).eps
        given = np.clip(np.where(positive, score, 1 - score), sure, 1 - sure)
        band = np.empty(len(score), np.int64)
        band[ranking.order] = np.arange(len(score)) * BANDS // len(score)
        return cls(
            ranking=ranking,
            positive=positive.astype(np.float64),
            score=score,
            loss=-np.log(given),
            right=((score >= EVEN) == positive).astype(np.float64),
            flagged=flagged,
            counts=counts,
            band=band,
        )

    def figures(self, weight: Floats) -> Floats:
        """float64[7], in the order of `NAMES`, with row i counted `weight[i]` times; NaN what cannot be had."""
        with np.errstate(divide="ignore", invalid="ignore"):
            total = weight.sum()
            precision, auc = self.ranking.figures(weight)
            off = np.bincount(self.band, weight * (self.score - self.positive), BANDS)
            acted = weight * self.counts
            hits = (acted * self.flagged * self.positive).sum()
            return np.array(
                [
                    auc,
                    precision,
                    (weight @ self.loss) / total,
                    np.abs(off).sum() / total,
                    (weight @ self.right) / total,
                    hits / (acted * self.flagged).sum(),
                    hits / (acted * self.positive).sum(),
                ]
            )


def measure(rows: Weighed, unit: Texts, *, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Figure]:
    """Every figure that these rows have, by name, with the interval over draws of units.

    Args: unit: ids [n] of whom each row is about; the rows of one are drawn together.
    """
    values = rows.figures(np.ones(len(unit)))
    several = len(np.unique(unit.astype(str))) > 1

    def told(weight: Floats) -> Floats:
        return np.nan_to_num(rows.figures(weight), nan=UNDEFINED)

    draws = drawn(unit, told, seed=seed, resamples=resamples).bootstrap_distribution if several else None
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
