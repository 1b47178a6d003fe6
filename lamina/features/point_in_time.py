"""Features of rows at the time of each row, by DuckDB and the arithmetic of `lamina.features.windows`.

DuckDB reads, takes each event once, evaluates conditions, and adds what needs no window; every entity is one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lamina.contracts.features import Entity, EventSource, FeatureSet
from lamina.errors import FrameError
from lamina.features import frames, sql
from lamina.features.entity_pass import ID, EntityPass, Slot, SourceEvents
from lamina.features.frames import Frame
from lamina.features.windows import Ints, Probes, order_of

if TYPE_CHECKING:
    import duckdb

AT_MS = "at_ms"
PART = 2_000_000  # rows or events that are worked on at once: about half a gigabyte


def features_at(
    con: duckdb.DuckDBPyConnection,
    features: FeatureSet,
    rows: Frame,
    events: Mapping[str, Frame] | str,
    until: date | None = None,
) -> duckdb.DuckDBPyRelation:
    """`rows` with every feature of `features`, as a relation of `con`."""
    asked = _rows(con, features, rows)
    passes = [EntityPass(features, entity) for entity in features.entities]
    at = asked[features.request.timestamp].cast(pa.int64()).to_numpy()
    ends = (int(at.min()), int(at.max())) if len(at) else (0, 0)
    tables = {
        source.name: _events(con, source, passes, events, ends, until)
        for source in dict.fromkeys(s for p in passes for s in p.sources)
    }
    carried = [name for name in asked.column_names if name not in features.names]
    # Numpy lets go of the interpreter in what takes long: sorting, searching, adding.
    with ThreadPoolExecutor(max(len(passes), 1)) as pool:
        answers = pool.map(lambda p: _answers(p, asked[p.entity.key].cast(pa.string()), at, tables), passes)
        columns = {name: column for found in answers for name, column in found.items()}
    windowed = [f.name for f in features.window_features]
    asked = asked.drop_columns([name for name in windowed if name in asked.column_names])
    for name in windowed:
        asked = asked.append_column(name, columns[name])
    con.register("answered", asked)
    kept = [sql.quoted(name) for name in (*carried, *windowed)]
    return con.sql(f"SELECT {', '.join((*kept, *sql.derived(features)))} FROM answered")


def _rows(con: duckdb.DuckDBPyConnection, features: FeatureSet, rows: Frame) -> pa.Table:
    """The rows as they came, checked."""
    request = features.request
    frames.frame_view(con, "requested", rows, request.timestamp)
    found = con.table("requested").to_arrow_table()
    own = [c for f in features.request_features for c in (f.column, f.other) if c]
    keys = [e.key for e in features.entities]
    needed = (*keys, request.timestamp)
    if missing := frames.lacking(found.column_names, (*needed, *own)):
        raise FrameError(
            f"the rows have no columns {missing}, which features of {features.system!r} need; add them, or ask for "
            f"views alone; there are {sorted(found.column_names)}"
        )
    for name in needed:
        if empty := found[name].null_count:
            raise FrameError(f"{empty} of {len(found)} rows have no {name!r}: leave them out or fill them in")
    return found


def _events(
    con: duckdb.DuckDBPyConnection,
    source: EventSource,
    passes: Sequence[EntityPass],
    events: Mapping[str, Frame] | str,
    ends: tuple[int, int],
    until: date | None,
) -> pa.Table:
    """Events of `source` that some window can reach, with the columns that the passes need of it."""
    own = [p for p in passes if source in p.sources]
    from_ms = ends[0] - max(v.horizon for p in own for v in p.views if v.source == source) * 1000
    if isinstance(events, str):
        view = frames.events_in_lake(con, source, events, from_ms=from_ms, until=until)
    elif source.name in events:
        view = frames.events_in_frame(con, source, events[source.name])
    else:
        raise FrameError(f"no events of {source.name!r}: there are {sorted(events)}; give them by this name")
    columns = {_key(p.entity): f"CAST({sql.quoted(p.entity.key)} AS VARCHAR)" for p in own}
    columns[AT_MS] = f"CAST({sql.quoted(source.timestamp)} AS BIGINT)"
    if any(p.needs_id(source) for p in own):
        columns[ID] = f"CAST({sql.quoted(source.id)} AS VARCHAR)"
    for p in own:
        columns.update({_column(s): _expression(s, source) for s in p.slots if p.sources[s.source] == source})
    return frames.read_events(con, source, view, columns, from_ms=from_ms, to_ms=ends[1])


def _key(entity: Entity) -> str:
    return f"key/{entity.key}"


def _column(slot: Slot) -> str:
    """The slot's name without the number of its source, which differs from entity to entity."""
    return slot.name.partition("/")[2]


def _expression(slot: Slot, source: EventSource) -> str:
    if not isinstance(slot.what, str):
        return sql.condition(slot.what)
    return sql.number(slot.what) if slot.kind == "double" else sql.text(source, slot.what)


def _answers(
    entity: EntityPass, keys: pa.ChunkedArray, at: Ints, tables: Mapping[str, pa.Table]
) -> dict[str, pa.Array]:
    """The windowed features of one entity for every row, in the order of the rows.

    Entities are dealt into parts that are worked on one after the other: memory is that of a part, not of the whole.
    """
    own = [tables[source.name] for source in entity.sources]
    columns = {number: table[_key(entity.entity)] for number, table in enumerate(own)}
    # Rows are often the events themselves: then nothing is looked up twice.
    same = [number for number, column in columns.items() if column.equals(keys)]
    asked, *rest = _codes([keys, *(column for number, column in columns.items() if number not in same)])
    others = iter(rest)
    codes = [asked if number in same else next(others) for number in columns]
    parts = max(1, *(-(-len(c) // PART) for c in (asked, *codes)))
    orders: list[Ints] = []
    found: list[pa.RecordBatch] = []
    for part in range(parts):
        rows = np.flatnonzero(asked % parts == part)
        order = rows[order_of(asked[rows], at[rows])]
        events = [_part(entity, n, codes[n], table, parts, part) for n, table in enumerate(own)]
        orders.append(order)
        found.append(pa.RecordBatch.from_pydict(entity.answers(events, Probes(asked[order], at[order]))))
    whole = pa.Table.from_batches(found)
    back = np.empty(len(asked), np.int64)
    back[np.concatenate(orders)] = np.arange(len(asked))
    return {name: whole[name].take(pa.array(back)) for name in whole.column_names}


def _part(entity: EntityPass, number: int, codes: Ints, table: pa.Table, parts: int, part: int) -> SourceEvents:
    """The events of one source of the entities of a part."""
    mine = np.flatnonzero(codes % parts == part)
    columns = {s.name: table[_column(s)] for s in entity.slots if s.source == number}
    if entity.needs_id(entity.sources[number]):
        columns[ID] = table[ID]
    at = table[AT_MS].to_numpy()
    return entity.sorted_events(number, codes[mine], at[mine], pa.table(columns), mine)


def _codes(columns: Sequence[pa.ChunkedArray]) -> list[Ints]:
    """Numbers from 0, equal where the texts are, for several columns at once."""
    together = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    encoded = together.dictionary_encode().unify_dictionaries()
    numbers = [np.zeros(0, np.int64), *(chunk.indices.to_numpy(zero_copy_only=False) for chunk in encoded.chunks)]
    ends = np.cumsum([len(column) for column in columns])[:-1]
    return [part.astype(np.int64) for part in np.split(np.concatenate(numbers), ends)]
