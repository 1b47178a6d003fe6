"""What the performance of a model probably is, before any label is known: confidence-based performance estimation.

A score that means what it says is the probability that its row is positive. So of 100 rows scored 0.2 that are flagged,
20 are expected to be hits and 80 false alarms; added up over all rows that gives each figure's expectation. It sees how
good the model *can* be on the rows that come now; that positives changed their ways, it cannot see.

The method, and the way that its sampling error is worked out, are those of NannyML (0.13.1, `CBPE`, binary
classification), whose answers the tests hold this to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit

from lamina.evaluation.metrics import Flags, Floats
from lamina.evaluation.resample import Ranking
from lamina.monitoring.drift.ranking import share_below
from lamina.monitoring.forms import Estimate

BAND = 3.0
"""A band reaches so many sampling errors to each side."""
SPLITS, HELD_OUT, BANDS = 10, 0.1, 10
"""How it is found out whether calibration helps: so many times on rows held out, over bands of equally many rows."""
PERFECT = 0.999
"""From this AUC on, calibration cannot help."""
DRAWS, LARGEST_DRAW = 50, 50_000
"""Draws of the reference by which the sampling error of average precision is found, and rows of each at most."""


@dataclass(frozen=True)
class Spread:
    """How far one row's share in a figure varies, and which share of all rows has one."""

    deviation: float
    share: float

    def error(self, rows: int) -> float:
        """The figure's standard deviation over samples of so many rows."""
        return self.deviation / float(np.sqrt(rows * self.share)) if self.share > 0 else float("nan")


@dataclass(frozen=True)
class Estimator:
    """What was learnt from reference rows, whose truth is known. calibrate: makes scores probabilities; None where they
    are probabilities as they are.
    """

    calibrate: Callable[[Floats], Floats] | None
    spreads: Mapping[str, Spread]

    @classmethod
    def of(cls, positive: Flags, score: Floats, flagged: Floats, *, seed: int = 0) -> Self:
        """Learnt from reference rows of both kinds.

        Args: positive: bool[n]; score: float64[n]; flagged: float64[n], 1 where the system took a row for positive.
        """
        calibrate = _isotonic(score, positive) if needs_calibration(positive, score) else None
        return cls(calibrate, _spreads(positive, score, flagged > 0, np.random.default_rng(seed)))

    def estimate(self, score: Floats, flagged: Floats) -> dict[str, Estimate]:
        """Figures of rows of which no label is known, by name, each with its band; without those that cannot be had.

        Args: score: float64[n]; flagged: as in `of`.
        """
        likely = score if self.calibrate is None else self.calibrate(score)
        found = {}
        for name, value in expected(likely, score, flagged > 0).items():
            error = self.spreads[name].error(len(score))
            if not np.isnan(value) and not np.isnan(error):
                low, high = max(value - BAND * error, 0.0), min(value + BAND * error, 1.0)
                found[name] = Estimate(value=value, sampling_error=error, low=low, high=high)
        return found


def expected(likely: Floats, score: Floats, flagged: Flags) -> dict[str, float]:
    """Each figure's expectation over rows that are positive with the probability `likely`, float64[n]; NaN what cannot
    be had. `score` ranks them.

    >>> found = expected(np.array([0.8, 0.5, 0.1]), np.array([0.9, 0.6, 0.2]), np.array([True, True, False]))
    >>> {name: round(found[name], 3) for name in ("precision", "recall", "accuracy")}
    {'precision': 0.65, 'recall': 0.929, 'accuracy': 0.733}
    """
    likely = np.clip(likely, 0.0, 1.0)
    hits, alarms, positives = float(likely[flagged].sum()), float(flagged.sum()), float(likely.sum())
    right = hits + float((1 - likely[~flagged]).sum())
    kinds = positives > 0 and positives < len(likely)
    # Each row once as positive and once as not, for as much as it is likely to be.
    truth, weight = np.repeat([1, 0], len(likely)), np.concatenate([likely, 1 - likely])
    twice = np.concatenate([score, score])
    return {
        "auc": float(roc_auc_score(truth, twice, sample_weight=weight)) if kinds else float("nan"),
        "average_precision": float(average_precision_score(truth, twice, sample_weight=weight))
        if kinds
        else float("nan"),
        "f1": _ratio(2 * hits, alarms + positives),
        "precision": _ratio(hits, alarms),
        "recall": _ratio(hits, positives),
        "accuracy": _ratio(right, len(likely)),
    }


def needs_calibration(positive: Flags, score: Floats) -> bool:
    """Whether scores mean more of what they say after isotonic regression, on rows that it was not fitted to."""
    if len(np.unique(positive)) < 2 or roc_auc_score(positive, score) > PERFECT:
        return False
    truth, before, after = [], [], []
    for fitted, held in StratifiedShuffleSplit(SPLITS, test_size=HELD_OUT, random_state=42).split(score, positive):
        truth.append(positive[held])
        before.append(score[held])
        after.append(_isotonic(score[fitted], positive[fitted])(score[held]))
    known = np.concatenate(truth)
    return calibration_error(known, np.concatenate(before)) > calibration_error(known, np.concatenate(after))


def calibration_error(positive: Flags, score: Floats) -> float:
    """Mean difference between score and truth over bands of equally many rows, in order of the score.

    >>> calibration_error(np.array([True, False] * 10), np.full(20, 0.75))
    0.25
    """
    order = np.argsort(score, kind="stable")
    parts = np.array_split(score[order] - positive[order], BANDS)
    return float(sum(abs(part.sum()) for part in parts) / len(score))


def _isotonic(score: Floats, positive: Flags) -> Callable[[Floats], Floats]:
    fitted = IsotonicRegression(out_of_bounds="clip", increasing=True).fit(score, positive.astype(np.float64))
    found: Callable[[Floats], Floats] = fitted.predict
    return found


def _spreads(positive: Flags, score: Floats, flagged: Flags, rng: np.random.Generator) -> dict[str, Spread]:
    hits, wrong = int((positive & flagged).sum()), int((positive != flagged).sum())
    relevant = hits + wrong
    # An F1 score is the mean of 1 a hit and 0 an error, times how much more than half an error a row counts.
    f1 = _deviation(hits, wrong) * relevant / (hits + wrong / 2) if relevant and hits + wrong else 0.0
    n = len(positive)
    return {
        "auc": _auc_spread(positive, score),
        "average_precision": _precision_spread(positive, score, rng),
        "f1": Spread(f1, relevant / n),
        "precision": Spread(_deviation(hits, int((flagged & ~positive).sum())), float(flagged.mean())),
        "recall": Spread(_deviation(hits, int((positive & ~flagged).sum())), float(positive.mean())),
        "accuracy": Spread(_deviation(n - wrong, wrong), 1.0),
    }


def _auc_spread(positive: Flags, score: Floats) -> Spread:
    """By the share of the other kind that each row of the rarer kind beats, whose mean is the AUC."""
    if positive.mean() > 0.5:
        positive, score = ~positive, -score
    others = np.sort(score[~positive])
    rarer = score[positive]
    return Spread(float(np.std(share_below(others, rarer))), float(positive.mean()))


def _precision_spread(positive: Flags, score: Floats, rng: np.random.Generator) -> Spread:
    """By draws of the reference, as there is no formula; of other sizes by the square root."""
    rows, ranking = min(len(positive) // 2, LARGEST_DRAW), Ranking.of(positive, score)
    found = []
    for _ in range(DRAWS):
        drawn = rng.integers(0, len(positive), rows)
        value, _ = ranking.figures(np.bincount(drawn, minlength=len(positive)).astype(np.float64))
        if not np.isnan(value):
            found.append(value)
    return Spread(float(np.std(found) * np.sqrt(rows)) if found else float("nan"), 1.0)


def _deviation(ones: int, zeros: int) -> float:
    """Standard deviation of so many ones and zeros; NaN of nothing."""
    n = ones + zeros
    return float(np.sqrt(ones * zeros) / n) if n else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
