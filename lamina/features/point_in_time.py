"""Features of rows at the time of each row, by DuckDB and the arithmetic of `lamina.features.windows`.

DuckDB reads, takes each event once, evaluates conditions, and adds what needs no window; every entity is one pass.

Hot path: keys are partitioned into parts small enough for a processor's cache, and each core works on one part; Numpy
releases the interpreter's lock in the long operations. Memory is that of the columns, and little more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lamina.contracts.features import Entity, EventSource, FeatureSet
from lamina.errors import FrameError
from lamina.features import frames, sql
from lamina.features.entity_pass import ID, EntityPass, Slot
from lamina.features.given import Frame, Given, table_of, with_ids_and_times
from lamina.features.standing import KNOWN, UNTIL
from lamina.features.windows import Ints, QueryRows, order_of

if TYPE_CHECKING:
    import duckdb

AT_MS = "at_ms"
PART = 50_000  # rows or events that are worked on at once
MOST_PARTS = 65_535
BATCH = 122_880  # as many rows as DuckDB puts into a row group
Codes = NDArray[np.int32]


def features_at(
    con: duckdb.DuckDBPyConnection,
    features: FeatureSet,
    rows: Frame,
    events: Mapping[str, Frame] | str,
    until: date | None = None,
) -> duckdb.DuckDBPyRelation:
    """`rows` with every feature of `features`, as a relation of `con`."""
    given = _rows(con, features, rows)
    asked = given.table
    passes = [EntityPass(features, entity) for entity in features.entities]
    at = asked[features.request.timestamp].cast(pa.int64()).to_numpy()
    ends = (int(at.min()), int(at.max())) if len(at) else (0, 0)
    tables = {
        source.name: _events(con, source, passes, events, ends, until)
        for source in dict.fromkeys(s for p in passes for s in p.sources)
    }
    carried = [name for name in asked.column_names if name not in features.names]
    if alike := sorted({name.lower() for name in carried} & {name.lower() for name in features.names}):
        raise FrameError(
            f"the rows have columns that are named as features {alike} but for the case: rename or drop them"
        )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        questions = list(
            pool.map(lambda p: _questions(p, pa.chunked_array([given.ids[p.entity.key]]), at, tables), passes)
        )
        tables.clear()  # keys are numbers from here on
        columns: dict[str, pa.ChunkedArray] = {}
        while questions:
            columns |= questions.pop().answers(pool)
    windowed = [f.name for f in features.window_features]
    asked = asked.drop_columns([name for name in windowed if name in asked.column_names])
    for name in windowed:
        asked = asked.append_column(name, columns[name])
    # DuckDB gives every thread batches of its own.
    con.register("answered", pa.Table.from_batches(asked.to_batches(max_chunksize=BATCH), asked.schema))
    kept = [sql.quoted(name) for name in (*carried, *windowed)]
    return con.sql(f"SELECT {', '.join((*kept, *sql.derived(features)))} FROM answered")


def _rows(con: duckdb.DuckDBPyConnection, features: FeatureSet, rows: Frame) -> Given:
    """The rows as they came, checked, with their times in epoch ms, and the ids of their entities."""
    request = features.request
    found = table_of(con, "the rows", rows)
    own = [c for f in features.request_features for c in (f.column, f.other) if c]
    own += [f.column for f in features.crossed]
    keys = [e.key for e in features.entities]
    needed = (*keys, request.timestamp)
    if lacking := frames.lacking(found.column_names, (*needed, *own)):
        raise FrameError(
            f"the rows have no columns {lacking}, which features of {features.system!r} need; add them, or ask for "
            f"views alone; there are {sorted(found.column_names)}"
        )

    def missing(n: int, column: str) -> str:
        return f"{n} of {len(found)} rows have no {column!r}: leave them out or fill them in"

    return with_ids_and_times("the rows", found, keys, [request.timestamp], missing)


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
        view = frames.events_in_frame(con, source, events[source.name], [p.entity.key for p in own])
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
        return sql.condition(slot.what, source)
    return sql.number(slot.what) if slot.kind == "double" else sql.text(source, slot.what)


@dataclass(frozen=True)
class Dealt:
    """Rows or events, partitioned by entity: all of one entity are in one part.

    Args: codes: int32[n], the entity of each; at: int64[n], epoch ms; rows: int64[n], positions grouped by part, in a
    part in their original order; ends: int64[parts + 1], where each part begins in `rows`, and the end of the last.
    """

    codes: Codes
    at: Ints
    rows: Ints
    ends: Ints

    @property
    def parts(self) -> int:
        """How many there are."""
        return len(self.ends) - 1

    def part(self, number: int) -> tuple[Ints, Ints, Ints]:
        """The rows of a part, their entities' numbers within it, their times."""
        rows = self.rows[self.ends[number] : self.ends[number + 1]]
        return rows, self.codes[rows].astype(np.int64) // self.parts, self.at[rows]


def _dealt(codes: Codes, at: Ints, parts: int) -> Dealt:
    part = (codes % parts).astype(np.uint16)
    ends = np.concatenate(([0], np.cumsum(np.bincount(part, minlength=parts))))
    return Dealt(codes, at, np.argsort(part, kind="stable"), ends)


@dataclass(frozen=True)
class Questions:
    """Rows that ask for the features of their entity, and the events of each source that answer."""

    entity: EntityPass
    asked: Dealt
    events: Sequence[Dealt]
    tables: Sequence[pa.Table]

    def answers(self, pool: ThreadPoolExecutor) -> dict[str, pa.ChunkedArray]:
        """Every windowed feature of the entity for every row, in the order of the rows."""
        orders, found = zip(*pool.map(self._part, range(self.asked.parts)), strict=True)
        back = np.empty(len(self.asked.at), np.int64)
        back[np.concatenate(orders)] = np.arange(len(back))
        places = pa.array(back)

        def in_order(name: str) -> pa.ChunkedArray:
            return pa.chunked_array([part.pop(name) for part in found]).take(places)

        names = [f.name for f in self.entity.window_features]
        return dict(zip(names, pool.map(in_order, names), strict=True))

    def _part(self, number: int) -> tuple[Ints, dict[str, pa.Array]]:
        """Rows of a part and their features."""
        rows, codes, at = self.asked.part(number)
        order = order_of(codes, at)
        events = []
        for source, (dealt, table) in enumerate(zip(self.events, self.tables, strict=True)):
            mine, of, times = dealt.part(number)
            events.append(self.entity.sorted_events(source, of, times, table, mine))
        return rows[order], self.entity.answers(events, QueryRows(codes[order], at[order]))


def _questions(entity: EntityPass, keys: pa.ChunkedArray, at: Ints, tables: Mapping[str, pa.Table]) -> Questions:
    """The questions of one entity. Args: keys: of each row; at: int64[n], its time; tables: events by source."""
    own = [tables[source.name] for source in entity.sources]
    columns = {number: table[_key(entity.entity)] for number, table in enumerate(own)}
    # Rows are often the events themselves: then nothing is looked up twice.
    same = [number for number, column in columns.items() if column.equals(keys)]
    asked, *rest = _codes([keys, *(column for number, column in columns.items() if number not in same)])
    others = iter(rest)
    codes = [asked if number in same else next(others) for number in columns]
    parts = min(MOST_PARTS, max(1, *(-(-len(c) // PART) for c in (asked, *codes))))
    events = [_dealt(c, table[AT_MS].to_numpy(), parts) for c, table in zip(codes, own, strict=True)]
    slots = [_slots(entity, number, table) for number, table in enumerate(own)]
    return Questions(entity, _dealt(asked, at, parts), events, slots)


def _slots(entity: EntityPass, number: int, table: pa.Table) -> pa.Table:
    """What an entity needs of the events of a source, as its pass names it."""
    columns = {s.name: table[_column(s)] for s in entity.slots if s.source == number}
    if entity.needs_id(entity.sources[number]):
        columns[ID] = table[ID]
    if entity.sources[number].revisions:
        columns |= {KNOWN: table[KNOWN], UNTIL: table[UNTIL]}
    return pa.table(columns).combine_chunks()


def _codes(columns: Sequence[pa.ChunkedArray]) -> list[Codes]:
    """Numbers from 0, equal where the texts are, for several columns at once."""
    together = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    encoded = together.dictionary_encode().unify_dictionaries()
    numbers = [np.zeros(0, np.int32), *(chunk.indices.to_numpy(zero_copy_only=False) for chunk in encoded.chunks)]
    ends = np.cumsum([len(column) for column in columns])[:-1]
    return np.split(np.concatenate(numbers), ends)
