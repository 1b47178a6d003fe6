"""Users and items with continuous tastes, and what was met: from which benchmarks train vectors like those in service.

No clusters: tastes are normal, each dimension weighing less than the one before. Popularity falls as a power of the
rank. Of `SEEN` items that a user comes across, by popularity, he meets one, by taste.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from lamina.scoring.interactions import Interactions

TASTES, SEEN, FALL = 24, 32, 0.7
ROWS = 50_000


def met(users: int, items: int, each: int, seed: int) -> Interactions:
    """`each` interactions of every user, fewer where he met an item twice; items that nobody met are left out."""
    rng = np.random.default_rng(seed)
    weights = np.exp(-np.arange(TASTES) / 8).astype(np.float32)
    of_items = rng.normal(size=(items, TASTES)).astype(np.float32) * weights
    of_users = 2 * rng.normal(size=(users, TASTES)).astype(np.float32)
    popularity = np.cumsum(1 / (1 + rng.permutation(items)) ** FALL)
    user = np.repeat(np.arange(users), each)
    item = np.empty(len(user), np.int64)
    for begin in range(0, len(user), ROWS):
        rows = slice(begin, begin + ROWS)
        shown = np.searchsorted(popularity, rng.random((len(user[rows]), SEEN)) * popularity[-1], side="right")
        liking = np.einsum("nd,nkd->nk", of_users[user[rows]], of_items[shown]) + rng.gumbel(size=shown.shape)
        item[rows] = np.take_along_axis(shown, liking.argmax(1)[:, None], axis=1)[:, 0]
    pairs = csr_array((np.ones(len(user)), (user, item)), shape=(users, items)).tocoo()
    pairs.sum_duplicates()
    known, place = np.unique(pairs.col, return_inverse=True)
    return Interactions(
        users=np.array([f"user-{n:07d}" for n in range(users)], dtype=object),
        items=np.array([f"item-{n:08d}" for n in known], dtype=object),
        user=pairs.row.astype(np.int64),
        item=place.astype(np.int64),
        weight=np.ones(len(pairs.row)),
    )
