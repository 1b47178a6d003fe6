"""How well scores find fraud: the figures by which models are compared, and the protocol of the published ones.

The protocol is that of Le Borgne et al. 2022 (Reproducible Machine Learning for Credit Card Fraud Detection, 4 and 5).
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
CARDS_PER_DAY = 100
RELIABILITY_BANDS = (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Outcomes:
    """Scored rows whose truth is known, one array each.

    fraud: bool[n]. score: float64[n]. user: ids [n]. day: int64[n], days since the epoch. amount: float64[n].
    scenario: [n], how the fraud was done, or None.
    """

    fraud: Flags
    score: Floats
    user: Texts
    day: Ints
    amount: Floats
    scenario: Texts


def day_number(timestamp_ms: Ints) -> Ints:
    """Days since the epoch, UTC.

    >>> day_number(np.array([0, 86_400_000])).tolist()
    [0, 1]
    """
    days: Ints = timestamp_ms // DAY_MS
    return days


def without_known_frauds(
    user: Texts, day: Ints, fraud: Flags, *, train_first: int, delay_days: int, rows: Flags
) -> Flags:
    """Of the test rows `rows`, bool[n], those of users not yet known to be defrauded on that day.

    Known on a day are the frauds from the first training day on that happened more than `delay_days` days before it.
    """
    keep = rows.copy()
    frauds = fraud & (day >= train_first)
    for today in np.unique(day[rows]):
        known = np.unique(user[frauds & (day < today - delay_days)])
        keep[rows & (day == today)] = ~np.isin(user[rows & (day == today)], known)
    return keep


def measure(outcomes: Outcomes) -> dict[str, float]:
    """Every figure of a test, by the name it is logged under.

    auc; average_precision; precision_at_95_recall: the best precision that finds 95 % of frauds; recall_at_fpr_001:
    share of frauds found while at most 0.1 % of legitimate rows are flagged; money_caught: of their money, found there;
    brier: mean squared difference of score and truth; card_precision_100: see `card_precision`; recall_scenario_<s>: as
    recall_at_fpr_001, of one kind of fraud.

    Raises: ValueError: when frauds or legitimate rows are missing, so that nothing can be told apart.
    """
    if outcomes.fraud.all() or not outcomes.fraud.any():
        raise ValueError(f"{outcomes.fraud.sum()} of {len(outcomes.fraud)} test rows are fraud: both kinds are needed")
    threshold = threshold_at_fpr(outcomes.fraud, outcomes.score, FALSE_POSITIVE_LIMIT)
    caught = outcomes.fraud & (outcomes.score >= threshold)
    figures = {
        "auc": float(roc_auc_score(outcomes.fraud, outcomes.score)),
        "average_precision": float(average_precision_score(outcomes.fraud, outcomes.score)),
        "precision_at_95_recall": precision_at_recall(outcomes.fraud, outcomes.score, RECALL_FLOOR),
        "recall_at_fpr_001": float(caught.sum() / outcomes.fraud.sum()),
        "money_caught": float(outcomes.amount[caught].sum() / outcomes.amount[outcomes.fraud].sum()),
        "brier": float(np.mean((outcomes.score - outcomes.fraud) ** 2)),
        "card_precision_100": card_precision(outcomes, CARDS_PER_DAY),
    }
    return figures | _recall_by_scenario(outcomes, caught)


def _recall_by_scenario(outcomes: Outcomes, caught: Flags) -> dict[str, float]:
    named = {s for s in outcomes.scenario[outcomes.fraud] if isinstance(s, str)}
    members = {s: outcomes.fraud & (outcomes.scenario == s) for s in sorted(named)}
    return {f"recall_scenario_{s}": float((caught & rows).sum() / rows.sum()) for s, rows in members.items()}


def threshold_at_fpr(fraud: Flags, score: Floats, limit: float) -> float:
    """The lowest score to flag from so that at most `limit` of the legitimate rows are flagged.

    >>> threshold_at_fpr(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.4, 0.1]), 0.0)
    0.9
    """
    rate, _, thresholds = roc_curve(fraud, score, drop_intermediate=False)
    return float(thresholds[np.flatnonzero(rate <= limit)[-1]])


def precision_at_recall(fraud: Flags, score: Floats, floor: float) -> float:
    """The best precision at any threshold that finds at least `floor` of the frauds.

    >>> precision_at_recall(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.4, 0.1]), 0.95)
    0.6666666666666666
    """
    precision, recall, _ = precision_recall_curve(fraud, score)
    return float(precision[recall >= floor].max())


def card_precision(outcomes: Outcomes, cards: int) -> float:
    """Card precision@k: mean over days of the share of frauds among the `cards` users with the day's highest scores.

    A user counts once a day, with its highest score; one that was found is not looked at again on later days. A user
    is a card here, as in the publication.
    """
    found: set[object] = set()
    shares = []
    for today in np.unique(outcomes.day):
        rows = outcomes.day == today
        best: dict[object, tuple[float, bool]] = {}
        for user, score, fraud in zip(outcomes.user[rows], outcomes.score[rows], outcomes.fraud[rows], strict=True):
            if user not in found:
                before = best.get(user, (float("-inf"), False))
                best[user] = (max(before[0], float(score)), before[1] or bool(fraud))
        top = sorted(best.items(), key=lambda item: (-item[1][0], str(item[0])))[:cards]
        hits = {user for user, (_, fraud) in top if fraud}
        found |= hits
        shares.append(len(hits) / cards)
    return float(np.mean(shares))


def curves(fraud: Flags, score: Floats, points: int = 500) -> Mapping[str, list[list[float]]]:
    """Precision-recall and ROC curves as lists of [x, y], thinned to at most about `points` each.

    `pr` holds [recall, precision], `roc` [false positive rate, recall].
    """
    precision, recall, _ = precision_recall_curve(fraud, score)
    rate, found, _ = roc_curve(fraud, score)
    return {"pr": _thinned(recall[::-1], precision[::-1], points), "roc": _thinned(rate, found, points)}


def reliability(fraud: Flags, score: Floats) -> list[dict[str, float]]:
    """By band of the score: how many rows, what was predicted on average, what share was fraud; empty bands left out.

    >>> reliability(np.array([True, False, False]), np.array([0.75, 0.5, 0.001]))[1]
    {'from': 0.5, 'to': 0.9, 'rows': 2, 'predicted': 0.625, 'true': 0.5}
    """
    found = []
    for low, high in pairwise(RELIABILITY_BANDS):
        rows = (score >= low) & ((score < high) | (high == 1.0))
        if rows.any():
            means = {"predicted": float(score[rows].mean()), "true": float(fraud[rows].mean())}
            found.append({"from": low, "to": high, "rows": int(rows.sum()), **means})
    return found


def _thinned(x: Floats, y: Floats, points: int) -> list[list[float]]:
    chosen = np.unique(np.linspace(0, len(x) - 1, min(points, len(x))).astype(int))
    return [[float(x[i]), float(y[i])] for i in chosen]
