"""Rows of the fraud world as columns of numbers, and the tables made of them. Hot path: no work per row in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lamina.contracts.transactions import TRANSACTIONS
from lamina.lake.schemas import SCHEMAS
from lamina.worlds.columns import Columns, ids
from lamina.worlds.fraud.geography import CITY_COUNTRY, COUNTRIES
from lamina.worlds.fraud.population import (
    ATM,
    CATEGORY_NAMES,
    DEVICES,
    IN_STORE,
    TRANSACTION_TYPES,
    Merchants,
    Users,
)

CURRENCY = "EUR"
CARDS_PER_USER = 3  # the third is the one that was lost, for the few who lost one
LOST_CARD = 2
SCENARIOS = (
    "stolen_card",
    "account_takeover",
    "compromised_merchant",
    "card_testing",
    "impossible_travel",
    "listed_card",
)
ORDINARY = -1
_CARD_MIX, _CARD_BITS = 0x9E3779B97F | 1, 40

Array = NDArray[Any]


@dataclass
class Rows(Columns):
    """Transactions as equally long arrays; users, merchants and devices by number.

    `place` is the merchant whose coordinates are reported (nearly always the merchant itself), `card` is 0, 1 or
    `LOST_CARD`, `scenario` an index into `SCENARIOS` or `ORDINARY`.
    """

    time_ms: Array
    user: Array
    card: Array
    amount: Array
    merchant: Array
    place: Array
    device: Array
    scenario: Array


def card_tokens(users: Array, cards: Array) -> pa.Array:
    """Tokens of cards: a one-to-one scramble of the card's number, so that a token tells nothing."""
    number = users.astype(np.uint64) * np.uint64(CARDS_PER_USER) + cards.astype(np.uint64)
    mixed = (number * np.uint64(_CARD_MIX)) & np.uint64((1 << _CARD_BITS) - 1)
    return ids("card-", mixed, _CARD_BITS // 4, base=16)


class TableMaker:
    """Turns `Rows` into tables with the columns of topic `transactions`."""

    def __init__(self, seed: int, users: Users, merchants: Merchants) -> None:
        self._seed = seed
        self._merchants = merchants
        self._user_ids = ids("user-", np.arange(len(users)), 8)
        self._merchant_ids = ids("merchant-", np.arange(len(merchants.city)), 7)
        self._user_country = CITY_COUNTRY[users.city]
        self._merchant_country = merchants.country
        self._has_place = (merchants.kind == IN_STORE) | (merchants.kind == ATM)
        self._names = {
            "category": pa.array(CATEGORY_NAMES),
            "country": pa.array(COUNTRIES),
            "kind": pa.array(TRANSACTION_TYPES),
            "device": pa.array(DEVICES),
        }

    def transaction_ids(self, day: int, positions: Array) -> pa.Array:
        """Ids of the rows at `positions` of the sorted day: they say the world, the day and the order, no more."""
        return ids(f"txn-{self._seed}-{day:05d}-", positions, 9)

    def user_ids(self, rows: Rows) -> pa.Array:
        """`user_id` of each row."""
        return self._user_ids.take(pa.array(rows.user))

    def merchant_ids(self, rows: Rows) -> pa.Array:
        """`merchant_id` of each row."""
        return self._merchant_ids.take(pa.array(rows.merchant))

    def transactions(self, day: int, rows: Rows) -> pa.Table:
        """`rows`, already in time order, as a table of `SCHEMAS[TRANSACTIONS]`."""
        merchants, merchant, count = self._merchants, rows.merchant, len(rows)
        columns = [
            self.transaction_ids(day, np.arange(count)),
            self.user_ids(rows),
            card_tokens(rows.user, rows.card),
            pa.array(rows.amount),
            pa.repeat(CURRENCY, count),
            self.merchant_ids(rows),
            self._names["category"].take(pa.array(merchants.category[merchant])),
            self._names["country"].take(pa.array(self._merchant_country[merchant])),
            self._names["country"].take(pa.array(self._user_country[rows.user])),
            self._names["kind"].take(pa.array(merchants.kind[merchant])),
            self._names["device"].take(pa.array(rows.device)),
            self._location(rows),
            pa.array(rows.time_ms),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMAS[TRANSACTIONS])

    def _location(self, rows: Rows) -> pa.Array:
        merchants = self._merchants
        return pa.StructArray.from_arrays(
            [pa.array(merchants.lat[rows.place]), pa.array(merchants.lon[rows.place])],
            fields=list(SCHEMAS[TRANSACTIONS].field("location").type),
            mask=pa.array(~self._has_place[rows.merchant]),
        )
