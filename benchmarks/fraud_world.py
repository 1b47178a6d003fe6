"""The fraud model on our own world, by the protocol of the handbook: a model where most of the fraud can be seen; and
rules and model together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.fraud_together import load_book, measure_together
from lamina.clock import DAY_MS, midnight_ms, next_day
from lamina.definitions.fraud import FEATURES, FRAUD_LABELS, FRAUD_REPORTS, TRANSACTIONS
from lamina.evaluation.table import Table
from lamina.features.training import training_set
from lamina.rules.kinds import FEATURES_READ
from lamina.scoring.encode import as_input
from lamina.training.train import TrainingPlan, train
from lamina.worlds.fraud.world import LABEL_DELAY_DAYS, FraudWorld
from models.fraud.recipe import RECIPE

SEED = 7
MORE_SEEDS = (1, 2)
"""Of the further worlds that rules and model together are measured on: what a week holds differs much."""
USERS = 5_000
START = date(2025, 1, 1)
DAYS = 112
ROWS_DAYS = 49
"""Days of the end that models train and test on, with the delays of their labels; the days before fill the windows."""
IN_SERVICE_DAYS = 14
"""How old, on the last day, the model is that was in service in the last test days."""

FIGURES = {
    "world_auc": "auc",
    "world_ap": "average_precision",
    "world_recall_at_fpr_001": "recall_at_fpr_001",
    "world_money_caught": "money_caught",
}

Figures = dict[str, float | str]


def measure_world(users: int = USERS, seeds: Sequence[int] = (SEED, *MORE_SEEDS)) -> Figures:
    """Of the first world the model's figures and its recall by scenario; of all of them those of rules and model
    together, as means, the lowest recall beside. Features by DuckDB's engine.
    """
    last = START + timedelta(days=DAYS - 1)
    figures: Figures = {}
    together: list[Figures] = []
    for seed in seeds:
        world = FraudWorld(seed=seed, users=users, days=DAYS, start=START)
        table, transactions = world_table(world, last, ROWS_DAYS)
        if not together:
            found = train(RECIPE, table, _plan(last)).spec.metrics
            figures |= {name: round(found[key], 4) for name, key in FIGURES.items()}
            figures |= {f"world_{k}": round(found[k], 4) for k in sorted(found) if k.startswith("recall_scenario_")}
        in_service, later = _plan(last - timedelta(days=IN_SERVICE_DAYS)), _plan(last)
        payments = {p["transaction_id"]: p for plan in (in_service, later) for p in _tested(transactions, plan)}
        together.append(measure_together(table, payments, load_book(world.listed_cards), in_service, later))
    return figures | _over_worlds(together)


def _plan(day: date) -> TrainingPlan:
    """What to train for `day`; not calibrated, which changes no order."""
    return TrainingPlan(day, calibrate=False)


def _over_worlds(worlds: Sequence[Figures]) -> Figures:
    found: Figures = {}
    for key in sorted({key for world in worlds for key in world} - {"rules"}):
        values = [float(world[key]) for world in worlds if key in world]
        found[f"world_together_{key}"] = round(fmean(values), 5 if key.startswith("fpr") else 4)
    found["world_together_recall_at_fpr_001_lowest"] = round(min(float(w["recall_at_fpr_001"]) for w in worlds), 4)
    found["world_together_rules"] = "; ".join(dict.fromkeys(str(world["rules"]) for world in worlds))
    return found


def _tested(transactions: pa.Table, plan: TrainingPlan) -> list[dict[str, Any]]:
    """The transactions of the plan's test days, as mappings."""
    at, split = transactions["timestamp"], plan.days
    first, end = midnight_ms(split.test_first), midnight_ms(next_day(split.test_last))
    inside = transactions.filter(pc.and_(pc.greater_equal(at, first), pc.less(at, end)))
    rows: list[dict[str, Any]] = inside.to_pylist()
    return rows


def world_table(world: FraudWorld, last: date, rows_days: int) -> tuple[Table, pa.Table]:
    """The rows of the world's last days with their features, labelled as known at the end of `last`, and their
    transactions. The time of each is its column `timestamp`, in epoch milliseconds.
    """
    days = list(world.stream())
    labels = pa.concat_tables([world.labels_known_on(n) for n in range(world.days + LABEL_DELAY_DAYS)])
    events = {TRANSACTIONS.name: pa.concat_tables(days), FRAUD_LABELS.name: labels, FRAUD_REPORTS.name: labels}
    transactions = pa.concat_tables(days[-rows_days:])
    frame = training_set(transactions, FEATURES, events=events)
    rows = pa.Table.from_pandas(frame, preserve_index=False).sort_by([("timestamp", "ascending")])
    known = labels.filter(pc.less(labels["timestamp"], midnight_ms(next_day(last))))
    scenarios = dict(zip(known["transaction_id"].to_pylist(), known["scenario"].to_pylist(), strict=True))
    ids = rows["transaction_id"].to_pylist()
    waits = dict(zip(known["transaction_id"].to_pylist(), _days(known), strict=True))
    table = Table(
        id=np.array(ids, object),
        inputs={name: as_input(rows[name]) for name in dict.fromkeys((*FEATURES.model_features, *FEATURES_READ))},
        positive=np.array([i in scenarios for i in ids]),
        unit=np.array(rows["user_id"].to_pylist(), object),
        day=rows["timestamp"].to_numpy().astype(np.int64) // DAY_MS,
        columns={
            "amount": rows["amount"].to_numpy().astype(np.float64),
            "scenario": np.array([scenarios.get(i) for i in ids], object),
            "country": np.array(rows["country"].to_pylist(), object),
            "timestamp": rows["timestamp"].to_numpy(),
        },
        weight=np.ones(len(ids)),
        waited=np.array([waits.get(i, np.nan) for i in ids]),
    )
    return table, transactions


def _days(labels: pa.Table) -> list[float]:
    """How many days each label took."""
    waited = labels["timestamp"].to_numpy() - labels["transaction_timestamp"].to_numpy()
    return [float(ms) / DAY_MS for ms in waited]
