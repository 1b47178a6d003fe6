"""A user's history as a retriever of sequences or sets reads it: the items met last, each once."""

from __future__ import annotations

import numpy as np

from lamina.scoring.interactions import Interactions, Places


def last_met(met: Interactions, longest: int) -> tuple[Places, Places]:
    """Rows and items of the `longest` items that each user met last, int64[m] twice, by user and the newest first.

    Of two at the same time the smaller id counts as the newer. Without times the later rows are taken for the later.
    """
    when = np.arange(len(met), dtype=np.float64) if met.time_s is None else met.time_s
    newest_first = np.lexsort((met.item, -when, met.user))
    user, item = met.user[newest_first], met.item[newest_first]
    # Each pair once, where it comes first.
    _, first = np.unique(user * max(len(met.items), 1) + item, return_index=True)
    first.sort()
    user, item = user[first], item[first]
    counts = np.bincount(user, minlength=len(met.users))
    place = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = place < longest
    return user[kept], item[kept]
