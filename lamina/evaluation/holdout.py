"""Interactions cut into those to learn from and those to be found, by published protocols."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.interactions import Interactions

Flags = NDArray[np.bool_]


class Parts(NamedTuple):
    """Three parts of the same interactions, over the same users and items; `valid` is empty where there is no such."""

    train: Interactions
    valid: Interactions
    test: Interactions

    @property
    def known(self) -> Interactions:
        """All that came before the test, those to choose by too, without times: what is not recommended any more."""
        train, valid = self.train, self.valid
        user, item, weight = (
            np.concatenate([getattr(train, name), getattr(valid, name)]) for name in ("user", "item", "weight")
        )
        return Interactions(train.users, train.items, user, item, weight)


def at_least(seen: Interactions, fewest: int) -> Interactions:
    """What is left when users and items with fewer than `fewest` interactions are taken out, until there is none.

    Users and items without any are gone.
    """
    while True:
        users, items = (np.bincount(place, minlength=1) for place in (seen.user, seen.item))
        keep = (users[seen.user] >= fewest) & (items[seen.item] >= fewest)
        kept = seen.take(keep)
        if keep.all():
            return Interactions.of(kept.users[kept.user], kept.items[kept.item], kept.weight, kept.time_s)
        seen = kept


def by_user(seen: Interactions, seed: int, shares: tuple[float, float] = (0.1, 0.1)) -> Parts:
    """Random parts of every user's interactions: `shares` of them, rounded down, to choose by and to test, the rest to
    learn from. RecBole's split by ratio, with numpy's `default_rng(seed)`: all rows are shuffled, then cut by user.
    """
    shuffled = np.random.default_rng(seed).permutation(len(seen))
    place, count = _places_within(seen.user[shuffled])
    test = (shares[1] * count).astype(np.int64)
    valid = (shares[0] * count).astype(np.int64)
    parts = np.where(place >= count - test, 2, np.where(place >= count - test - valid, 1, 0))
    return Parts(*(seen.take(shuffled[parts == part]) for part in range(3)))


def by_item(seen: Interactions, seed: int, share: float = 0.75) -> Parts:
    """Of every item's interactions `round(share * n)` at random to learn from, the rest to test.

    So does the stratified split of the recommenders library's published comparison, which means to split by user: rows
    in their order get a draw each from numpy's legacy generator, and are sorted by item and draw.
    """
    draw = np.random.RandomState(seed).uniform(size=len(seen))  # the protocol's own generator
    order = np.lexsort((draw, seen.item))
    place, count = _places_within(seen.item[order])
    learnt = place < np.round(share * count)
    return Parts(seen.take(order[learnt]), seen.take(order[:0]), seen.take(order[~learnt]))


def _places_within(group: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64[n] twice: the place of each row among those of its group, in their order, and how many these are."""
    counts = np.bincount(group, minlength=1)
    order = np.argsort(group, kind="stable")
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place, counts[group]
