"""Answers of a system in the lake: what was served to somebody, without shadows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from lamina.contracts.served import Served
from lamina.contracts.topics import predictions_of
from lamina.errors import NotMigrated
from lamina.lake import layout
from lamina.lake.partitions import ingested_days
from lamina.lake.schemas import in_lake, schema_of
from lamina.lake.write import open_lake

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

SHADOW = "shadow"


def read_answers(
    lake: str,
    system: str,
    columns: Sequence[str],
    *,
    days: Sequence[date] | None = None,
    where: ds.Expression | None = None,
) -> pa.Table:
    """Columns of the answers that `system` gave, as they are archived; duplicates and all.

    Args: columns: of the envelope, `lamina.contracts.served`; days: of arrival, all of them by default; where: which
    answers.
    Raises: NotMigrated: as `not_migrated` says.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    topic = predictions_of(system)
    schema, shadow = in_lake(schema_of(Served)), ds.field(SHADOW)
    # Null is what is no envelope: to be told of, not passed over.
    wanted = (~shadow if where is None else where & ~shadow) | shadow.is_null()
    read = list(dict.fromkeys((*columns, SHADOW)))
    found = [schema.empty_table().select(read)]
    for day in ingested_days(lake, topic) if days is None else days:
        fs, path = open_lake(layout.events(lake, topic, day))
        if fs.exists(path):
            events = ds.dataset(path, format="parquet", filesystem=fs, schema=schema)
            found.append(events.to_table(columns=read, filter=wanted))
    table = pa.concat_tables(found)
    if table.column(SHADOW).null_count:
        raise not_migrated(lake, topic)
    return table.select(list(columns))


def are_archived(lake: str, system: str, *, since: date, until: date) -> bool:
    """Whether anything that `system` served was archived for these days, as the files' footers say."""
    return holds_events(lake, predictions_of(system), since=since, until=until)


def holds_events(lake: str, topic: str, *, since: date | None = None, until: date) -> bool:
    """Whether any event of `topic` was archived for these days, as the files' footers say."""
    import pyarrow.dataset as ds

    for day in ingested_days(lake, topic, since=since, until=until):
        fs, path = open_lake(layout.events(lake, topic, day))
        if ds.dataset(path, format="parquet", filesystem=fs).count_rows():
            return True
    return False


def not_migrated(lake: str, topic: str) -> NotMigrated:
    """What to say of a log that holds answers as the version before wrote them."""
    return NotMigrated(
        f"{layout.topic(lake, topic)} holds answers in the columns of the version before: run `lamina migrate`"
    )
