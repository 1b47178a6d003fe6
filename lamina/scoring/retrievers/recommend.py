"""The best items of a retriever for users, what they have met left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.exact_index import best
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.protocol import Float32s, Retriever

TOGETHER = 1024
"""Users scored at a time: with 50,000 items their scores are 200 MB."""


class Top(NamedTuple):
    """The best items of users `first` and on, the best first; of equal scores the smaller id.

    place: int64[n, k], in the retriever's items; score: float32[n, k], -inf where nothing is left to recommend.
    """

    first: int
    place: NDArray[np.int64]
    score: Float32s


def top(retriever: Retriever, asked: Interactions, k: int, *, without: Interactions | None = None) -> Iterator[Top]:
    """The `k` best for each user of `asked`, some users at a time.

    Args: without: what is not recommended to whom, over the same users; `asked` itself by default.
    """
    left_out = (asked if without is None else without).onto(retriever.items).matrix()
    for first in range(0, len(asked.users), TOGETHER):
        users = _of_users(asked, first, first + TOGETHER)
        scores = np.array(retriever.scores(users), np.float32)
        rows, columns = _pairs(left_out, first, first + len(scores))
        scores[rows, columns] = -np.inf
        yield Top(first, *best(scores, min(k, scores.shape[1])))


def _of_users(asked: Interactions, first: int, end: int) -> Interactions:
    """The interactions of users `first` to `end`, over these users alone."""
    if first == 0 and end >= len(asked.users):
        return asked
    rows = (asked.user >= first) & (asked.user < end)
    kept = asked.take(rows)
    return Interactions(asked.users[first:end], asked.items, kept.user - first, kept.item, kept.weight, kept.time_s)


def _pairs(matrix: Any, first: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    some = matrix[first:end].tocoo()
    return some.row, some.col
