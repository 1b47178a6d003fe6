"""The fraud world: card payments of invented people, with fraud whose truth is known.

A seeded simulator at any scale. Day `n` depends on the seed and `n` alone, so that days can be made in any order, by
several processes, and again. How honest people behave is said in `ordinary`, how fraudsters do in
`attacks`; no id, token or order of rows tells fraud from the rest.

Amounts are in one currency (EUR). Labels exist for frauds only, as in life, and become known 1 to 7 days later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions.fraud import FRAUD_LABELS, TRANSACTIONS
from lamina.lake.schemas import SCHEMAS
from lamina.worlds.fraud.attacks import (
    ATTACK_SIZE,
    COMPROMISED_DAYS,
    COMPROMISED_EXTRA,
    COMPROMISED_SHARE,
    LONGEST_ATTACK_DAYS,
    Attacks,
)
from lamina.worlds.fraud.geography import HIGH_RISK_COUNTRIES
from lamina.worlds.fraud.ordinary import TRIP_BLOCK_DAYS, Array, Trips, ordinary_day, plan_trips
from lamina.worlds.fraud.population import IN_STORE, MIN_MERCHANTS, ONLINE, build_merchants, build_users, daily_volume
from lamina.worlds.fraud.rows import LOST_CARD, ORDINARY, SCENARIOS, Rows, TableMaker, card_tokens
from lamina.worlds.fraud.shift import USUAL_HABITS, USUAL_METHODS, Methods, Shift
from lamina.worlds.protocol import World, WorldError

LABEL_DELAY_DAYS = 7
LOST_CARDS = 0.004  # of the users
SOURCES = ("chargeback", "customer", "analyst")
_KEEP_DAYS = 16
_KEEP_BLOCKS = 3

# What a stream of random numbers is for; with the seed and a day it starts the stream.
_POPULATION, _LOST, _TRIPS, _ORDINARY, _PLAN, _COMPROMISED, _ATTACKS, _TRAVEL, _LABELS = range(9)


class FraudWorld(World):
    """`days` days of payments of `users` people from midnight UTC of `start`.

    Args: merchants: 0 means one for every five users, at least `MIN_MERCHANTS`; fraud_rate: share of the transactions
    that is fraud; per_day: transactions of a user a day, on average; shift: from a day on, another world. The days
    before it are those of the world without.

    >>> world = FraudWorld(seed=7, users=200, days=3, start=date(2025, 1, 1))
    >>> world.transactions(0).column_names[:3]
    ['transaction_id', 'user_id', 'card_token']
    >>> world.transactions(1).equals(FraudWorld(seed=7, users=200, days=3, start=date(2025, 1, 1)).transactions(1))
    True
    """

    def __init__(
        self,
        seed: int,
        users: int,
        days: int,
        start: date,
        merchants: int = 0,
        fraud_rate: float = 0.007,
        per_day: float = 3.0,
        shift: Shift | None = None,
    ) -> None:
        if seed < 0 or users < 1 or days < 1 or per_day <= 0 or not 0 <= fraud_rate < 0.5:
            raise WorldError("seed must be 0 or more, users, days and per_day positive, fraud_rate in [0, 0.5)")
        merchants = merchants or max(MIN_MERCHANTS, users // 5)
        if merchants < MIN_MERCHANTS:
            raise WorldError(f"merchants must be {MIN_MERCHANTS} or more: every city and category needs one")
        self.seed, self.days, self.start = seed, days, start
        rng = self._rng(_POPULATION)
        self._merchants = build_merchants(merchants, rng)
        self._users = build_users(users, per_day, self._merchants, rng)
        self._lost = np.zeros(users, dtype=bool)
        self._lost[self._rng(_LOST).choice(users, size=max(1, round(LOST_CARDS * users)), replace=False)] = True
        self._attacks = Attacks(self._users, self._merchants, self._lost)
        self._tables = TableMaker(seed, self._users, self._merchants)
        frauds = float(self._users.per_day.sum()) * fraud_rate / (1 - fraud_rate)
        self._shift = shift
        self._frauds_per_day = frauds
        self._volume = daily_volume(self._users, self._merchants)
        self._bad_merchant, self._bad_from = self._plan_compromised()
        self._frauds: OrderedDict[int, pa.Table] = OrderedDict()
        self._trips: OrderedDict[int, Trips] = OrderedDict()

    @property
    def listed_cards(self) -> list[str]:
        """Tokens of the lost cards, in order: the published list that the rule engine reads."""
        losers = np.flatnonzero(self._lost)
        return sorted(card_tokens(losers, np.full(len(losers), LOST_CARD)).to_pylist())

    @property
    def high_risk_countries(self) -> list[str]:
        """Codes of the countries a careful bank looks at twice; both are invented."""
        return sorted(HIGH_RISK_COUNTRIES)

    def day(self, n: int) -> dict[str, pa.Table]:
        """Transactions of day `n`, and the labels that become known on it."""
        return {TRANSACTIONS.topic: self.transactions(n), FRAUD_LABELS.topic: self.labels_known_on(n)}

    def stream(self) -> Iterator[pa.Table]:
        """Transactions of all days, oldest first, one table a day; together they are in time order."""
        return (self.transactions(n) for n in range(self.days))

    def transactions(self, n: int) -> pa.Table:
        """Transactions of day `n` in time order, with the columns of `SCHEMAS[TRANSACTIONS.topic]`."""
        rows = self._rows(n)
        self._remember_frauds(n, rows)
        return self._tables.transactions(n, rows)

    def truth(self, n: int) -> pa.Table:
        """Columns `transaction_id` and `scenario` of the frauds among the transactions of day `n`."""
        return self._frauds_of(n).select(["transaction_id", "scenario"])

    def labels_known_on(self, n: int) -> pa.Table:
        """Labels that become known on day `n`, in that order, with the columns of `SCHEMAS[FRAUD_LABELS.topic]`.

        A day after the last is allowed: the last transactions' labels are known within a week of it.
        """
        midnight = self._midnight(n)
        earlier = range(max(0, n - LABEL_DELAY_DAYS), min(n, self.days))
        if not earlier:
            return SCHEMAS[FRAUD_LABELS.topic].empty_table()
        labels = pa.concat_tables([self._frauds_of(day) for day in earlier])
        known = labels["timestamp"]
        today = pc.and_(pc.greater_equal(known, midnight), pc.less(known, midnight + DAY_MS))
        return labels.filter(today).sort_by("timestamp").combine_chunks()

    def _midnight(self, n: int) -> int:
        return midnight_ms(self.start) + n * DAY_MS

    def _rng(self, purpose: int, number: int = 0) -> np.random.Generator:
        # Some attacks began before day 0, and a seed takes no number below 0.
        return np.random.default_rng([self.seed, purpose, number + COMPROMISED_DAYS])

    def _methods(self, n: int) -> tuple[Methods, float]:
        """How the fraudsters of day `n` work, and how many frauds are expected of them."""
        if self._shift is None or n < self._shift.day:
            return USUAL_METHODS, self._frauds_per_day
        return self._shift.methods, self._frauds_per_day * self._shift.frauds

    def _attacks_on(self, n: int) -> dict[str, float]:
        """Expected attacks of day `n`, by scenario."""
        methods, frauds = self._methods(n)
        return {name: frauds * methods.shares[name] / size for name, size in ATTACK_SIZE.items()}

    def _plan_compromised(self) -> tuple[Array, Array]:
        """Which merchants are compromised, and from which day, for the whole of the world's time."""
        kind, volume, rng = self._merchants.kind, self._volume, self._rng(_PLAN)
        usable = np.flatnonzero(((kind == IN_STORE) | (kind == ONLINE)) & (volume > 0))
        low, high = np.quantile(volume[usable], [0.15, 0.6])
        usable = usable[(volume[usable] >= low) & (volume[usable] <= high)]
        each = volume[usable].mean() * (COMPROMISED_SHARE + COMPROMISED_EXTRA) * COMPROMISED_DAYS
        days = np.arange(self.days + COMPROMISED_DAYS)
        usual = self._frauds_per_day * USUAL_METHODS.shares["compromised_merchant"]
        frauds = days * usual
        if self._shift is not None:
            methods, after = self._methods(self._shift.day)
            more = after * methods.shares["compromised_merchant"] - usual
            frauds = frauds + np.maximum(days - (self._shift.day + COMPROMISED_DAYS - 1), 0) * more
        # Evenly spread, not Poisson: a small world has one at a time, and should not go months without.
        begun = np.floor(rng.random() + frauds / each)
        first = np.repeat(np.arange(1 - COMPROMISED_DAYS, self.days), np.diff(begun).astype(np.int64))
        return usable[rng.integers(0, len(usable), len(first))], first

    def _trips_of(self, block: int) -> Trips:
        if block not in self._trips:
            self._trips[block] = plan_trips(block, self._users, self._rng(_TRIPS, block))
            if len(self._trips) > _KEEP_BLOCKS:
                self._trips.popitem(last=False)
        return self._trips[block]

    def _rows(self, n: int) -> Rows:
        if not 0 <= n < self.days:
            raise WorldError(f"this world has days 0 to {self.days - 1}, not {n}")
        midnight = self._midnight(n)
        block = n // TRIP_BLOCK_DAYS
        trips = [self._trips_of(block - 1), self._trips_of(block)]
        habits = self._shift.habits if self._shift is not None and n >= self._shift.day else USUAL_HABITS
        ordinary = ordinary_day(
            n, midnight, self._users, self._merchants, trips, self._lost, self._rng(_ORDINARY, n), habits
        )
        bad = np.unique(self._bad_merchant[(self._bad_from <= n) & (n < self._bad_from + COMPROMISED_DAYS)])
        parts = [ordinary]
        parts.append(
            self._attacks.impossible_travel(
                midnight + DAY_MS, ordinary, self._attacks_on(n)["impossible_travel"], self._rng(_TRAVEL, n)
            )
        )
        parts.append(
            self._attacks.at_compromised(midnight, bad, self._volume[bad], ordinary, self._rng(_COMPROMISED, n))
        )
        for day in range(n - LONGEST_ATTACK_DAYS + 1, n + 1):
            parts += self._attacks.begun_on(
                self._midnight(day), self._attacks_on(day), self._rng(_ATTACKS, day), self._methods(day)[0]
            )
        late = Rows.concatenate(parts[1:])
        parts = [ordinary, late.take((late.time_ms >= midnight) & (late.time_ms < midnight + DAY_MS))]
        rows = Rows.concatenate(parts)
        return rows.take(np.argsort(rows.time_ms, kind="stable"))

    def _remember_frauds(self, n: int, rows: Rows) -> None:
        """Keeps the labels of day `n`, so that `labels_known_on` need not make the day again."""
        positions = np.flatnonzero(rows.scenario != ORDINARY)
        frauds, rng = rows.take(positions), self._rng(_LABELS, n)
        delay = DAY_MS + rng.beta(2, 2, len(frauds)) * ((LABEL_DELAY_DAYS - 1) * DAY_MS - 1000)
        self._frauds[n] = pa.Table.from_arrays(
            [
                self._tables.transaction_ids(n, positions),
                self._tables.user_ids(frauds),
                self._tables.merchant_ids(frauds),
                pa.repeat(True, len(frauds)),
                pa.array(SCENARIOS).take(pa.array(frauds.scenario)),
                pa.array(SOURCES).take(pa.array(rng.choice(len(SOURCES), len(frauds), p=[0.6, 0.3, 0.1]))),
                pa.array(frauds.time_ms),
                pa.array(frauds.time_ms + delay.astype(np.int64)),
            ],
            schema=SCHEMAS[FRAUD_LABELS.topic],
        )
        self._frauds.move_to_end(n)
        if len(self._frauds) > _KEEP_DAYS:
            self._frauds.popitem(last=False)

    def _frauds_of(self, n: int) -> pa.Table:
        if n not in self._frauds:
            self._remember_frauds(n, self._rows(n))
        return self._frauds[n]
