"""The fraud model on our own world, by the protocol of the handbook: a model where most of the fraud can be seen."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.clock import DAY_MS, midnight_ms, next_day
from lamina.definitions.fraud import FEATURES, FRAUD_LABELS, TRANSACTIONS
from lamina.features.training import training_set
from lamina.scoring.encode import as_input
from lamina.worlds.fraud import LABEL_DELAY_DAYS, FraudWorld
from models.fraud.table import Table
from models.fraud.train import Plan, train

SEED = 7
USERS = 5_000
START = date(2025, 1, 1)
DAYS = 70
ROWS_DAYS = 28
"""Days of the end that a model trains and tests on, with the delays of their labels."""

FIGURES = {
    "world_auc": "auc",
    "world_ap": "average_precision",
    "world_recall_at_fpr_001": "recall_at_fpr_001",
    "world_money_caught": "money_caught",
}


def measure_world(users: int = USERS) -> dict[str, float]:
    """Figures of the model of a world's last day, and its recall by scenario; features by DuckDB's engine."""
    world = FraudWorld(seed=SEED, users=users, days=DAYS, start=START)
    last = START + timedelta(days=DAYS - 1)
    found = train(_table(world, last), Plan(last)).spec.metrics
    scenarios = {f"world_{name}": found[name] for name in sorted(found) if name.startswith("recall_scenario_")}
    return {name: round(found[key], 4) for name, key in FIGURES.items()} | {
        k: round(v, 4) for k, v in scenarios.items()
    }


def _table(world: FraudWorld, last: date) -> Table:
    days = list(world.stream())
    labels = pa.concat_tables([world.labels_known_on(n) for n in range(DAYS + LABEL_DELAY_DAYS)])
    events = {TRANSACTIONS.name: pa.concat_tables(days), FRAUD_LABELS.name: labels}
    frame = training_set(pa.concat_tables(days[-ROWS_DAYS:]), FEATURES, events=events)
    rows = pa.Table.from_pandas(frame, preserve_index=False).sort_by([("timestamp", "ascending")])
    known = labels.filter(pc.less(labels["timestamp"], midnight_ms(next_day(last))))
    scenarios = dict(zip(known["transaction_id"].to_pylist(), known["scenario"].to_pylist(), strict=True))
    ids = rows["transaction_id"].to_pylist()
    waits = dict(zip(known["transaction_id"].to_pylist(), _days(known), strict=True))
    return Table(
        id=np.array(ids, object),
        inputs={name: as_input(rows[name]) for name in FEATURES.model_features},
        fraud=np.array([i in scenarios for i in ids]),
        user=np.array(rows["user_id"].to_pylist(), object),
        day=rows["timestamp"].to_numpy().astype(np.int64) // DAY_MS,
        amount=rows["amount"].to_numpy().astype(np.float64),
        scenario=np.array([scenarios.get(i) for i in ids], object),
        country=np.array(rows["country"].to_pylist(), object),
        weight=np.ones(len(ids)),
        waited=np.array([waits.get(i, np.nan) for i in ids]),
    )


def _days(labels: pa.Table) -> list[float]:
    """How many days each label took."""
    waited = labels["timestamp"].to_numpy() - labels["transaction_timestamp"].to_numpy()
    return [float(ms) / DAY_MS for ms in waited]
