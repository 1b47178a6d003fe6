"""What makes a day unlike another: shoppers who want something, and items that everybody talks about.

Both are planned from the seed and the day alone, so that no day needs the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamina.clock import DAY_MS
from lamina.worlds.activity.population import LIKED, Array, Items, Shoppers

WISH_BLOCK_DAYS = 28
WISH_CHANCE = 0.7  # per shopper and block
LONGEST_WISH_DAYS = 7
SHORTLIST = 3
HOUR_MS = 3_600_000
LONGEST_TREND_DAYS = 2
ITEMS_A_TREND = 60


@dataclass(frozen=True)
class Wishes:
    """Shoppers who want something, from wishes that begin in one block of days: one a shopper, none if last < first.

    `shortlist` is int32[shoppers, SHORTLIST]: the items they look at again and again, all of one category.
    """

    first: Array
    last: Array
    shortlist: Array

    def on(self, day: int) -> Array:
        """Which shoppers want something on `day`, bool[shoppers]."""
        return np.asarray((self.first <= day) & (day <= self.last))


def plan_wishes(block: int, shoppers: Shoppers, items: Items, rng: np.random.Generator) -> Wishes:
    """Wishes that begin in the days from `block * WISH_BLOCK_DAYS` on; drawn for all shoppers at once."""
    count = len(shoppers)
    first = block * WISH_BLOCK_DAYS + rng.integers(0, WISH_BLOCK_DAYS, count)
    length = np.minimum(1 + rng.geometric(0.35, count), LONGEST_WISH_DAYS)
    wants = rng.random(count) < WISH_CHANCE
    category = shoppers.likes[np.arange(count), rng.integers(0, LIKED, count)]
    shortlist = [items.popular.of_category(category, rng.random(count)) for _ in range(SHORTLIST)]
    return Wishes(first, np.where(wants, first + length - 1, first - 1), np.stack(shortlist, axis=1))


@dataclass(frozen=True)
class Trends:
    """Items that are talked about for some hours, from and to times in milliseconds, and how much."""

    item: Array
    from_ms: Array
    to_ms: Array
    strength: Array

    def pick(self, time_ms: Array, u: Array) -> Array:
        """For each time an item that is talked about then, or -1; `u` is uniform in [0, 1)."""
        chosen = np.minimum((u * len(self.item)).astype(np.int64), len(self.item) - 1)
        then = (self.from_ms[chosen] <= time_ms) & (time_ms < self.to_ms[chosen])
        return np.where(then, self.item[chosen], -1).astype(np.int32)

    def heat(self, items: int, item: Array, time_ms: Array) -> Array:
        """How much each `item` is talked about at its time; 0 where it is not. Of two trends the later counts."""
        of_item = np.full(items, -1, dtype=np.int32)
        of_item[self.item] = np.arange(len(self.item))
        trend = of_item[item]
        now = (trend >= 0) & (self.from_ms[trend] <= time_ms) & (time_ms < self.to_ms[trend])
        return np.where(now, self.strength[trend], 0.0)


def begun_on(midnight_ms: int, items: Items, rng: np.random.Generator) -> Trends:
    """Trends that begin in the day at `midnight_ms`; each ends within `LONGEST_TREND_DAYS`."""
    count = max(1, round(len(items) / ITEMS_A_TREND))
    start = np.sort(midnight_ms + rng.integers(0, DAY_MS, count))
    hours = np.clip(rng.lognormal(np.log(12), 0.5, count), 4, 24 * LONGEST_TREND_DAYS)
    return Trends(
        item=items.popular.of_all(rng.random(count)),
        from_ms=start,
        to_ms=start + (hours * HOUR_MS).astype(np.int64),
        strength=rng.uniform(0.5, 1.5, count),
    )


def together(parts: list[Trends]) -> Trends:
    """All trends of `parts`, oldest first."""
    names = ("item", "from_ms", "to_ms", "strength")
    return Trends(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
