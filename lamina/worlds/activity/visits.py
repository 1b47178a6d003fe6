"""How people shop: visits of a few minutes, items looked at once or more, carts, and purchases minutes to hours later.

A visit is a series of items that are considered one after the other. Each is looked at one to five times, and then
bought or not, by a chance that grows with

- what can be seen of the past: how readily the shopper has bought, whether the shopper came often lately (a wish), how
  much of this visit is past, how much the item is talked about, the hour;
- what cannot: whether the category is liked, the item is on the shopper's shortlist, its appeal, its price.

A shopper's day has its quiet hour half a day from the hour at which the shopper is mostly about; nothing of one day
reaches the next, so that any day can be made by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamina.worlds.activity.moods import HOUR_MS, SHORTLIST, Trends
from lamina.worlds.activity.population import LIKED, Array, Items, Shoppers
from lamina.worlds.columns import Columns

VIEW, CLICK, CART, PURCHASE = range(4)
KINDS = ("page_view", "click", "cart", "purchase")

MINUTE_MS = 60_000
SESSION_GAP_MS = 30 * MINUTE_MS
LONGEST_VISIT_MS = 80 * MINUTE_MS
SLOWEST_CHECKOUT_MS = 25 * MINUTE_MS
MOST_ITEMS, MOST_VIEWS = 12, 5
WEEKEND = 1.25
WISHING_VISITS = 2.0  # times as many
AT_ONCE = 0.65  # of the purchases; the others come back later
CLICKED = 0.45
TWO_PIECES = 0.1

# What an item is considered for, as far as it is asked for in this order.
FROM_SHORTLIST, FROM_TREND, FROM_LIKED = 0.25, 0.25, 0.5

# Logarithm of the odds of a purchase, and what each cause adds to it.
BASE = -7.9
CAUSES = {
    "urge": 1.4,
    "wish": 1.4,
    "depth": 0.95,
    "heat": 2.0,
    "evening": 1.0,
    "again": 0.5,
    "liked": 0.7,
    "shortlist": 0.9,
    "appeal": 0.7,
    "price": -0.5,
}
WHIM = 0.6  # spread of what nobody could know
LEFT_IN_CART = 0.8  # log-odds of a cart that is left, above those of a purchase


@dataclass
class Rows(Columns):
    """Events as equally long arrays; shoppers and items by number, `kind` an index into `KINDS`.

    `session` numbers the bursts of a shopper's day; `amount` is NaN but of purchases; `chance`, of views: that the item
    is bought because of this visit; NaN of other events.
    """

    time_ms: Array
    shopper: Array
    item: Array
    kind: Array
    session: Array
    amount: Array
    chance: Array


@dataclass(frozen=True)
class Considered:
    """Items considered in visits, in order of visit and time; `nth` of the visit's views is the first of each."""

    shopper: Array
    item: Array
    views: Array
    first_ms: Array
    last_ms: Array
    nth: Array
    wishing: Array
    listed: Array
    view_ms: Array  # of all views, in order


def shopping_day(
    midnight_ms: int,
    weekend: bool,
    shoppers: Shoppers,
    items: Items,
    wishing: Array,
    shortlist: Array,
    trends: Trends,
    rng: np.random.Generator,
) -> Rows:
    """All events of the shoppers' day that belongs to `midnight_ms`, in order of shopper and time.

    They lie between midnight and 36 hours later. Args: wishing: bool[shoppers]; shortlist: int32[shoppers, SHORTLIST].
    """
    found = _considered(midnight_ms, weekend, shoppers, items, wishing, shortlist, trends, rng)
    odds = log_odds(shoppers, items, trends, found) + WHIM * rng.standard_normal(len(found.item))
    chance = 1 / (1 + np.exp(-odds))
    bought = rng.random(len(odds)) < chance
    earlier = _bought_earlier(found, bought, len(items))
    bought &= earlier < 0
    carted = bought | (rng.random(len(odds)) < 1 / (1 + np.exp(-odds - LEFT_IN_CART)))

    of_view = np.repeat(np.arange(len(found.item)), found.views)
    clicked = np.flatnonzero(rng.random(len(of_view)) < CLICKED)
    cart_ms = found.last_ms + rng.integers(3_000, 90_000, len(odds))
    end_ms = midnight_ms + ((shoppers.peak_h[found.shopper] + 12.3) * HOUR_MS).astype(np.int64)
    paid_ms = cart_ms + _checkout(cart_ms, end_ms, rng)
    # Who has made up their mind looks again before they pay.
    chance = np.where(earlier < 0, chance, found.last_ms < paid_ms[earlier])
    pieces = 1 + (rng.random(len(odds)) < TWO_PIECES)
    price = np.round(items.price[found.item] * pieces, 2)

    def rows(kind: int, of: Array, time_ms: Array, **more: Array) -> Rows:
        none = np.full(len(of), np.nan)
        return Rows(
            time_ms=time_ms,
            shopper=found.shopper[of],
            item=found.item[of],
            kind=np.full(len(of), kind, dtype=np.int8),
            session=np.zeros(len(of), dtype=np.int64),
            amount=more.get("amount", none),
            chance=more.get("chance", none),
        )

    carts, purchases = np.flatnonzero(carted), np.flatnonzero(bought)
    everything = Rows.concatenate(
        [
            rows(CLICK, of_view[clicked], found.view_ms[clicked] - rng.integers(200, 1_500, len(clicked))),
            rows(VIEW, of_view, found.view_ms, chance=chance[of_view]),
            rows(CART, carts, cart_ms[carts]),
            rows(PURCHASE, purchases, paid_ms[purchases], amount=price[purchases]),
        ]
    )
    return _in_sessions(everything)


def log_odds(shoppers: Shoppers, items: Items, trends: Trends, found: Considered) -> Array:
    """Logarithm of the odds of a purchase of each considered item, without what nobody could know."""
    shopper, item = found.shopper, found.item
    hour = (found.first_ms // HOUR_MS) % 24
    causes = {
        "urge": shoppers.urge[shopper],
        "wish": found.wishing,
        "depth": np.log1p(found.nth),
        "heat": trends.heat(len(items), item, found.first_ms),
        "evening": np.cos((hour - 20.5) * (2 * np.pi / 24)),
        "again": found.views - 1,
        "liked": (shoppers.likes[shopper] == items.category[item][:, None]).any(axis=1),
        "shortlist": found.listed,
        "appeal": items.appeal[item],
        "price": np.log(items.price[item]) - shoppers.budget[shopper],
    }
    return np.asarray(BASE + sum(CAUSES[name] * value for name, value in causes.items()))


def _considered(
    midnight_ms: int,
    weekend: bool,
    shoppers: Shoppers,
    items: Items,
    wishing: Array,
    shortlist: Array,
    trends: Trends,
    rng: np.random.Generator,
) -> Considered:
    rate = shoppers.per_day * np.where(wishing, WISHING_VISITS, 1.0) * (WEEKEND if weekend else 1.0)
    visitor = np.repeat(np.arange(len(shoppers), dtype=np.int32), rng.poisson(rate))
    hour = shoppers.peak_h[visitor] + np.clip(
        shoppers.awake_h[visitor] * rng.standard_normal(len(visitor)), -11.0, 10.5
    )
    begun_ms = midnight_ms + (hour * HOUR_MS).astype(np.int64)
    sizes = np.minimum(1 + rng.poisson(np.where(wishing[visitor], 2.5, 1.2)), MOST_ITEMS)
    visit = np.repeat(np.arange(len(visitor)), sizes)
    shopper, count = visitor[visit], len(visit)
    wish = wishing[shopper]

    item = items.popular.of_all(rng.random(count))
    liked = shoppers.likes[shopper, rng.integers(0, LIKED, count)]
    item = np.where(rng.random(count) < FROM_LIKED, items.popular.of_category(liked, rng.random(count)), item)
    trending = trends.pick(begun_ms[visit], rng.random(count))
    item = np.where((rng.random(count) < FROM_TREND) & (trending >= 0), trending, item)
    listed = wish & (rng.random(count) < FROM_SHORTLIST)
    item = np.where(listed, shortlist[shopper, rng.integers(0, SHORTLIST, count)], item)

    views = np.minimum(1 + rng.poisson(np.where(listed, 0.8, 0.3)), MOST_VIEWS)
    first = np.cumsum(views) - views  # position of each item's first view among all views
    of_view = np.repeat(visit, views)
    in_visit = np.add.reduceat(views, np.cumsum(sizes) - sizes) if len(visitor) else views
    start = np.cumsum(in_visit) - in_visit
    elapsed = np.cumsum(2_000 + rng.exponential(40_000, len(of_view)))
    elapsed -= elapsed[start][of_view]
    lasted = elapsed[start + in_visit - 1]
    view_ms = begun_ms[of_view] + (elapsed * np.minimum(1, LONGEST_VISIT_MS / np.maximum(lasted, 1))[of_view]).astype(
        np.int64
    )
    return Considered(
        shopper=shopper,
        item=item,
        views=views,
        first_ms=view_ms[first],
        last_ms=view_ms[first + views - 1],
        nth=first - start[visit],
        wishing=wish,
        listed=listed,
        view_ms=view_ms,
    )


def _bought_earlier(found: Considered, bought: Array, items: int) -> Array:
    """Position of the same shopper's first purchase of the same item on this day, or -1: nobody buys it again."""
    pair = found.shopper.astype(np.int64) * items + found.item
    positions = np.flatnonzero(bought)
    positions = positions[np.argsort(found.first_ms[positions], kind="stable")]
    pairs, first = np.unique(pair[positions], return_index=True)
    if not len(pairs):
        return np.full(len(pair), -1)
    place = np.minimum(np.searchsorted(pairs, pair), len(pairs) - 1)
    buyer = positions[first][place]
    again = (pairs[place] == pair) & (found.first_ms > found.first_ms[buyer])
    return np.where(again, buyer, -1)


def _checkout(cart_ms: Array, end_ms: Array, rng: np.random.Generator) -> Array:
    """Milliseconds from cart to purchase: minutes, or hours where the shopper's day is long enough."""
    count = len(cart_ms)
    quick = np.clip(rng.lognormal(np.log(4 * MINUTE_MS), 0.9, count), 10_000, SLOWEST_CHECKOUT_MS)
    slow = np.clip(rng.lognormal(np.log(2.5 * HOUR_MS), 0.8, count), SESSION_GAP_MS, 20 * HOUR_MS)
    later = (rng.random(count) > AT_ONCE) & (cart_ms + slow < end_ms)
    return np.where(later, slow, quick).astype(np.int64)


def _in_sessions(rows: Rows) -> Rows:
    """`rows` in order of shopper and time, and numbered by bursts: a pause of over half an hour begins another."""
    rows = rows.take(np.lexsort((rows.time_ms, rows.shopper)))
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = (np.diff(rows.shopper) != 0) | (np.diff(rows.time_ms) > SESSION_GAP_MS)
    rows.session = np.cumsum(begins)
    return rows
