"""Honest life in the fraud world: daily purchases, and the things that look like fraud and are none.

- purchases: a Poisson number a day per user, around the user's hour; amount = user's mean x category's factor x
  log-normal; the shop is a favourite (few are visited often), one time in eight any other shop of the city or online;
- trips: about one in 60 days, 3 to 10 days in another city, sometimes abroad, rarely in a high-risk country. On the
  days of the journey the user buys online only, so that honest people never move faster than an aeroplane;
- big purchases (0.1 %, 2 to 6 times the usual), a second device (12 %), an unknown device (0.4 %), lost cards that
  turned up again and are still on the published list, and terminals registered at a wrong address (1 in 100,000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.clock import DAY_MS
from lamina.worlds.fraud.geography import CITIES, CITY_COUNTRY, CITY_DISTANCE_KM, CITY_WEIGHT, RISKY_CITIES
from lamina.worlds.fraud.population import (
    ATM,
    CASH_MACHINE,
    CATEGORY_FACTOR,
    IN_STORE,
    NEAR_SLOTS,
    ONLINE_SLOTS,
    TERMINAL,
    UNKNOWN,
    Merchants,
    Users,
)
from lamina.worlds.fraud.rows import LOST_CARD, ORDINARY, Rows
from lamina.worlds.fraud.shift import USUAL_HABITS, Habits

TRIP_BLOCK_DAYS = 30
TRIP_CHANCE = 0.5  # per user and block
SHORTEST_TRIP_DAYS, LONGEST_TRIP_DAYS = 3, 10
HOUR_MS = 3_600_000

EXPLORE = 0.12
BIG_PURCHASE = 0.001
UNKNOWN_DEVICE = 0.004
WRONG_ADDRESS = 1e-5
FOUND_AGAIN = 0.003  # of the purchases of someone whose lost card turned up
SMALLEST_AMOUNT = 0.5

Array = NDArray[Any]


@dataclass(frozen=True)
class Trips:
    """Trips beginning in one block of days: per user the first and last day (none when last < first) and the city."""

    first: Array
    last: Array
    city: Array


def plan_trips(block: int, users: Users, rng: np.random.Generator) -> Trips:
    """Trips beginning in days `block * TRIP_BLOCK_DAYS` and on; drawn for all users at once."""
    count = len(users)
    first = block * TRIP_BLOCK_DAYS + rng.integers(0, TRIP_BLOCK_DAYS, count)
    length = rng.integers(SHORTEST_TRIP_DAYS, LONGEST_TRIP_DAYS + 1, count)
    goes = rng.random(count) < TRIP_CHANCE
    weights = CITY_WEIGHT + 0.5
    weights[RISKY_CITIES] = 0.15
    anywhere = rng.choice(len(CITIES), size=count, p=weights / weights.sum())
    # Half of the travellers stay in their country, where it has another city.
    inland = np.argsort(np.where(CITY_COUNTRY[:, None] == CITY_COUNTRY[None, :], CITY_DISTANCE_KM, np.inf), axis=1)[
        :, 1
    ]
    has_other = (CITY_COUNTRY[inland] == CITY_COUNTRY)[users.city]
    city = np.where((rng.random(count) < 0.5) & has_other, inland[users.city], anywhere)
    return Trips(first, np.where(goes, first + length - 1, first - 1), city)


def whereabouts(day: int, users: Users, plans: list[Trips]) -> tuple[Array, Array]:
    """City number of each user on `day`, and whether the user is on the way; `plans` oldest first."""
    city, moving = users.city.copy(), np.zeros(len(users), dtype=bool)
    for trips in plans:
        away = (trips.first <= day) & (day <= trips.last)
        city = np.where(away, trips.city, city)
        moving |= away & ((day == trips.first) | (day == trips.last))
    return city, moving


def amounts(users: Users, merchants: Merchants, user: Array, merchant: Array, rng: np.random.Generator) -> Array:
    """What `user` would ordinarily pay at `merchant`, in units of the currency, not yet rounded."""
    sigma = users.spread[user]
    noise = rng.standard_normal(len(user), dtype=np.float32)
    factor = CATEGORY_FACTOR[merchants.category[merchant]]
    return np.asarray(users.mean_amount[user] * factor * np.exp(sigma * noise - sigma * sigma / 2))


def cents(amount: Array) -> Array:
    """Amounts as float64 with two decimals, none below `SMALLEST_AMOUNT`."""
    return np.maximum(np.round(amount.astype(np.float64), 2), SMALLEST_AMOUNT)


def devices_at(users: Users, merchants: Merchants, user: Array, merchant: Array, second: Array) -> Array:
    """Device number: the shop's terminal, the cash machine, or the user's usual (or `second`) device."""
    kind = merchants.kind[merchant]
    own = users.devices[user, second.astype(np.int8)]
    return np.where(kind == IN_STORE, TERMINAL, np.where(kind == ATM, CASH_MACHINE, own)).astype(np.int8)


def ordinary_day(
    day: int,
    midnight_ms: int,
    users: Users,
    merchants: Merchants,
    trips: list[Trips],
    lost: Array,
    rng: np.random.Generator,
    habits: Habits = USUAL_HABITS,
) -> Rows:
    """Honest transactions of one UTC day, in no order. `lost` is bool[users]: whose lost card is on the list."""
    city, moving = whereabouts(day, users, trips)
    user = np.repeat(np.arange(len(users), dtype=np.int32), rng.poisson(users.per_day))
    count = len(user)
    hour = users.peak_utc_h[user] + users.awake_h[user] * rng.standard_normal(count, dtype=np.float32)
    within = ((hour % 24) * HOUR_MS).astype(np.int64) + rng.integers(0, 256, count)
    merchant = _shops(users, merchants, user, city, moving, rng)
    amount = amounts(users, merchants, user, merchant, rng) * habits.amounts

    # One uniform number serves several rare, disjoint events.
    rare = rng.random(count)
    big = np.flatnonzero(rare < BIG_PURCHASE)
    amount[big] *= rng.uniform(2, 6, len(big)).astype(np.float32)
    unknown = (rare > 1 - UNKNOWN_DEVICE) & (merchants.kind[merchant] != IN_STORE) & (merchants.kind[merchant] != ATM)
    cash = merchants.kind[merchant] == ATM
    amount[cash] = np.maximum(10, 10 * np.round(amount[cash] / 10))
    u = rng.random(count, dtype=np.float32)
    card = ((u < 0.2) & (users.cards[user] == 2)).astype(np.int8)
    card[lost[user] & (rare > 0.5) & (rare < 0.5 + FOUND_AGAIN)] = LOST_CARD
    device = devices_at(users, merchants, user, merchant, u > 1 - habits.second_device)
    device[unknown] = UNKNOWN
    place = merchant.copy()
    wrong = np.flatnonzero((rare > 0.7) & (rare < 0.7 + WRONG_ADDRESS))
    place[wrong] = merchants.near.pick(rng.integers(0, len(CITIES), len(wrong)), rng.random(len(wrong)))
    return Rows(
        time_ms=midnight_ms + np.minimum(within, DAY_MS - 1),
        user=user,
        card=card,
        amount=cents(amount),
        merchant=merchant,
        place=place,
        device=device,
        scenario=np.full(count, ORDINARY, dtype=np.int8),
    )


def _shops(
    users: Users, merchants: Merchants, user: Array, city: Array, moving: Array, rng: np.random.Generator
) -> Array:
    """Where each purchase is made."""
    count = len(user)
    online = rng.random(count, dtype=np.float32) < users.online_share[user]
    online |= moving[user]
    u = rng.random(count, dtype=np.float32)
    rank = u * u
    slot = np.where(online, NEAR_SLOTS + (ONLINE_SLOTS * rank).astype(np.int8), (NEAR_SLOTS * rank).astype(np.int8))
    merchant = users.favourites[user, slot]
    away = city != users.city
    explores = rng.random(count, dtype=np.float32) < EXPLORE
    strange = np.flatnonzero(~online & (explores | away[user]))
    merchant[strange] = merchants.near.pick(city[user[strange]], rng.random(len(strange)))
    strange = np.flatnonzero(online & explores)
    merchant[strange] = merchants.online.pick(0, rng.random(len(strange)))
    return merchant
