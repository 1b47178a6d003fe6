"""How well scores find what they look for: the figures by which models of a binary label are compared.

Who leaves a test, and how many are looked at on a day, follow the protocol of Le Borgne et al. 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from lamina.clock import DAY_MS

FALSE_POSITIVE_LIMIT = 0.001
RECALL_FLOOR = 0.95
EVEN = 0.5
"""From this probability on, a row is more likely positive than not."""
RELIABILITY_BANDS = (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Outcomes:
    """Scored rows whose truth is known, one array each.

    positive: bool[n]. score: float64[n]. unit: ids [n], texts or numbers, of whom each row is about. day: int64[n],
    days since the epoch.
    """

    positive: Flags
    score: Floats
    unit: Texts | Ints
    day: Ints


def day_number(timestamp_ms: Ints) -> Ints:
    """Days since the epoch, UTC.

    >>> day_number(np.array([0, 86_400_000])).tolist()
    [0, 1]
    """
    days: Ints = timestamp_ms // DAY_MS
    return days


def without_known(unit: Texts | Ints, day: Ints, positive: Flags, *, first: int, delay_days: int, rows: Flags) -> Flags:
    """Of the test rows `rows`, bool[n], those of units of which no positive row is known yet on that day.

    Known on a day are the positive rows from the day `first` on that are more than `delay_days` days older than it.
    """
    keep = rows.copy()
    positives = positive & (day >= first)
    for today in np.unique(day[rows]):
        known = np.unique(unit[positives & (day < today - delay_days)])
        keep[rows & (day == today)] = ~np.isin(unit[rows & (day == today)], known)
    return keep


def ranking(positive: Flags, score: Floats) -> dict[str, float]:
    """How well scores put positive rows before the others, by the names the figures are logged under.

    auc; average_precision; precision_at_95_recall: the best precision that finds 95 % of the positive rows;
    recall_at_fpr_001: share of them found while at most 0.1 % of the others are flagged.

    Raises: ValueError: when one kind of rows is missing, so that nothing can be told apart.
    """
    if positive.all() or not positive.any():
        raise ValueError(f"{positive.sum()} of {len(positive)} test rows are positive: both kinds are needed")
    return {
        "auc": float(roc_auc_score(positive, score)),
        "average_precision": float(average_precision_score(positive, score)),
        "precision_at_95_recall": precision_at_recall(positive, score, RECALL_FLOOR),
        "recall_at_fpr_001": float(found_at_limit(positive, score).sum() / positive.sum()),
    }


def found_at_limit(positive: Flags, score: Floats) -> Flags:
    """bool[n]: the positive rows that are flagged where at most 0.1 % of the others are."""
    found: Flags = positive & (score >= threshold_at_fpr(positive, score, FALSE_POSITIVE_LIMIT))
    return found


def brier(positive: Flags, score: Floats) -> float:
    """Mean squared difference of score and truth.

    >>> brier(np.array([True, False]), np.array([0.5, 0.0]))
    0.125
    """
    return float(np.mean((score - positive) ** 2))


def accuracy(positive: Flags, score: Floats) -> float:
    """Share of the rows of which a score says the likelier kind, from 0.5 on positive.

    >>> accuracy(np.array([True, False, True, True]), np.array([0.5, 0.1, 0.9, 0.2]))
    0.75
    """
    return float(np.mean((score >= EVEN) == positive))


def threshold_at_fpr(positive: Flags, score: Floats, limit: float) -> float:
    """The lowest score to flag from so that at most `limit` of the rows that are not positive are flagged.

    >>> threshold_at_fpr(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.4, 0.1]), 0.0)
    0.9
    """
    rate, _, thresholds = roc_curve(positive, score, drop_intermediate=False)
    return float(thresholds[np.flatnonzero(rate <= limit)[-1]])


def precision_at_recall(positive: Flags, score: Floats, floor: float) -> float:
    """The best precision at any threshold that finds at least `floor` of the positive rows.

    >>> precision_at_recall(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.4, 0.1]), 0.95)
    0.6666666666666666
    """
    precision, recall, _ = precision_recall_curve(positive, score)
    return float(precision[recall >= floor].max())


def unit_precision(outcomes: Outcomes, units: int) -> float:
    """Mean over days of the share of positive ones among the `units` units with the day's highest scores.

    A unit counts once a day, with its highest score; one that was found is not looked at again on later days. With
    cards as units it is the card precision@k of Le Borgne et al.
    """
    found: set[object] = set()
    shares = []
    for today in np.unique(outcomes.day):
        rows = outcomes.day == today
        best: dict[object, tuple[float, bool]] = {}
        for unit, score, positive in zip(
            outcomes.unit[rows], outcomes.score[rows], outcomes.positive[rows], strict=True
        ):
            if unit not in found:
                before = best.get(unit, (float("-inf"), False))
                best[unit] = (max(before[0], float(score)), before[1] or bool(positive))
        top = sorted(best.items(), key=lambda item: (-item[1][0], str(item[0])))[:units]
        hits = {unit for unit, (_, positive) in top if positive}
        found |= hits
        shares.append(len(hits) / units)
    return float(np.mean(shares))


def curves(positive: Flags, score: Floats, points: int = 500) -> Mapping[str, list[list[float]]]:
    """Precision-recall and ROC curves as lists of [x, y], thinned to at most about `points` each.

    `pr` holds [recall, precision], `roc` [false positive rate, recall].
    """
    precision, recall, _ = precision_recall_curve(positive, score)
    rate, found, _ = roc_curve(positive, score)
    return {"pr": _thinned(recall[::-1], precision[::-1], points), "roc": _thinned(rate, found, points)}


def reliability(positive: Flags, score: Floats) -> list[dict[str, float]]:
    """By band of the score: how many rows, what was predicted on average, what share was true; empty bands left out.

    >>> reliability(np.array([True, False, False]), np.array([0.75, 0.5, 0.001]))[1]
    {'from': 0.5, 'to': 0.9, 'rows': 2, 'predicted': 0.625, 'true': 0.5}
    """
    found = []
    for low, high in pairwise(RELIABILITY_BANDS):
        rows = (score >= low) & ((score < high) | (high == 1.0))
        if rows.any():
            means = {"predicted": float(score[rows].mean()), "true": float(positive[rows].mean())}
            found.append({"from": low, "to": high, "rows": int(rows.sum()), **means})
    return found


def _thinned(x: Floats, y: Floats, points: int) -> list[list[float]]:
    chosen = np.unique(np.linspace(0, len(x) - 1, min(points, len(x))).astype(int))
    return [[float(x[i]), float(y[i])] for i in chosen]
