"""Figures by parts of the rows: a model that is good on the whole can fail a part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from lamina.evaluation.metrics import FALSE_POSITIVE_LIMIT, Flags, Floats, threshold_at_fpr
from lamina.evaluation.problem import Problem
from lamina.evaluation.table import Table
from lamina.registry.evaluation import Slice

LARGEST = 5
"""Values of a column are looked at from the most frequent down to this many."""


def measure_slices(problem: Problem, rows: Table, scores: Floats, champion: Floats | None = None) -> tuple[Slice, ...]:
    """Every slice that has rows, with figures by `scores` and, if given, by the `champion`'s scores, float64[n] each.

    score_mean and <positive>_share: how well the score means what it says. average_precision, auc; recall_at_fpr_001:
    at the threshold that flags 0.1 % of *all* negative rows. The last three need rows of both kinds.
    """
    share = f"{problem.words.positive}_share"
    found = []
    for name, members in problem.slices(rows):
        if members.any():
            found.append(
                Slice(
                    name=name,
                    rows=int(members.sum()),
                    positives=int(rows.positive[members].sum()),
                    candidate=_figures(rows.positive, scores, members, share),
                    champion={} if champion is None else _figures(rows.positive, champion, members, share),
                )
            )
    return tuple(found)


def by_value(kind: str, values: NDArray[np.object_]) -> Iterator[tuple[str, Flags]]:
    """Slices by the most frequent texts of a column, named by its kind.

    >>> [(name, rows.tolist()) for name, rows in by_value("colour", np.array(["red", "red", None], dtype=object))]
    [('colour red', [True, True, False])]
    """
    texts, counts = np.unique([v for v in values if isinstance(v, str)], return_counts=True)
    for i in np.argsort(-counts, kind="stable")[:LARGEST]:
        yield f"{kind} {texts[i]}", np.asarray(values == str(texts[i]))


def _figures(positive: Flags, scores: Floats, members: Flags, share: str) -> dict[str, float]:
    truth, given = positive[members], scores[members]
    found = {"score_mean": float(given.mean()), share: float(truth.mean())}
    if truth.any() and not truth.all():
        flagged = given >= threshold_at_fpr(positive, scores, FALSE_POSITIVE_LIMIT)
        found |= {
            "average_precision": float(average_precision_score(truth, given)),
            "auc": float(roc_auc_score(truth, given)),
            "recall_at_fpr_001": float((flagged & truth).sum() / truth.sum()),
        }
    return found
