"""Which k of ranked candidates are shown, so that they are not all alike: limits by attribute, and marginal relevance.

Marginal relevance (MMR, Carbonell and Goldstein 1998) takes, again and again, the candidate with the largest

    trade * relevance  -  (1 - trade) * cosine with the nearest of those taken

Relevance is the score, from 0 for the worst candidate to 1 for the best. Example, two alike (a, b) and one other (c),
trade 0.5, k = 2:

          relevance   cosine with a   second turn
    a     1.0                         taken first
    b     0.9         1.0             0.45 - 0.50 = -0.05
    c     0.6         0.1             0.30 - 0.05 =  0.25   taken second
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError


class BadDiversity(LaminaError):
    """Limits or a trade that cannot be, or not one value a candidate."""


@dataclass(frozen=True)
class Limit:
    """At most `most` of those shown have the same one of `values`, one a candidate; None is not limited."""

    values: Sequence[Hashable | None]
    most: int


def diversified(
    scores: NDArray[np.floating],
    k: int,
    *,
    limits: Sequence[Limit] = (),
    vectors: NDArray[np.floating] | None = None,
    trade: float = 1.0,
) -> NDArray[np.int64]:
    """Places of the candidates to show, int64[m], the first first; of equal ones the first place.

    m is `k`, or fewer where the limits let no more through: they are kept whatever the scores.

    Args: scores: float[n], finite; limits: all of them hold; vectors: float[n, d], by which candidates are alike, not
    needed with a trade of 1; trade: from 0, all for variety, to 1, relevance alone.

    Raises: BadDiversity: a number is out of its range, or of another length than `scores`.

    >>> diversified(np.array([3.0, 2.0, 1.0]), 2, limits=[Limit(["x", "x", "y"], 1)]).tolist()
    [0, 2]
    """
    _check(scores, k, limits, vectors, trade)
    left = np.ones(len(scores), bool)
    taken: list[int] = []
    relevance = _from_0_to_1(scores)
    directions = _directions(vectors) if vectors is not None and trade < 1 else None
    nearest = np.zeros(len(scores)) if directions is not None else None
    counts = [Counter[Hashable]() for _ in limits]
    while len(taken) < k and left.any():
        value = relevance
        if directions is not None and nearest is not None:
            if taken:
                cosine = directions @ directions[taken[-1]]
                nearest = cosine if len(taken) == 1 else np.maximum(nearest, cosine)
            value = trade * relevance - (1 - trade) * nearest
        place = int(np.argmax(np.where(left, value, -np.inf)))
        taken.append(place)
        left[place] = False
        for limit, count in zip(limits, counts, strict=True):
            own = limit.values[place]
            if own is None:
                continue
            count[own] += 1
            if count[own] == limit.most:
                left &= np.array([other != own for other in limit.values], bool)
    return np.array(taken, np.int64)


def _check(
    scores: NDArray[np.floating],
    k: int,
    limits: Sequence[Limit],
    vectors: NDArray[np.floating] | None,
    trade: float,
) -> None:
    if k < 1 or not 0 <= trade <= 1 or any(limit.most < 1 for limit in limits):
        raise BadDiversity(f"k {k} and limits are to be at least 1, and the trade {trade} from 0 to 1")
    if not np.isfinite(scores).all():
        raise BadDiversity("a score is not finite: leave out what is not to be shown")
    if trade < 1 and vectors is None:
        raise BadDiversity(f"a trade of {trade} needs vectors, by which candidates are alike")
    wrong = [len(limit.values) for limit in limits if len(limit.values) != len(scores)]
    if wrong or (vectors is not None and len(vectors) != len(scores)):
        raise BadDiversity(f"{len(scores)} candidates need as many values of each limit, and as many vectors")


def _from_0_to_1(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 0.0)
    if high == low:
        return np.ones(len(scores))
    found: NDArray[np.float64] = (scores.astype(np.float64) - low) / (high - low)
    return found


def _directions(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """One without a direction is like no other."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    found: NDArray[np.float64] = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return found
