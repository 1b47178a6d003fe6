"""Fraud in the fraud world: six scenarios, each a function that returns the rows of a number of attacks.

- stolen_card: three and more purchases within a day and a half, shop after shop, 4 to 15 times what the owner spends,
  in what is easily resold; three in twenty thieves shop in another city, one in twenty spends like the owner and hides.
- account_takeover: a few online purchases within an hour or two from a device that is seldom the owner's, 5 to 20
  times the usual amount, mostly abroad, at any hour: gift cards, transfers, electronics' online shops.
- compromised_merchant: for four weeks nine in ten purchases at one merchant are fraud, and as many again come
  on top, with cards of people of the city; amounts are about tripled. The first week nobody knows.
- card_testing: one card is tried a dozen and more times within minutes, for tiny amounts at one to three online shops.
- impossible_travel: minutes after the owner bought in a shop, a copy of the card pays in a city over 1,500 km away.
- listed_card: a lost card that is on the published list is used once or twice, for up to 4 times the usual amount.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.clock import DAY_MS
from lamina.worlds.fraud.geography import CITIES, CITY_DISTANCE_KM, RISKY_CITIES
from lamina.worlds.fraud.ordinary import HOUR_MS, amounts, cents, devices_at
from lamina.worlds.fraud.population import CATEGORY_NAMES, IN_STORE, UNKNOWN, Merchants, Users
from lamina.worlds.fraud.rows import LOST_CARD, SCENARIOS, Rows
from lamina.worlds.fraud.shift import MINUTE_MS, USUAL_METHODS, Methods, numbers

LONGEST_ATTACK_DAYS = 3
COMPROMISED_DAYS = 28
COMPROMISED_SHARE = 0.9
COMPROMISED_EXTRA = 1.0
COMPROMISED_RAISE = 1.1  # logarithm of the factor on amounts
FAR_KM = 1_500.0

# transactions of one attack
ATTACK_SIZE = {
    "stolen_card": 7.0,
    "account_takeover": 5.0,
    "card_testing": 20.0,
    "impossible_travel": 1.3,
    "listed_card": 1.5,
}

Array = NDArray[Any]


class Attacks:
    """The fraudsters: `users` are their victims, `merchants` where they spend."""

    def __init__(self, users: Users, merchants: Merchants, lost: Array) -> None:
        self._users, self._merchants = users, merchants
        self._losers = np.flatnonzero(lost)

    def begun_on(
        self,
        midnight_ms: int,
        per_scenario: dict[str, float],
        rng: np.random.Generator,
        methods: Methods = USUAL_METHODS,
    ) -> list[Rows]:
        """Attacks that begin in the UTC day at `midnight_ms`; a row may lie up to `LONGEST_ATTACK_DAYS` later.

        Args: per_scenario: expected number of attacks a day.
        """

        def count(name: str) -> int:
            return int(rng.poisson(per_scenario[name]))

        return [
            self._stolen_cards(midnight_ms, count("stolen_card"), rng, methods),
            self._takeovers(midnight_ms, count("account_takeover"), rng, methods),
            self._card_tests(midnight_ms, count("card_testing"), rng, methods),
            self._listed_cards(midnight_ms, count("listed_card"), rng),
        ]

    def _rows(self, scenario: str, time_ms: Array, user: Array, merchant: Array, amount: Array, **other: Array) -> Rows:
        none = np.zeros(len(user), dtype=np.int8)
        device = other.get("device")
        if device is None:
            device = devices_at(self._users, self._merchants, user, merchant, none)
        return Rows(
            time_ms=time_ms.astype(np.int64),
            user=user.astype(np.int32),
            card=other.get("card", none),
            amount=cents(amount),
            merchant=merchant.astype(np.int32),
            place=merchant.astype(np.int32),
            device=device.astype(np.int8),
            scenario=np.full(len(user), SCENARIOS.index(scenario), dtype=np.int8),
        )

    def _stolen_cards(self, midnight_ms: int, count: int, rng: np.random.Generator, methods: Methods) -> Rows:
        victims = rng.integers(0, len(self._users), count)
        sizes = 3 + rng.poisson(4, count)
        attack = np.repeat(np.arange(count), sizes)
        user = victims[attack]
        city = np.where(rng.random(count) < 0.85, self._users.city[victims], rng.integers(0, len(CITIES), count))[
            attack
        ]
        u = rng.random(len(user))
        wanted = rng.choice(numbers(methods.resold), len(user))
        shop = self._merchants.near_category.pick(city * len(CATEGORY_NAMES) + wanted, u)
        fits = (self._merchants.city[shop] == city) & (self._merchants.category[shop] == wanted)
        shop = np.where(fits, shop, self._merchants.near.pick(city, u))
        remote = self._merchants.of_category.pick(rng.choice(numbers(methods.remote), len(user)), u)
        merchant = np.where(rng.random(len(user)) < methods.in_shops, shop, remote)
        greed = np.where(rng.random(count) < methods.modest, 1.0, rng.uniform(*methods.greed, count))[attack]
        amount = self._users.mean_amount[user] * greed * rng.lognormal(0, 0.35, len(user))
        if methods.stolen_amounts is not None:
            amount = rng.uniform(*methods.stolen_amounts, len(user))
        card = np.where(self._users.cards[victims] == 2, rng.integers(0, 2, count), 0)[attack].astype(np.int8)
        start = midnight_ms + rng.integers(0, DAY_MS, count)
        times = start[attack] + _steps(sizes, rng.exponential(methods.stolen_gap_ms, len(user)))
        return self._rows("stolen_card", _cap(times, start[attack]), user, merchant, amount, card=card)

    def _takeovers(self, midnight_ms: int, count: int, rng: np.random.Generator, methods: Methods) -> Rows:
        victims = rng.integers(0, len(self._users), count)
        sizes = 3 + rng.poisson(2, count)
        attack = np.repeat(np.arange(count), sizes)
        user = victims[attack]
        category = rng.choice(numbers(tuple(methods.takeover)), len(user), p=list(methods.takeover.values()))
        merchant = self._merchants.of_category.pick(category, rng.random(len(user)))
        amount = (
            self._users.mean_amount[user]
            * rng.uniform(*methods.takeover_greed, count)[attack]
            * rng.lognormal(0, 0.3, len(user))
        )
        device = rng.choice([2, 3, 4, UNKNOWN], count, p=[0.2, 0.45, 0.05, 0.3])
        if methods.own_device:
            device = np.where(rng.random(count) < methods.own_device, self._users.devices[victims, 0], device)
        device = device[attack]
        start = midnight_ms + rng.integers(0, DAY_MS, count)
        times = start[attack] + _steps(sizes, rng.exponential(10 * MINUTE_MS, len(user)))
        return self._rows("account_takeover", _cap(times, start[attack]), user, merchant, amount, device=device)

    def _card_tests(self, midnight_ms: int, count: int, rng: np.random.Generator, methods: Methods) -> Rows:
        victims = rng.integers(0, len(self._users), count)
        sizes = 10 + rng.poisson(10, count)
        attack = np.repeat(np.arange(count), sizes)
        user = victims[attack]
        shops = self._merchants.of_category.pick(
            rng.choice(numbers(methods.tested), (count, 3)), rng.random((count, 3))
        )
        merchant = shops[attack, (rng.random(len(user)) * rng.integers(1, 4, count)[attack]).astype(np.int8)]
        amount = rng.uniform(*methods.tested_amounts, len(user))
        device = np.where(rng.random(count) < 0.6, UNKNOWN, 3)[attack]
        start = midnight_ms + rng.integers(0, DAY_MS, count)
        times = start[attack] + _steps(sizes, rng.exponential(methods.test_gap_ms, len(user)))
        return self._rows("card_testing", times, user, merchant, amount, device=device)

    def _listed_cards(self, midnight_ms: int, count: int, rng: np.random.Generator) -> Rows:
        victims = rng.choice(self._losers, count)
        sizes = rng.integers(1, 3, count)
        attack = np.repeat(np.arange(count), sizes)
        user = victims[attack]
        u = rng.random(len(user))
        near = self._merchants.near.pick(self._users.city[user], u)
        merchant = np.where(rng.random(len(user)) < 0.5, near, self._merchants.online.pick(0, u))
        amount = self._users.mean_amount[user] * rng.uniform(1, 4, len(user))
        start = midnight_ms + rng.integers(0, DAY_MS, count)
        times = start[attack] + _steps(sizes, rng.exponential(30 * MINUTE_MS, len(user)))
        card = np.full(len(user), LOST_CARD, dtype=np.int8)
        return self._rows("listed_card", _cap(times, start[attack]), user, merchant, amount, card=card)

    def impossible_travel(self, day_end_ms: int, ordinary: Rows, attacks: float, rng: np.random.Generator) -> Rows:
        """Copies of cards that pay far away 5 to 55 minutes after their owners paid in a shop, one to two times."""
        merchants = self._merchants
        in_shop = merchants.kind[ordinary.merchant] == IN_STORE
        usable = np.flatnonzero(in_shop & (ordinary.time_ms < day_end_ms - 2 * HOUR_MS) & (ordinary.card != LOST_CARD))
        count = int(rng.poisson(attacks)) if len(usable) else 0
        seen = ordinary.take(usable[rng.integers(0, max(len(usable), 1), count)])
        sizes = 1 + (rng.random(count) < 0.3)
        attack = np.repeat(np.arange(count), sizes)
        here = merchants.city[seen.merchant]
        far = CITY_DISTANCE_KM[here] > FAR_KM
        weights = far * (1.0 + 6.0 * np.isin(np.arange(len(CITIES)), RISKY_CITIES))
        bounds = np.cumsum(weights, axis=1)
        city = (bounds < rng.random((count, 1)) * bounds[:, -1:]).sum(axis=1)[attack]
        merchant = merchants.near.pick(city, rng.random(len(attack)))
        user = seen.user[attack]
        amount = amounts(self._users, merchants, user, merchant, rng) * rng.uniform(2, 6, len(user))
        gaps = np.where(
            np.arange(len(attack)) == (np.cumsum(sizes) - sizes)[attack],
            rng.uniform(5, 50, len(attack)) * MINUTE_MS,
            rng.uniform(1, 30, len(attack)) * MINUTE_MS,
        )
        times = seen.time_ms[attack] + _steps(sizes, gaps, first_gap=True)
        return self._rows("impossible_travel", times, user, merchant, amount, card=seen.card[attack])

    def at_compromised(
        self, midnight_ms: int, merchant: Array, volume: Array, ordinary: Rows, rng: np.random.Generator
    ) -> Rows:
        """Turns purchases at the compromised merchants into fraud, in place; returns those that come on top.

        Args: merchant: numbers of the merchants; volume: their expected transactions a day.
        """
        bad = np.zeros(len(self._merchants.city), dtype=bool)
        bad[merchant] = True
        hit = np.flatnonzero(bad[ordinary.merchant])
        hit = hit[rng.random(len(hit)) < COMPROMISED_SHARE]
        ordinary.scenario[hit] = SCENARIOS.index("compromised_merchant")
        ordinary.amount[hit] = cents(ordinary.amount[hit] * rng.lognormal(COMPROMISED_RAISE, 0.3, len(hit)))
        shop = np.repeat(merchant, rng.poisson(COMPROMISED_EXTRA * volume))
        physical = self._merchants.kind[shop] == IN_STORE
        nearby = self._users.by_city.pick(self._merchants.city[shop], rng.random(len(shop)))
        local = physical & (self._users.city[nearby] == self._merchants.city[shop])
        user = np.where(local, nearby, rng.integers(0, len(self._users), len(shop)))
        amount = amounts(self._users, self._merchants, user, shop, rng) * rng.lognormal(
            COMPROMISED_RAISE, 0.3, len(shop)
        )
        return self._rows("compromised_merchant", midnight_ms + rng.integers(0, DAY_MS, len(shop)), user, shop, amount)


def _steps(sizes: Array, gaps: Array, first_gap: bool = False) -> Array:
    """Milliseconds since the start of each attack: running sums of `gaps` within groups of `sizes`; 0 for the first."""
    first = np.cumsum(sizes) - sizes
    total = np.cumsum(gaps)
    group = np.repeat(np.arange(len(sizes)), sizes)
    base = (total - gaps)[first] if first_gap else total[first]
    return np.asarray((total - base[group]).astype(np.int64))


def _cap(times: Array, start: Array) -> Array:
    """`times`, none later than a day and a half after `start`."""
    return np.asarray(np.minimum(times, start + DAY_MS + DAY_MS // 2))
