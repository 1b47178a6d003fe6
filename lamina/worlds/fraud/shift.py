"""How fraudsters work and honest people live, as data, and a day from which on either is another.

Three kinds of drift, each alone or with the others: concept (`Methods`: the same payment may be fraud now and was none
before), covariate (`Habits`: payments look different, and are as honest as before), prior (`frauds`: more or fewer).
Attacks that began before the day go on as they began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.worlds.fraud.population import CATEGORY_NAMES
from lamina.worlds.fraud.rows import SCENARIOS
from lamina.worlds.protocol import WorldError

MINUTE_MS = 60_000

SHARES: Mapping[str, float] = {
    "stolen_card": 0.26,
    "account_takeover": 0.20,
    "compromised_merchant": 0.20,
    "card_testing": 0.18,
    "impossible_travel": 0.08,
    "listed_card": 0.08,
}


@dataclass(frozen=True)
class Methods:
    """How fraudsters work; the defaults are how they do in a world without a shift.

    shares: of the fraudulent transactions, by scenario. modest: share of the thieves of cards that spend like the
    owner; greed, takeover_greed: by how many times the others exceed the owner's mean, and those who took an account
    over. stolen_amounts: lowest and highest that thieves spend instead, whoever's the card. resold: categories that
    thieves buy in shops, `in_shops` of their purchases; remote: and the rest, online. stolen_gap_ms, test_gap_ms: mean
    time between the purchases of an attack. takeover: categories with their weights. own_device: share of the
    take-overs that come from the owner's usual device. tested: categories where cards are tried, for `tested_amounts`,
    lowest and highest.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    modest: float = 0.05
    greed: tuple[float, float] = (4, 15)
    stolen_amounts: tuple[float, float] | None = None
    resold: tuple[str, ...] = ("electronics", "jewellery", "clothing", "cash")
    in_shops: float = 0.7
    remote: tuple[str, ...] = ("gift_cards", "money_transfer", "online_retail", "travel_booking")
    stolen_gap_ms: float = 15 * MINUTE_MS
    takeover: Mapping[str, float] = field(
        default_factory=lambda: {
            "gift_cards": 0.4,
            "money_transfer": 0.35,
            "online_retail": 0.15,
            "travel_booking": 0.1,
        }
    )
    takeover_greed: tuple[float, float] = (5, 20)
    own_device: float = 0.0
    tested: tuple[str, ...] = ("digital_goods", "online_gaming", "online_retail")
    tested_amounts: tuple[float, float] = (0.5, 3.0)
    test_gap_ms: float = 20_000

    def __post_init__(self) -> None:
        if set(self.shares) != set(SCENARIOS) or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise WorldError(f"shares must name {', '.join(SCENARIOS)}, and add up to 1")
        if abs(sum(self.takeover.values()) - 1) > 1e-9:
            raise WorldError(f"weights of takeover add up to {sum(self.takeover.values()):g}, and must to 1")
        named = {*self.resold, *self.remote, *self.takeover, *self.tested}
        if unknown := sorted(named - set(CATEGORY_NAMES)):
            raise WorldError(f"there is no category {', '.join(unknown)}; there are {', '.join(CATEGORY_NAMES)}")


@dataclass(frozen=True)
class Habits:
    """How honest people pay: by how many times their amounts differ, and how often they use their second device."""

    amounts: float = 1.0
    second_device: float = 0.12


@dataclass(frozen=True)
class Shift:
    """From day `day` of the world on (0 is its first) there are `frauds` times as many frauds, by other methods, among
    people with other habits.

    >>> Shift(day=30, frauds=1.5).methods == USUAL_METHODS
    True
    """

    day: int
    methods: Methods = field(default_factory=Methods)
    habits: Habits = field(default_factory=Habits)
    frauds: float = 1.0

    def __post_init__(self) -> None:
        if self.day < 0 or self.frauds < 0 or self.habits.amounts <= 0 or not 0 <= self.habits.second_device <= 1:
            raise WorldError(
                "a shift's day and frauds must be 0 or more, amounts above 0, the second device's share in [0, 1]"
            )


USUAL_METHODS, USUAL_HABITS = Methods(), Habits()

QUIET = Methods(
    shares={
        "stolen_card": 0.66,
        "account_takeover": 0.16,
        "compromised_merchant": 0.02,
        "card_testing": 0.12,
        "impossible_travel": 0.02,
        "listed_card": 0.02,
    },
    stolen_amounts=(16.0, 20.0),
    in_shops=0.0,
    remote=("online_retail",),
    stolen_gap_ms=60 * MINUTE_MS,
    takeover={"online_gaming": 0.6, "travel_booking": 0.4},
    takeover_greed=(0.8, 2.0),
    own_device=0.9,
    tested=("online_gaming", "digital_goods"),
    tested_amounts=(8.0, 25.0),
    test_gap_ms=45 * MINUTE_MS,
)
"""Fraudsters who know what gave them away: small amounts, slowly, from the owner's device, and in other categories than
before. What gives them away now is how much they spend where."""


def numbers(categories: tuple[str, ...]) -> NDArray[Any]:
    """Numbers of categories, int64[n]."""
    return np.array([CATEGORY_NAMES.index(name) for name in categories])
