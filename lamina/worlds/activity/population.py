"""Who shops in the activity world and what is for sale: drawn once from the seed, and then only read.

Arrays are indexed by shopper or item number; a number becomes an id (`user-0000012`) only when a table is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# share of the items, median price in units of the currency
CATEGORIES: tuple[tuple[float, float], ...] = (
    (0.16, 25.0),  # clothing
    (0.12, 12.0),  # books
    (0.11, 18.0),  # toys
    (0.10, 9.0),  # groceries
    (0.09, 22.0),  # beauty
    (0.09, 35.0),  # garden
    (0.08, 45.0),  # kitchen
    (0.07, 60.0),  # shoes
    (0.06, 40.0),  # sport
    (0.05, 120.0),  # furniture
    (0.04, 180.0),  # electronics
    (0.03, 90.0),  # jewellery
)
MIN_ITEMS = 60
LIKED = 3  # categories a shopper likes

Array = NDArray[Any]


@dataclass(frozen=True)
class Items:
    """Items by number. `price` in units of the currency; `appeal` makes people buy: mean 0, spread 1."""

    category: Array
    price: Array
    appeal: Array
    popular: Popular

    def __len__(self) -> int:
        """Number of items."""
        return len(self.price)


class Popular:
    """Picks items by uniform numbers, the popular ones more often, from one category or from all."""

    def __init__(self, category: Array, weight: Array) -> None:
        self._order = np.argsort(category, kind="stable")
        self._bounds = np.concatenate([[0.0], np.cumsum(weight[self._order])])
        first = np.searchsorted(category[self._order], np.arange(len(CATEGORIES) + 1))
        self._from, self._to = self._bounds[first[:-1]], self._bounds[first[1:]]

    def of_category(self, category: Array, u: Array) -> Array:
        """One item for each category number; `u` is uniform in [0, 1)."""
        return self._at(self._from[category] + u * (self._to - self._from)[category])

    def of_all(self, u: Array) -> Array:
        """One item for each uniform number in [0, 1)."""
        return self._at(u * self._bounds[-1])

    def _at(self, place: Array) -> Array:
        found = np.searchsorted(self._bounds, place, side="right") - 1
        return self._order[np.minimum(found, len(self._order) - 1)].astype(np.int32)


@dataclass(frozen=True)
class Shoppers:
    """Shoppers by number. `likes` is int8[shoppers, LIKED]: numbers of categories."""

    per_day: Array  # expected visits on an ordinary day
    peak_h: Array  # hour around which the shopper is about, UTC
    awake_h: Array  # standard deviation of that, in hours
    urge: Array  # how readily the shopper buys, with mean 0 and spread 1
    budget: Array  # logarithm of the price that the shopper thinks right
    likes: Array

    def __len__(self) -> int:
        """Number of shoppers."""
        return len(self.per_day)


def build_items(count: int, rng: np.random.Generator) -> Items:
    """`count` items. Every category has at least one, from `MIN_ITEMS` on; few items have most of the visits."""
    shares = np.cumsum([share for share, _ in CATEGORIES])
    category = np.searchsorted(shares / shares[-1], (np.arange(count) + 0.5) / count).astype(np.int8)
    rng.shuffle(category)
    median = np.array([price for _, price in CATEGORIES])[category]
    weight = 1.0 / (1.0 + rng.permutation(count)) ** 0.7
    return Items(
        category=category,
        price=np.maximum(np.round(median * rng.lognormal(0, 0.5, count), 2), 0.5),
        appeal=rng.standard_normal(count).astype(np.float32),
        popular=Popular(category, weight),
    )


def build_shoppers(count: int, per_day: float, rng: np.random.Generator) -> Shoppers:
    """`count` shoppers who come `per_day` times a day on average while they want nothing special."""
    often = rng.gamma(1.5, 1 / 1.5, count)
    peak = np.where(rng.random(count) < 0.7, rng.normal(19.5, 1.5, count), rng.normal(14.0, 1.5, count))
    return Shoppers(
        per_day=(per_day * np.clip(often, 0.05, 6)).astype(np.float32),
        peak_h=np.clip(peak, 11.5, 23.0).astype(np.float32),
        awake_h=rng.uniform(1.5, 4.0, count).astype(np.float32),
        urge=rng.standard_normal(count).astype(np.float32),
        budget=rng.normal(np.log(30), 0.6, count).astype(np.float32),
        likes=rng.integers(0, len(CATEGORIES), (count, LIKED)).astype(np.int8),
    )
