"""What was decided about the rows of a training set, and how much each may therefore say in training."""

from __future__ import annotations

import numpy as np

from lamina.evaluation.metrics import Flags, Floats, Ints, Texts
from lamina.lake.answers import read_answers

MOST = 100.0
"""A row never counts for more than this many: a few rows must not be the whole model."""
COLUMNS = ("event_id", "action", "propensity", "intended", "served_at")


def weights(system: str, withholding: str, lake: str, ids: Texts, timestamp: Ints, labelled: Flags) -> Floats:
    """float64[n]: for how many rows each counts; 0 where its truth cannot be known.

    What was withheld did not happen, and nobody reports on it: without a label it says nothing, neither of one kind nor
    of the other. A row that chance let through counts for all those like it, by 1 / propensity; those that chance did
    not let through are left out, labels and all, since the others stand for them.

    Args: system: whose answers they are; withholding: its action after which nothing happens that a label could be
    about; ids: of the rows' events; timestamp: theirs, int64[n] epoch ms; labelled: bool[n], whether any label arrived.
    """
    found = np.ones(len(ids))
    decided = _decided(system, lake, timestamp)
    for i, identity in enumerate(ids):
        if identity not in decided:
            continue
        found[i] = counts_for(withholding, *decided[identity], labelled=bool(labelled[i]))
    return found


def counts_for(
    withholding: str, action: str | None, propensity: float | None, intended: str | None, *, labelled: bool
) -> float:
    """For how many rows one counts of which this was decided; see `weights`.

    >>> counts_for("reject", "approve", 0.05, "reject", labelled=False)
    20.0
    >>> counts_for("reject", "reject", None, "reject", labelled=False)
    0.0
    """
    if intended == withholding and propensity:
        return min(1.0 / propensity, MOST)
    if action == withholding and (propensity is not None or not labelled):
        return 0.0
    return 1.0


def _decided(system: str, lake: str, timestamp: Ints) -> dict[str, tuple[str | None, float | None, str | None]]:
    """Action, propensity and what was intended of each archived answer about these times, by its event.

    Of several answers to one event the last stands.
    """
    import pyarrow.dataset as ds

    if not len(timestamp):
        return {}
    at = ds.field("timestamp")
    wanted = (at >= int(timestamp.min())) & (at <= int(timestamp.max()))
    table = read_answers(lake, system, COLUMNS, where=wanted).sort_by("served_at")
    columns = (table.column(name).to_pylist() for name in ("event_id", "action", "propensity", "intended"))
    return {identity: (action, share, meant) for identity, action, share, meant in zip(*columns, strict=True)}
