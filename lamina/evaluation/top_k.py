"""How good the first k of a ranking are, user by user.

For a user with the relevant items R, of which the places 1..k hold hits (binary, so that a gain is 1):

    recall     hits / |R|
    precision  hits / k
    hit        1 where there is any hit
    mrr        1 / place of the first hit, 0 without one
    ndcg       sum over hits of 1 / log2(place + 1), by the most that |R| relevant items could give in k places
    map        sum over hits of precision at the hit, by |R|

These are the definitions of the recommenders library (its map by |R|, also where |R| > k) and, but for map, of
RecBole. Users without a relevant item are left out. Example, k = 3, R = {a, b}, ranking c, a, d: recall 1/2, precision
1/3, hit 1, mrr 1/2, map (1/2)/2, ndcg (1/log2 3) / (1 + 1/log2 3) = 0.387.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError
from lamina.evaluation.metrics import Floats, Ints, Texts
from lamina.evaluation.resample import drawn
from lamina.registry.evaluation import Interval
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.protocol import Retriever
from lamina.scoring.retrievers.recommend import top

FIGURES = ("recall", "precision", "hit", "mrr", "ndcg", "map")
Hits = NDArray[np.bool_]


class NothingToRank(LaminaError):
    """Nobody has an item to be found: nothing can be measured."""


@dataclass(frozen=True)
class Ranked:
    """Figures of every user who has something to be found; `by_user[name]` is float64[users], in the order of `users`.

    covered: items that anybody was shown.
    """

    users: Texts
    by_user: Mapping[str, Floats]
    covered: int = 0

    def means(self) -> dict[str, float]:
        """Each figure's mean over users."""
        return {name: float(values.mean()) for name, values in self.by_user.items()}


def figures(hits: Hits, relevant: Ints) -> dict[str, Floats]:
    """Each figure for every user, float64[n].

    Args: hits: bool[n, k], by place; relevant: int64[n], items to be found, at least one each.

    >>> found = figures(np.array([[False, True, False]]), np.array([2]))
    >>> {name: round(float(value[0]), 3) for name, value in found.items()}
    {'recall': 0.5, 'precision': 0.333, 'hit': 1.0, 'mrr': 0.5, 'ndcg': 0.387, 'map': 0.25}
    """
    k = hits.shape[1]
    places = np.arange(1, k + 1)
    gain = 1.0 / np.log2(places + 1)
    most = np.cumsum(gain)[np.minimum(relevant, k) - 1]
    found = hits.sum(axis=1)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    precision = np.cumsum(hits, axis=1) / places
    return {
        "recall": found / relevant,
        "precision": found / k,
        "hit": (found > 0).astype(np.float64),
        "mrr": 1.0 / first,
        "ndcg": (hits * gain).sum(axis=1) / most,
        "map": (hits * precision).sum(axis=1) / relevant,
    }


def hits_of(places: Ints, scores: NDArray[np.float32], relevant: NDArray[np.bool_]) -> Hits:
    """Which of the places [n, k] are of a relevant item, bool[n, items]; one that scores -inf was not shown."""
    found: Hits = np.take_along_axis(relevant, places, axis=1) & (scores > -np.inf)
    return found


def measure(
    retriever: Retriever, asked: Interactions, test: Interactions, k: int, *, without: Interactions | None = None
) -> Ranked:
    """Figures of the retriever's first `k`, asked by what `asked` says of each user, for the pairs of `test`.

    All items that it knows are ranked, but those that the user has met by `asked`, or by `without` where that is given.
    A relevant item that it does not know cannot be found, and counts all the same.

    Args: test: over the same users as `asked`.
    Raises: NothingToRank: `test` has no pair.
    """
    pairs = test.seen()
    relevant = np.diff(pairs.indptr).astype(np.int64)
    known = test.onto(retriever.items).seen()
    users, rows, shown = [], [], np.zeros(len(retriever.items), bool)
    for some in top(retriever, asked, k, without=without):
        here = slice(some.first, some.first + len(some.place))
        hits = hits_of(some.place, some.score, known[here].toarray() > 0)
        # Fewer items than places: those that are missing hit nothing.
        hits = np.pad(hits, ((0, 0), (0, k - hits.shape[1])))
        shown[some.place[some.score > -np.inf]] = True
        has = relevant[here] > 0
        users.append(np.arange(here.start, here.stop)[has])
        rows.append(hits[has])
    places = np.concatenate(users) if users else np.empty(0, np.int64)
    if not len(places):
        raise NothingToRank("no user has an item to be found: give test interactions of the users who are asked for")
    found = figures(np.concatenate(rows), relevant[places])
    return Ranked(asked.users[places], found, int(shown.sum()))


def gains(
    candidate: Ranked, against: Ranked, names: Iterable[str] = FIGURES, *, seed: int = 0, confidence: float = 0.95
) -> dict[str, Interval]:
    """By how much the candidate's figures exceed the other's on the same users: percentile intervals of a bootstrap in
    which users are drawn, for both alike.

    Raises: ValueError: they are of different users.
    """
    if not np.array_equal(candidate.users, against.users):
        raise ValueError("two rankings of different users cannot be compared user by user")
    names = tuple(names)
    each = np.array([candidate.by_user[name] - against.by_user[name] for name in names])
    found = drawn(
        candidate.users, lambda weight: each @ weight / weight.sum(), seed=seed, confidence=confidence
    ).confidence_interval
    return {
        name: Interval(difference=float(point), low=float(low), high=float(high), confidence=confidence)
        for name, point, low, high in zip(names, each.mean(axis=1), found.low, found.high, strict=True)
    }
