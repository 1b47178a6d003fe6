"""Small training sets of the real shape, drawn from a seed: large amounts at risky merchants are fraud."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions.fraud import FEATURES
from lamina.lake import layout

DAY = date(2025, 3, 28)
"""The logical date; with a training week the rows reach from 27 to 7 days before it."""

LABEL_DELAY_MS = 5 * DAY_MS
USERS = 3000


def training_columns(day: date = DAY, *, per_day: int = 300, seed: int = 0) -> dict[str, Any]:
    """Columns of a training set for `day`: 21 days of rows, one or two in a hundred fraud, labels five days late."""
    rng = np.random.default_rng(seed)
    rows = 21 * per_day
    first = midnight_ms(day - timedelta(days=27))
    # A generator of its own for what says nothing: another feature more leaves frauds and users as they were.
    noise = np.random.default_rng([seed, 1])
    columns: dict[str, Any] = {name: noise.gamma(2.0, 20.0, rows) for name in FEATURES.names}
    columns["amount"] = rng.gamma(2.0, 20.0, rows)
    columns["merchant_fraud_risk_7d"] = rng.beta(0.3, 6, rows)
    columns["merchant_category"] = rng.choice(
        np.array(["grocery", "travel", "fuel"], dtype=object), rows, p=[0.6, 0.3, 0.1]
    )
    columns["device_type"] = rng.choice(np.array(["terminal", "mobile"], dtype=object), rows)
    log_odds = 0.1 * (columns["amount"] - 110) + 40 * (columns["merchant_fraud_risk_7d"] - 0.2)
    fraud = rng.random(rows) < 1 / (1 + np.exp(-log_odds))
    at = first + np.sort(rng.integers(0, 21 * DAY_MS, rows))
    columns |= {
        "transaction_id": np.array([f"t{i}" for i in range(rows)], dtype=object),
        "user_id": np.array([f"u{n}" for n in rng.integers(0, USERS, rows)], dtype=object),
        "timestamp": at,
        "is_fraud": fraud,
        "label_timestamp": pa.array(at + LABEL_DELAY_MS, mask=~fraud),
        "scenario": [
            ("large" if a > 110 else "risky") if f else None for f, a in zip(fraud, columns["amount"], strict=True)
        ],
    }
    return columns


def write_training_set(lake: str, day: date = DAY, columns: Mapping[str, Any] | None = None, **drawn: Any) -> str:
    """`lake`, with a training set for `day` in it, in two files as Spark would leave them."""
    table = pa.table(dict(columns if columns is not None else training_columns(day, **drawn)))
    folder = Path(layout.training(lake, FEATURES.system, day)) / "features"
    folder.mkdir(parents=True, exist_ok=True)
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    half = table.num_rows // 2
    pq.write_table(shuffled.slice(0, half), folder / "part-00000.parquet")
    pq.write_table(shuffled.slice(half), folder / "part-00001.parquet")
    (folder / "_SUCCESS").touch()
    return lake
