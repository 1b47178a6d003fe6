"""Point-in-time features by DuckDB, for notebooks, tests and small data: no Java, no cluster, one call.

DuckDB reads, removes duplicates, evaluates conditions and what needs no window; the windows are the arithmetic that
Spark's workers run as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lamina import addresses
from lamina.contracts.features import ColumnType, EventSource, FeatureSet, FeatureView
from lamina.definitions import load
from lamina.errors import DefinitionError, FrameError
from lamina.features import frames
from lamina.features.given import Frame
from lamina.settings import load_settings

DICTIONARY = 1000
"""Most different values of a column in a row group that are written as numbers; looking for more of them costs a third
of the time of writing, and saves a seventh of the bytes.
"""

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Wanted = FeatureSet | str | Sequence[FeatureView]
"""A feature set, the name of a system, or single views."""

Events = Mapping[str, Frame] | str | None
"""Events by the name of their source, in order of arrival; or the URL of a lake; None: the lake of the settings."""


def training_set(
    rows: Frame, features: Wanted, *, events: Events = None, until: date | None = None, timestamp: str | None = None
) -> pd.DataFrame:
    """`rows` with every feature as it was at the time of each row, never the future; in the order of `rows`, and with
    the index of a data frame.

    A row is a request: it has the keys of the entities, a time, and the columns of the request's own features. Its own
    event is expected among the events where a view includes it. A column named like a feature is replaced by it.

    Args:
        rows: the requests: a data frame, an Arrow table, a list of dicts or the path of parquet files.
        features: a feature set, the name of a system, or views alone.
        events: by name of the source, in order of arrival, duplicates and all; or the URL of a lake.
        until: leave out what arrived in the lake after this day.
        timestamp: column of the rows with their time; the request's when not given.

    Times, of rows and events, are a date and time, ISO-8601 text (UTC where neither says a zone), or numbers since the
    epoch: seconds to nanoseconds are told apart by their size. Ids follow the rule of `lamina.contracts.ids`. NaN is
    nothing.

    Raises: FrameError: when a column is missing, or a row or an event has no id or time, or none that is exact.

    >>> from lamina.definitions.fraud import USER_SPEND
    >>> seen = [{"transaction_id": str(i), "user_id": "u", "amount": 10.0 * i, "timestamp": 1533686400000 + i}
    ...         for i in range(3)]
    >>> training_set(seen, [USER_SPEND], events={"transactions": seen})["user_avg_amount_1d"].tolist()
    [0.0, 5.0, 10.0]
    """
    with _answered(rows, features, events, until, timestamp) as found:
        frame: pd.DataFrame = found.df()
    index = getattr(rows, "index", None)
    # A list has a method of this name.
    return frame if index is None or callable(index) else frame.set_axis(index)


def write_training_set(
    rows: Frame,
    features: Wanted,
    target: str | Path,
    *,
    events: Events = None,
    until: date | None = None,
    timestamp: str | None = None,
) -> int:
    """Write what `training_set` returns to the parquet file `target` without a data frame; returns how many rows."""
    with _answered(rows, features, events, until, timestamp) as found:
        place = str(target).replace("'", "''")
        found.query("found", f"COPY found TO '{place}' (FORMAT parquet, DICTIONARY_SIZE_LIMIT {DICTIONARY})")
    import pyarrow.parquet as pq

    return int(pq.read_metadata(target).num_rows)


@contextmanager
def _answered(
    rows: Frame, features: Wanted, events: Events, until: date | None, timestamp: str | None
) -> Iterator[duckdb.DuckDBPyRelation]:
    from lamina.features.point_in_time import features_at

    chosen = _feature_set(features, timestamp)
    source = load_settings().lake_url if events is None else _lake(events) if isinstance(events, str) else events
    with frames.connect() as con:
        yield features_at(con, chosen, rows, source, until)


def _lake(url: str) -> str:
    """`url` of a lake, a relative folder as one of the current one; an empty one would be the root of the disk."""
    plain = url.strip() and not addresses.SCHEME.match(url)
    try:
        return addresses.lake(str(Path(url).absolute()) if plain else url)
    except ValueError as error:
        raise FrameError(f"events: the URL of a lake {error}") from None


def _feature_set(features: Wanted, timestamp: str | None) -> FeatureSet:
    """What is asked for as a feature set whose request has its time in `timestamp`."""
    if isinstance(features, str):
        features = load(features)
    if not isinstance(features, FeatureSet):
        views = tuple(features)
        if not views:
            raise DefinitionError("no feature view was asked for: give one, or the name of a system")
        columns: dict[str, ColumnType] = {v.entity.key: "string" for v in views}
        request = EventSource("rows", "", views[0].source.id, "timestamp", {**columns, "timestamp": "long"})
        features = FeatureSet(
            system="rows",
            request=request,
            views=views,
        )
    if timestamp is None:
        return features
    return replace(features, request=replace(features.request, timestamp=timestamp))
