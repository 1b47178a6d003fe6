"""What was decided about the rows of a training set, and how much each may therefore say in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lamina.evaluation.metrics import Flags, Floats, Ints, Texts
from lamina.lake import layout
from lamina.lake.partitions import ingested_days
from lamina.lake.write import open_lake

if TYPE_CHECKING:
    import pyarrow as pa

MOST = 100.0
"""A row never counts for more than this many: a few rows must not be the whole model."""
COLUMNS = ("action", "decided_at", "propensity", "intended")


@dataclass(frozen=True)
class DecisionLog:
    """Where decisions are archived: their topic and schema, with `COLUMNS`, `timestamp` and `id`, the column that names
    the row; and the action `withholding` the truth, after which nothing happens that a label could be about.
    """

    topic: str
    schema: pa.Schema
    id: str
    withholding: str


def weights(log: DecisionLog, lake: str, ids: Texts, timestamp: Ints, labelled: Flags) -> Floats:
    """float64[n]: for how many rows each counts; 0 where its truth cannot be known.

    What was withheld did not happen, and nobody reports on it: without a label it says nothing, neither of one kind nor
    of the other. A row that chance let through counts for all those like it, by 1 / propensity; those that chance did
    not let through are left out, labels and all, since the others stand for them.

    Args: ids: of the rows; timestamp: theirs, int64[n] epoch ms; labelled: bool[n], whether any label arrived.
    """
    found = np.ones(len(ids))
    decisions = _decisions(log, lake, timestamp)
    for i, identity in enumerate(ids):
        decided = decisions.get(identity)
        if decided is None:
            continue
        action, propensity, intended = decided
        if intended == log.withholding and propensity:
            found[i] = min(1.0 / propensity, MOST)
        elif action == log.withholding and (propensity is not None or not labelled[i]):
            found[i] = 0.0
    return found


def _decisions(log: DecisionLog, lake: str, timestamp: Ints) -> dict[str, tuple[str, float | None, str | None]]:
    """Action, propensity and what was intended of each archived decision about these times.

    Of several decisions on one row the last stands.
    """
    import pyarrow.dataset as ds

    fs, path = open_lake(layout.topic(lake, log.topic))
    if not len(timestamp) or not fs.exists(path):
        return {}
    for day in ingested_days(lake, log.topic):
        # An archive that was killed between two renames left its day aside: opening the day puts it back.
        open_lake(layout.events(lake, log.topic, day))
    # Partitions from before a column existed lack it: the schema is the contract's, and what lacks is null.
    events = ds.dataset(path, format="parquet", filesystem=fs, schema=log.schema)
    at = ds.field("timestamp")
    wanted = (at >= int(timestamp.min())) & (at <= int(timestamp.max()))
    table = events.to_table(columns=[log.id, *COLUMNS], filter=wanted).sort_by("decided_at")
    columns = (table.column(name).to_pylist() for name in (log.id, "action", "propensity", "intended"))
    return {identity: (action, share, meant) for identity, action, share, meant in zip(*columns, strict=True)}
