"""The activity world: what invented people look at, put into carts and buy, with the chances known.

A seeded simulator at any scale. Day `n` depends on the seed and `n` alone, so that days can be made in any order, by
several processes, and again. Amounts are in the shop's one currency. How people shop is said in `visits`.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions.activity import USER_EVENTS
from lamina.lake.schemas import SCHEMAS
from lamina.worlds.activity.moods import (
    LONGEST_TREND_DAYS,
    WISH_BLOCK_DAYS,
    Wishes,
    begun_on,
    plan_wishes,
    together,
)
from lamina.worlds.activity.population import MIN_ITEMS, Array, build_items, build_shoppers
from lamina.worlds.activity.visits import KINDS, PURCHASE, VIEW, Rows, shopping_day
from lamina.worlds.columns import ids
from lamina.worlds.protocol import World, WorldError

PAGES = ("item", "search", "item", "checkout")  # by kind of event
SHOPPERS_AN_ITEM = 5
_KEEP_DAYS = 3
_KEEP_BLOCKS = 3

# What a stream of random numbers is for; with the seed and a day it starts the stream.
_ITEMS, _SHOPPERS, _WISHES, _TRENDS, _VISITS = range(5)


class ActivityWorld(World):
    """`days` days of what `shoppers` people do in a shop, from midnight UTC of `start`.

    Args: items: 0 means one for every five shoppers, at least `MIN_ITEMS`; per_day: visits of a shopper on a day
    without a wish, on average.

    >>> world = ActivityWorld(seed=7, shoppers=200, days=3, start=date(2026, 1, 5))
    >>> world.events(0).column_names[:3]
    ['event_id', 'user_id', 'event_type']
    >>> world.events(1).equals(ActivityWorld(seed=7, shoppers=200, days=3, start=date(2026, 1, 5)).events(1))
    True
    """

    def __init__(self, seed: int, shoppers: int, days: int, start: date, items: int = 0, per_day: float = 0.6) -> None:
        if seed < 0 or shoppers < 1 or days < 1 or per_day <= 0:
            raise WorldError("seed must be 0 or more, shoppers, days and per_day positive")
        items = items or max(MIN_ITEMS, shoppers // SHOPPERS_AN_ITEM)
        if items < MIN_ITEMS:
            raise WorldError(f"items must be {MIN_ITEMS} or more: every category needs one")
        self.seed, self.days, self.start = seed, days, start
        self._items = build_items(items, self._rng(_ITEMS))
        self._shoppers = build_shoppers(shoppers, per_day, self._rng(_SHOPPERS))
        self._user_ids = ids("user-", np.arange(shoppers), 8)
        self._item_ids = ids("item-", np.arange(items), 7)
        self._made: OrderedDict[int, Rows] = OrderedDict()
        self._wishes: OrderedDict[int, Wishes] = OrderedDict()

    def day(self, n: int) -> dict[str, pa.Table]:
        """Events of day `n`."""
        return {USER_EVENTS.topic: self.events(n)}

    def events(self, n: int) -> pa.Table:
        """Events of day `n` in time order, with the columns of `SCHEMAS[USER_EVENTS.topic]`."""
        rows = self._rows(n)
        count, bought = len(rows), rows.kind == PURCHASE
        positions = np.arange(count)
        columns = [
            self._event_ids(n, positions),
            self._user_ids.take(pa.array(rows.shopper)),
            pa.array(KINDS).take(pa.array(rows.kind)),
            self._item_ids.take(pa.array(rows.item)),
            ids(f"session-{self.seed}-", rows.session, 14),
            pa.array(PAGES).take(pa.array(rows.kind)),
            ids(f"purchase-{self.seed}-{n:05d}-", np.cumsum(bought)[bought], 9).take(
                pa.array(np.cumsum(bought) - 1, mask=~bought)
            ),
            pa.array(rows.amount, mask=~bought),
            pa.array(rows.time_ms),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMAS[USER_EVENTS.topic])

    def truth(self, n: int) -> pa.Table:
        """Columns `event_id` of each page view of day `n`, and `purchase`: bought by its viewer within a day of it."""
        rows = self._rows(n)
        views = np.flatnonzero(rows.kind == VIEW)
        seen = rows.take(views)
        around = Rows.concatenate([self._shopping(day) for day in (n - 1, n, n + 1)])
        bought = around.take(around.kind == PURCHASE)
        return pa.table({"event_id": self._event_ids(n, views), "purchase": _followed(seen, bought, len(self._items))})

    def chances(self, n: int) -> pa.Table:
        """Columns `event_id` of each page view of day `n`, and `chance`: that the item is bought because of this visit.

        No model can know more. A later visit within a day may add to it, so views are followed somewhat more often.
        """
        rows = self._rows(n)
        views = np.flatnonzero(rows.kind == VIEW)
        return pa.table({"event_id": self._event_ids(n, views), "chance": rows.chance[views]})

    def _rng(self, purpose: int, number: int = 0) -> np.random.Generator:
        # Some of what is under way began before day 0, and a seed takes no number below 0.
        return np.random.default_rng([self.seed, purpose, number + 1 + LONGEST_TREND_DAYS])

    def _midnight(self, n: int) -> int:
        return midnight_ms(self.start) + n * DAY_MS

    def _event_ids(self, n: int, positions: Array) -> pa.Array:
        """Ids of the rows at `positions` of the sorted day: they say the world, the day and the order, no more."""
        return ids(f"event-{self.seed}-{n:05d}-", positions, 9)

    def _rows(self, n: int) -> Rows:
        if not 0 <= n < self.days:
            raise WorldError(f"this world has days 0 to {self.days - 1}, not {n}")
        midnight = self._midnight(n)
        both = Rows.concatenate([self._shopping(n - 1), self._shopping(n)])
        rows = both.take((both.time_ms >= midnight) & (both.time_ms < midnight + DAY_MS))
        return rows.take(np.argsort(rows.time_ms, kind="stable"))

    def _shopping(self, day: int) -> Rows:
        """Events of the shoppers' own day, which ends in the next; sessions are numbered through all days."""
        if day not in self._made:
            block = day // WISH_BLOCK_DAYS
            before, now = self._wishes_of(block - 1), self._wishes_of(block)
            fresh = now.on(day)
            trends = [
                begun_on(self._midnight(at), self._items, self._rng(_TRENDS, at))
                for at in range(day - LONGEST_TREND_DAYS, day + 2)
            ]
            rows = shopping_day(
                self._midnight(day),
                (self.start + timedelta(days=day)).weekday() >= 5,
                self._shoppers,
                self._items,
                fresh | before.on(day),
                np.where(fresh[:, None], now.shortlist, before.shortlist),
                together(trends),
                self._rng(_VISITS, day),
            )
            rows.session += (day + 1) * 10**9
            self._made[day] = rows
            if len(self._made) > _KEEP_DAYS:
                self._made.popitem(last=False)
        return self._made[day]

    def _wishes_of(self, block: int) -> Wishes:
        if block not in self._wishes:
            self._wishes[block] = plan_wishes(block, self._shoppers, self._items, self._rng(_WISHES, block))
            if len(self._wishes) > _KEEP_BLOCKS:
                self._wishes.popitem(last=False)
        return self._wishes[block]


def _followed(seen: Rows, bought: Rows, items: int) -> Array:
    """Whether the shopper bought the same item after each view and within a day, bool[views]."""
    pairs, code = np.unique(bought.shopper.astype(np.int64) * items + bought.item, return_inverse=True)
    if not len(pairs):
        return np.zeros(len(seen), dtype=bool)
    begin = int(bought.time_ms.min()) - 4 * DAY_MS
    span = np.int64(1) << 33  # milliseconds: longer than all that is looked at
    sold = np.sort(code * span + (bought.time_ms - begin))
    pair = seen.shopper.astype(np.int64) * items + seen.item
    place = np.minimum(np.searchsorted(pairs, pair), len(pairs) - 1)
    view = place * span + (seen.time_ms - begin)
    next_sold = sold[np.minimum(np.searchsorted(sold, view, side="right"), len(sold) - 1)]
    return np.asarray((pairs[place] == pair) & (next_sold > view) & (next_sold - view <= DAY_MS))
