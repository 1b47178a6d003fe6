"""Parts of the transactions that are looked at one by one: by kind of user, amount, country and device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from lamina.evaluation.metrics import Flags
from lamina.evaluation.slices import by_value
from lamina.evaluation.table import Table

AMOUNTS = (25.0, 100.0, 1000.0)
"""Where bands of the amount begin, after the first."""


def slices(rows: Table) -> Iterator[tuple[str, Flags]]:
    """Names and masks, bool[n]. A slice overlaps those of another kind."""
    amount = rows.columns["amount"]
    yield "new users", np.asarray(rows.inputs["lifetime_txn_count"] == 0)
    edges = (-np.inf, *AMOUNTS, np.inf)
    for low, high in pairwise(edges):
        text = f"amount below {high:g}" if low == -np.inf else f"amount from {low:g}"
        yield text + (f" to {high:g}" if -np.inf < low and high < np.inf else ""), (amount >= low) & (amount < high)
    yield "abroad", np.asarray(rows.inputs["is_international"] == 1)
    yield from by_value("country", rows.columns["country"])
    yield from by_value("device", rows.inputs["device_type"])
