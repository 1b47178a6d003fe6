"""Figures by kind of user, amount, country and device: a model that is good on the whole can fail a part."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from lamina.evaluation.metrics import FALSE_POSITIVE_LIMIT, Flags, Floats, threshold_at_fpr
from lamina.evaluation.table import Table
from lamina.registry.evaluation import Slice

AMOUNTS = (25.0, 100.0, 1000.0)
"""Where bands of the amount begin, after the first."""
LARGEST = 5
"""Countries and devices are looked at from the most frequent down to this many."""


def measure_slices(rows: Table, scores: Floats, champion: Floats | None = None) -> tuple[Slice, ...]:
    """Every slice that has rows, with figures by `scores` and, if given, by the `champion`'s scores, float64[n] each.

    score_mean and fraud_share: how well the score means what it says. average_precision, auc; recall_at_fpr_001: at
    the threshold that flags 0.1 % of *all* legitimate rows. The last three need frauds and legitimate rows.
    """
    found = []
    for name, members in slices(rows):
        if members.any():
            found.append(
                Slice(
                    name=name,
                    rows=int(members.sum()),
                    frauds=int(rows.fraud[members].sum()),
                    candidate=_figures(rows.fraud, scores, members),
                    champion={} if champion is None else _figures(rows.fraud, champion, members),
                )
            )
    return tuple(found)


def slices(rows: Table) -> Iterator[tuple[str, Flags]]:
    """Names and masks, bool[n]. A slice overlaps those of another kind."""
    yield "new users", np.asarray(rows.inputs["lifetime_txn_count"] == 0)
    edges = (-np.inf, *AMOUNTS, np.inf)
    for low, high in pairwise(edges):
        text = f"amount below {high:g}" if low == -np.inf else f"amount from {low:g}"
        yield (
            text + (f" to {high:g}" if -np.inf < low and high < np.inf else ""),
            ((rows.amount >= low) & (rows.amount < high)),
        )
    yield "abroad", np.asarray(rows.inputs["is_international"] == 1)
    for kind, values in (("country", rows.country), ("device", rows.inputs["device_type"])):
        for value in _frequent(values):
            yield f"{kind} {value}", np.asarray(values == value)


def _frequent(values: NDArray[np.object_]) -> list[str]:
    texts, counts = np.unique([v for v in values if isinstance(v, str)], return_counts=True)
    return [str(texts[i]) for i in np.argsort(-counts, kind="stable")[:LARGEST]]


def _figures(fraud: Flags, scores: Floats, members: Flags) -> dict[str, float]:
    truth, given = fraud[members], scores[members]
    found = {"score_mean": float(given.mean()), "fraud_share": float(truth.mean())}
    if truth.any() and not truth.all():
        flagged = given >= threshold_at_fpr(fraud, scores, FALSE_POSITIVE_LIMIT)
        found |= {
            "average_precision": float(average_precision_score(truth, given)),
            "auc": float(roc_auc_score(truth, given)),
            "recall_at_fpr_001": float((flagged & truth).sum() / truth.sum()),
        }
    return found
