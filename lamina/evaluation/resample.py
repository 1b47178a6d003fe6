"""How sure the difference between two models is: a paired bootstrap over units, by SciPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from lamina.evaluation.metrics import Flags, Floats, Ints, Outcomes, Texts
from lamina.registry.evaluation import Interval

RESAMPLES = 1000
CONFIDENCE = 0.9
FIGURES = ("average_precision", "auc")


@dataclass(frozen=True)
class Ranking:
    """Rows from the highest score down, to weigh anew without sorting anew.

    order: int64[n], places of the rows. ends: places in `order` of the last row of each distinct score.
    """

    order: Ints
    ends: Ints
    positive: Floats

    @classmethod
    def of(cls, positive: Flags, score: Floats) -> Ranking:
        """The rows of bool[n] and float64[n], ranked."""
        order = np.argsort(-score, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
        return cls(order, ends, positive[order].astype(np.float64))

    def figures(self, weight: Floats) -> tuple[float, float]:
        """Average precision and AUC with row i counted `weight[i]` times, by scikit-learn's definitions.

        NaN without both kinds.

        >>> ranking = Ranking.of(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]))
        >>> [round(value, 3) for value in ranking.figures(np.ones(3))]
        [0.833, 0.5]
        """
        ranked = weight[self.order]
        found = np.cumsum(ranked * self.positive)[self.ends]
        flagged = np.cumsum(ranked)[self.ends]
        others = flagged - found
        if not found[-1] or not others[-1]:
            return float("nan"), float("nan")
        precision = found / np.maximum(flagged, 1.0)  # nothing is flagged only where nothing is found
        steps = np.diff(found, prepend=0.0)
        area = np.diff(others, prepend=0.0) @ (found - steps / 2)
        return float(steps @ precision / found[-1]), float(area / (found[-1] * others[-1]))


def differences(
    candidate: Outcomes, champion: Floats, *, seed: int = 0, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Mapping[str, Interval]:
    """By how much the candidate's average precision and AUC exceed the champion's, with percentile intervals.

    Units are drawn, with all their rows, since the rows of one unit are no independent evidence; both models see the
    same draw. A draw without positive rows shows no difference and counts as one of 0.

    Args: champion: float64[n], its scores of the candidate's rows.
    """
    first, second = (Ranking.of(candidate.positive, score) for score in (candidate.score, champion))

    def gained(weight: Floats) -> Floats:
        return np.nan_to_num(np.subtract(first.figures(weight), second.figures(weight)))

    found = drawn(candidate.unit, gained, seed=seed, resamples=resamples, confidence=confidence).confidence_interval
    points = gained(np.ones(len(candidate.unit)))
    return {
        name: Interval(difference=float(point), low=float(low), high=float(high), confidence=confidence)
        for name, point, low, high in zip(FIGURES, points, found.low, found.high, strict=True)
    }


def drawn(
    unit: Texts | Ints,
    figures: Callable[[Floats], Floats],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Any:
    """SciPy's bootstrap of `figures` over units, which are drawn with all their rows: as `drawn_units`.

    Args: unit: ids [n] of whom each row is about; figures: from how often each row counts, float64[n].
    """
    units, owner = owners(unit)

    def of_draws(counts: Floats) -> Floats:
        return np.array([figures(count[owner]) for count in counts]).T

    return drawn_units(units, of_draws, seed=seed, resamples=resamples, confidence=confidence)


def owners(unit: Texts | Ints) -> tuple[int, Ints]:
    """How many units there are, and for each row the place of its own among them, in order.

    >>> owners(np.array(["u-2", "u-1", "u-2"], dtype=object))
    (2, array([1, 0, 1]))
    """
    units, owner = np.unique(unit.astype(str) if unit.dtype == object else unit, return_inverse=True)
    return len(units), owner


def drawn_units(
    units: int,
    figures: Callable[[Floats], Floats],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Any:
    """SciPy's bootstrap over so many units: the percentile interval, and the distribution, float64[figures, resamples].

    Args: figures: float64[figures, draws] from how often each unit was drawn, float64[draws, units].
    """

    def of_draws(draws: Ints, axis: int) -> Floats:
        counts = np.array([np.bincount(draw, minlength=units) for draw in np.atleast_2d(draws)], np.float64)
        found = figures(counts)
        return found if draws.ndim > 1 else found[:, 0]

    return bootstrap(
        (np.arange(units),),
        of_draws,
        n_resamples=resamples,
        batch=64,
        vectorized=True,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
