"""Joined rows as they were at a time, whatever arrived or was corrected since.

An example: a row of 13 August, joined every midnight. Its card holder called it fraud on the 14th, and an analyst
honest on the 15th, which arrived on the 16th only. What the row says now stands in its own columns, what it said before
in `earlier`; each with the time of the join that found it, before which all that it looked at was known (`since`).

    since (midnight)    label  label_status         a report of what was known before
    14 August           null   waiting, `earlier`   14 August, 00:00, to 15 August, 00:00
    15 August           1      joined, `earlier`    15 August, 00:00, to 17 August, 00:00
    17 August           0      joined               17 August, 00:00, or later

A report of the 13th sees no such row: no join had found it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lamina.lake.joined import STATE

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("since", "earlier")
"""What is asked of rows besides the columns of `STATE` that are wanted."""


def as_of(joined: pa.Table, known_before_ms: int) -> pa.Table:
    """The rows that had been joined by what was known before a time, epoch ms, with what they said of labels then.

    Args: joined: with `COLUMNS`. A row of the version before, which has no `since`, is taken to have been so always.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [name for name in STATE.names if name in joined.column_names]
    earlier = joined.column("earlier").combine_chunks()
    steps = pc.list_flatten(earlier)
    said = {name: pa.chunked_array([pc.struct_field(steps, name), *joined.column(name).chunks]) for name in names}
    row = np.concatenate([pc.list_parent_indices(earlier).to_numpy(), np.arange(len(joined))])
    seen = pc.fill_null(said["since"], 0).to_numpy() <= known_before_ms
    # Of a row, what it said later stands behind.
    last = np.full(len(joined), -1, np.int64)
    np.maximum.at(last, row[seen], np.flatnonzero(seen))
    there = np.flatnonzero(last >= 0)
    found = joined.take(there)
    for name, values in said.items():
        place = found.schema.get_field_index(name)
        found = found.set_column(place, found.schema.field(place), values.take(pa.array(last[there])))
    return found
