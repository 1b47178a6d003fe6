"""Answers with what became known of them: one row for each envelope of a system's log, shadows too, with its label.

An example: `txn-1` was approved with score 0.02 on 13 August; on the 20th its card holder's bank charged it back.

    lake/joined/fraud/day=2018-08-13/
    request_id  score  action   shadow  label  label_timestamp        label_source  label_status
    r-1         0.02   approve  false   1.0    (20 August, epoch ms)  chargeback    joined
    r-2         0.01   approve  false   0.0    null                   null          assumed
    r-3         0.40   review   false   null   null                   null          waiting

A row lies in the UTC day of its answer's own `timestamp`. `jobs.spark.join_labels` writes a day anew, as of one time:
what became known at that time or later is not looked at. What a row said before is kept with it, so that whoever asks
again what was known at an earlier time is told the same (`lamina.lake.known`). Whoever watches a model, or trains on
what was served, reads these rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from lamina.lake import layout
from lamina.lake.files import children
from lamina.lake.partitions import partition_days
from lamina.lake.write import open_lake

if TYPE_CHECKING:
    import pyarrow.dataset as ds

SAID, ASSUMED, WAITING = "joined", "assumed", "waiting"
"""Values of `label_status`: something was said of the answer; nothing was, and the window has passed, so that it is
negative; nothing was, and something still may be.
"""

STATE = pa.schema(
    [
        pa.field("since", pa.int64()),  # epoch ms before which all was known that the join looked at which found it
        pa.field("label", pa.float64()),  # 0 or 1, a grade or a reward; null while it waits
        pa.field("label_timestamp", pa.int64()),  # epoch ms at which it became known; null where nothing was said
        pa.field("label_source", pa.string()),
        pa.field("label_status", pa.string(), nullable=False),
        pa.field("contradicted", pa.bool_(), nullable=False),  # whether sources disagreed
    ]
)
"""What a row says of its label, and since when."""

SCHEMA = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("event_id", pa.string()),
        pa.field("timestamp", pa.int64(), nullable=False),  # epoch ms that it was answered for
        pa.field("served_at", pa.int64(), nullable=False),
        pa.field("subjects", pa.string(), nullable=False),  # JSON: ids by entity
        pa.field("outputs", pa.string(), nullable=False),  # JSON: numbers by name
        pa.field("score", pa.float64()),  # the first of the outputs, null without a model
        pa.field("action", pa.string()),
        pa.field("intended", pa.string()),
        pa.field("propensity", pa.float64()),
        pa.field("model", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("experiment", pa.string()),
        pa.field("arm", pa.string()),
        pa.field("bucket", pa.int64()),
        pa.field("fallback", pa.string(), nullable=False),
        pa.field("shadow", pa.bool_(), nullable=False),
        pa.field(
            "features", pa.string(), nullable=False
        ),  # JSON: values by name; of a shadow none, its answer has them
        pa.field("payload", pa.string(), nullable=False),  # JSON: what only this system knows
        pa.field("latency_ms", pa.float64(), nullable=False),
        *STATE,
        # What it said before, oldest first; null where it said nothing else.
        pa.field("earlier", pa.list_(pa.struct([each.with_nullable(True) for each in STATE]))),
    ]
)
"""Columns of joined rows. Maps are JSON text, as in the log of answers."""


def joined_days(lake: str, system: str, *, since: date | None = None, until: date | None = None) -> list[date]:
    """Days of which the lake has joined rows of `system`, oldest first.

    Args: since, until: first and last day that is asked for.
    """
    return partition_days(layout.joined_of(lake, system), layout.DAY, since=since, until=until)


def joined_dataset(lake: str, system: str, *, days: Sequence[date] | None = None) -> ds.Dataset:
    """The joined rows of `system` as a dataset, for who goes over them in batches or asks DuckDB.

    Args: days: of the answers' own time, all of them by default; a day that there is none of has no rows.
    """
    import pyarrow.dataset as ds

    fs, _ = open_lake(lake)
    files = []
    for day in joined_days(lake, system) if days is None else days:
        _, folder = open_lake(layout.joined(lake, system, day))
        files += [path for path in children(fs, folder) if path.endswith(".parquet")]
    if not files:
        return ds.dataset(SCHEMA.empty_table())
    return ds.dataset(files, format="parquet", filesystem=fs, schema=SCHEMA)


def read_joined(
    lake: str,
    system: str,
    columns: Sequence[str] | None = None,
    *,
    days: Sequence[date] | None = None,
    where: ds.Expression | None = None,
) -> pa.Table:
    """Columns of the joined rows of `system`, in no order.

    Args: columns: of `SCHEMA`, all by default; days: as in `joined_dataset`; where: which rows, such as
    `ds.field("label_status") != WAITING`.
    """
    found = joined_dataset(lake, system, days=days)
    return found.to_table(columns=list(columns or SCHEMA.names), filter=where)
