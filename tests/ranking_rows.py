"""Rows that a ranker learns from, with planted truth: lists that an older policy ordered, and what became of them.

A click needs that the place is looked at, and that the item is relevant: P = examined(place) * relevant(row). Relevance
goes by amount, age of what is known and device. The policy ordered by `CONFOUNDER`, which has nothing to do with it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.metrics import ranking
from lamina.evaluation.table import Table
from lamina.scoring.ranker.heads import Head
from lamina.scoring.ranker.weights import HeadWeights
from lamina.training.ranking.recipe import RankingPlan, RankingRecipe
from lamina.training.ranking.settings import RankerSettings
from models.fraud.problem import PROBLEM

DAY = date(2025, 3, 28)
DAYS, LISTS_A_DAY, PLACES = 12, 160, 10
CONFOUNDER, SOMETIMES = "txn_count_1h", "user_avg_amount_7d"
NAMES = ("amount", SOMETIMES, CONFOUNDER, "device_type")
EXAMINED = 0.55 ** np.arange(PLACES)
DEVICES = ("mobile", "desktop", "terminal")
LIKING = {"mobile": 1.0, "desktop": 0.0, "terminal": -1.5}

SETTINGS = RankerSettings(
    hidden=(32, 16),
    dropout=0.1,
    embedding=2,
    positions=PLACES,
    batch=256,
    epochs=15,
    patience=2,
    rate=0.005,
    position_rate=0.05,
)
RECIPE = RankingRecipe(
    problem=replace(
        PROBLEM,
        record=replace(PROBLEM.record, features=replace(FEATURES, model_features=NAMES)),
        figures=lambda rows, score: ranking(rows.positive, score),
        columns=("watched_s", "like", "position"),
        slices=lambda rows: (),
        known_leave=False,
    ),
    heads=(Head(name="watched_s", kind="quantity", unit="s", most=600.0), Head(name="click"), Head(name="like")),
    label="click",
    weights=HeadWeights(1, {"watched_s": 0.6, "click": 0.3, "like": 0.1}),
    position="position",
    settings=SETTINGS,
)
PLAN = RankingPlan(DAY, train_days=8, delay_days=1, test_days=3, valid_days=2)


def relevant(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """float64[n]: how likely a click is where the row is looked at. Of whom nothing is known, it is little."""
    liking = np.array([LIKING[device] for device in inputs["device_type"]])
    known = ~np.isnan(inputs[SOMETIMES])
    found: NDArray[np.float64] = 1 / (1 + np.exp(-(liking + 1.2 * (np.log(inputs["amount"]) - 3) + known - 1)))
    return found


def ranking_rows(seed: int = 0) -> Table:
    """Rows of twelve days, the last of which is the day before the logical date, in lists of ten."""
    rng = np.random.default_rng(seed)
    lists = DAYS * LISTS_A_DAY
    n = lists * PLACES
    inputs: dict[str, NDArray[Any]] = {
        "amount": rng.lognormal(3.0, 1.0, n),
        SOMETIMES: np.where(rng.random(n) < 0.4, np.nan, rng.gamma(2.0, 20.0, n)),
        CONFOUNDER: rng.poisson(6.0, n).astype(np.float64),
        "device_type": rng.choice(np.array(DEVICES, object), n),
    }
    by_policy = (inputs[CONFOUNDER] + rng.normal(0, 1.5, n)).reshape(lists, PLACES)
    position = (np.argsort(np.argsort(-by_policy, axis=1), axis=1) + 1).ravel()
    click = rng.random(n) < EXAMINED[position - 1] * relevant(inputs)
    # The heavy tail of what is watched: its mean is e^1.1 times its middle.
    watched = click * 20.0 * inputs["amount"] ** 0.5 * rng.lognormal(0.0, 1.5, n)
    like = (click & (rng.random(n) < 0.3 * relevant(inputs))).astype(np.float64)
    # Some players do not report.
    watched[rng.random(n) < 0.1] = np.nan
    day = midnight_ms(DAY) // DAY_MS - DAYS + np.repeat(np.arange(DAYS), LISTS_A_DAY * PLACES)
    return Table(
        id=np.array([f"r{i}" for i in range(n)], object),
        inputs=inputs,
        positive=click,
        unit=np.array([f"u{i // PLACES % 400}" for i in range(n)], object),
        day=day.astype(np.int64),
        columns={"watched_s": watched, "like": like, "position": position.astype(np.float64)},
        weight=np.ones(n),
        waited=np.where(click, 0.1, np.nan),
    )
