"""What was decided about the rows of a training set, and how much each may therefore say in training."""

from __future__ import annotations

import numpy as np

from lamina.contracts.topics import MODEL_PREDICTIONS
from lamina.evaluation.metrics import Flags, Floats, Ints, Texts
from lamina.lake import layout
from lamina.lake.schemas import DECISIONS_SCHEMA
from lamina.lake.write import open_lake

REJECT = "reject"
MOST = 100.0
"""A row never counts for more than this many: a few rows must not be the whole model."""
COLUMNS = ("transaction_id", "action", "decided_at", "propensity", "intended")


def weights(lake: str, ids: Texts, timestamp: Ints, labelled: Flags) -> Floats:
    """float64[n]: for how many rows each counts; 0 where its truth cannot be known.

    A payment that was rejected did not happen, and nobody disputes it: without a label it says nothing, neither fraud
    nor honest. One that chance let through counts for all those like it, by 1 / propensity; those that chance did
    not let through are left out, labels and all, since the others stand for them.

    Args: ids: of the transactions; timestamp: theirs, int64[n] epoch ms; labelled: bool[n], whether any label arrived.
    """
    found = np.ones(len(ids))
    decisions = _decisions(lake, timestamp)
    for i, identity in enumerate(ids):
        decided = decisions.get(identity)
        if decided is None:
            continue
        action, propensity, intended = decided
        if intended == REJECT and propensity:
            found[i] = min(1.0 / propensity, MOST)
        elif action == REJECT and (propensity is not None or not labelled[i]):
            found[i] = 0.0
    return found


def _decisions(lake: str, timestamp: Ints) -> dict[str, tuple[str, float | None, str | None]]:
    """Action, propensity and what was intended of each archived decision about these times.

    Of several decisions on one transaction the last stands.
    """
    import pyarrow.dataset as ds

    fs, path = open_lake(layout.topic(lake, MODEL_PREDICTIONS))
    if not len(timestamp) or not fs.exists(path):
        return {}
    # Partitions from before a column existed lack it: the schema is the contract's, and what lacks is null.
    events = ds.dataset(path, format="parquet", filesystem=fs, schema=DECISIONS_SCHEMA)
    at = ds.field("timestamp")
    wanted = (at >= int(timestamp.min())) & (at <= int(timestamp.max()))
    table = events.to_table(columns=list(COLUMNS), filter=wanted).sort_by("decided_at")
    columns = (table.column(name).to_pylist() for name in ("transaction_id", "action", "propensity", "intended"))
    return {identity: (action, share, meant) for identity, action, share, meant in zip(*columns, strict=True)}
