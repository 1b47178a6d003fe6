"""Who lives in the fraud world: merchants with a place and a category, users with a home, habits and cards.

Everything here is drawn once from the seed and then only read. Arrays are indexed by user or merchant number; a
number becomes an id (`user-0000012`) only when a table is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.worlds.fraud.geography import CITIES, CITY_COUNTRY, CITY_LAT, CITY_LON, COUNTRIES, HOME_SHARE

IN_STORE, ONLINE, ATM, TRANSFER = range(4)
TRANSACTION_TYPES = ("in_store", "online", "atm", "transfer")

# name, share of the merchants, amount as a multiple of the user's mean, type of the transaction
CATEGORIES: tuple[tuple[str, float, float, int], ...] = (
    ("grocery", 0.22, 0.8, IN_STORE),
    ("restaurant", 0.16, 0.7, IN_STORE),
    ("fuel", 0.08, 1.1, IN_STORE),
    ("pharmacy", 0.06, 0.5, IN_STORE),
    ("clothing", 0.07, 1.3, IN_STORE),
    ("electronics", 0.04, 1.9, IN_STORE),
    ("jewellery", 0.02, 2.5, IN_STORE),
    ("entertainment", 0.06, 0.6, IN_STORE),
    ("hotel", 0.02, 2.2, IN_STORE),
    ("cash", 0.04, 1.5, ATM),
    ("online_retail", 0.10, 1.2, ONLINE),
    ("digital_goods", 0.05, 0.3, ONLINE),
    ("gift_cards", 0.02, 1.2, ONLINE),
    ("travel_booking", 0.02, 2.2, ONLINE),
    ("online_gaming", 0.02, 0.5, ONLINE),
    ("money_transfer", 0.02, 2.0, TRANSFER),
)
CATEGORY_NAMES = tuple(category[0] for category in CATEGORIES)
CATEGORY_FACTOR = np.array([category[2] for category in CATEGORIES], dtype=np.float32)
CATEGORY_TYPE = np.array([category[3] for category in CATEGORIES], dtype=np.int8)

DEVICES = ("terminal", "atm", "mobile", "desktop", "tablet", "unknown")
TERMINAL, CASH_MACHINE, MOBILE, DESKTOP, TABLET, UNKNOWN = range(6)

NEAR_SLOTS, ONLINE_SLOTS = 11, 5
MIN_MERCHANTS = 100
JITTER_DEG = 0.08  # about 9 km: how far homes and shops lie from the middle of their city

Ints = NDArray[Any]
Floats = NDArray[Any]


class Groups:
    """Members of each key, from which one is picked by a uniform number; low positions are the popular ones."""

    def __init__(self, members: Ints, keys: Ints, size: int) -> None:
        order = np.argsort(keys, kind="stable")
        self._members = members[order]
        bounds = np.searchsorted(keys[order], np.arange(size + 1))
        self._start, self._count = bounds[:-1], np.diff(bounds)

    def pick(self, keys: Ints | int, u: Floats, fallback: Groups | None = None) -> Ints:
        """One member per key; `u` is uniform in [0, 1). A key without members asks key 0 of `fallback`."""
        count = self._count[keys]
        rank = (u * u * count).astype(np.int64)
        chosen: Ints = self._members[np.minimum(self._start[keys] + rank, len(self._members) - 1)]
        if fallback is not None:
            chosen = np.where(count > 0, chosen, fallback.pick(0, u))
        return chosen


@dataclass(frozen=True)
class Merchants:
    """Merchants by number, and groups to pick them from."""

    category: Ints
    city: Ints
    lat: Floats
    lon: Floats
    kind: Ints
    near: Groups  # by city
    near_category: Groups  # by city * categories + category
    online: Groups  # all
    online_country: Groups  # by country
    of_category: Groups  # by category

    @property
    def country(self) -> Ints:
        """Country number of each merchant."""
        return np.asarray(CITY_COUNTRY[self.city])


def build_merchants(count: int, rng: np.random.Generator) -> Merchants:
    """`count` merchants. Every category and every city has at least one, from `MIN_MERCHANTS` on."""
    shares = np.cumsum([category[1] for category in CATEGORIES])
    category = np.searchsorted(shares / shares[-1], (np.arange(count) + 0.5) / count).astype(np.int8)
    rng.shuffle(category)
    kind = CATEGORY_TYPE[category]
    city = rng.choice(len(CITIES), size=count, p=(HOME_SHARE + 0.005) / (HOME_SHARE + 0.005).sum())
    physical = np.flatnonzero((kind == IN_STORE) | (kind == ATM))
    city[physical[: len(CITIES)]] = np.arange(min(len(CITIES), len(physical)))
    remote = np.flatnonzero((kind == ONLINE) | (kind == TRANSFER))
    return Merchants(
        category=category,
        city=city,
        lat=(CITY_LAT[city] + rng.normal(0, JITTER_DEG, count)).round(6),
        lon=(CITY_LON[city] + rng.normal(0, JITTER_DEG, count)).round(6),
        kind=kind,
        near=Groups(physical, city[physical], len(CITIES)),
        near_category=Groups(
            physical, city[physical] * len(CATEGORIES) + category[physical], len(CITIES) * len(CATEGORIES)
        ),
        online=Groups(remote, np.zeros(len(remote), np.int8), 1),
        online_country=Groups(remote, CITY_COUNTRY[city[remote]], len(COUNTRIES)),
        of_category=Groups(np.arange(count), category, len(CATEGORIES)),
    )


@dataclass(frozen=True)
class Users:
    """Users by number. `favourites` is int32[users, NEAR_SLOTS + ONLINE_SLOTS], the most visited first in each part."""

    city: Ints
    mean_amount: Floats  # of the user's ordinary purchase, in units of the currency
    spread: Floats  # sigma of the logarithm of an amount
    per_day: Floats  # expected transactions a day
    peak_utc_h: Floats  # hour around which the user is active, UTC
    awake_h: Floats  # standard deviation of that, in hours
    online_share: Floats
    devices: Ints  # int8[users, 2]: usual and second device
    cards: Ints  # 1 or 2
    favourites: Ints
    by_city: Groups

    def __len__(self) -> int:
        """Number of users."""
        return len(self.city)


def build_users(count: int, per_day: float, merchants: Merchants, rng: np.random.Generator) -> Users:
    """`count` users making `per_day` transactions a day on average."""
    city = rng.choice(len(CITIES), size=count, p=HOME_SHARE)
    activity = rng.gamma(3.0, 1 / 3.0, count)
    peak_local = np.where(rng.random(count) < 0.85, rng.normal(14.5, 2.5, count), rng.normal(21.0, 2.0, count))
    usual = rng.choice([MOBILE, DESKTOP, TABLET], size=count, p=[0.6, 0.3, 0.1])
    second = rng.choice([MOBILE, DESKTOP, TABLET], size=count, p=[0.4, 0.4, 0.2])
    return Users(
        city=city,
        mean_amount=np.exp(rng.normal(np.log(32), 0.5, count)).astype(np.float32),
        spread=rng.uniform(0.25, 0.6, count).astype(np.float32),
        per_day=(per_day * np.clip(activity / activity.mean(), 0.1, 6)).astype(np.float32),
        peak_utc_h=(peak_local - CITY_LON[city] / 15).astype(np.float32),
        awake_h=rng.uniform(2.0, 4.5, count).astype(np.float32),
        online_share=rng.beta(2, 5, count).astype(np.float32),
        devices=np.stack([usual, second], axis=1).astype(np.int8),
        cards=np.where(rng.random(count) < 0.6, 1, 2).astype(np.int8),
        favourites=_favourites(city, merchants, rng),
        by_city=Groups(np.arange(count), city, len(CITIES)),
    )


def _favourites(city: Ints, merchants: Merchants, rng: np.random.Generator) -> Ints:
    """Where each user goes: near home, seven in ten of one of three liked categories; online mostly in the country."""
    users = len(city)
    chosen = np.empty((users, NEAR_SLOTS + ONLINE_SLOTS), dtype=np.int32)
    liked = rng.integers(0, len(CATEGORIES), size=(users, 3))
    for slot in range(NEAR_SLOTS):
        u = rng.random(users)
        category = liked[np.arange(users), rng.integers(0, 3, users)]
        by_taste = merchants.near_category.pick(city * len(CATEGORIES) + category, u)
        taste = (
            (rng.random(users) < 0.7) & (merchants.city[by_taste] == city) & (merchants.category[by_taste] == category)
        )
        chosen[:, slot] = np.where(taste, by_taste, merchants.near.pick(city, u))
    for slot in range(NEAR_SLOTS, NEAR_SLOTS + ONLINE_SLOTS):
        u = rng.random(users)
        at_home = merchants.online_country.pick(CITY_COUNTRY[city], u, fallback=merchants.online)
        chosen[:, slot] = np.where(rng.random(users) < 0.7, at_home, merchants.online.pick(0, u))
    return chosen


def daily_volume(users: Users, merchants: Merchants) -> Floats:
    """Expected ordinary transactions a day at each merchant's regulars, float64[merchants]."""
    near = np.diff(np.sqrt(np.linspace(0, 1, NEAR_SLOTS + 1)))
    online = np.diff(np.sqrt(np.linspace(0, 1, ONLINE_SLOTS + 1)))
    volume = np.zeros(len(merchants.city))
    for slot in range(NEAR_SLOTS + ONLINE_SLOTS):
        share = (
            (1 - users.online_share) * near[slot]
            if slot < NEAR_SLOTS
            else users.online_share * online[slot - NEAR_SLOTS]
        )
        volume += np.bincount(users.favourites[:, slot], weights=users.per_day * share, minlength=len(volume))
    return volume
