"""Events of some entities and query rows in, features out: the code that Spark's workers and DuckDB's engine share.

To a Spark worker a partition comes as one Arrow table. Rows of kind `QUERY` ask, at time `AT`, and carry the row they
belong to; rows of any other kind are events of the source with that number, with the columns that `slots` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.contracts.aggregates import DATED, Aggregate, Predicate
from lamina.contracts.features import Entity, EventSource, FeatureSet, FeatureView, WindowFeature
from lamina.features import windows as w
from lamina.features.standing import Standing
from lamina.semantics.sketch import estimate, hash_of

KIND, ENTITY, AT, ID, ROW = "_kind", "_entity", "_at", "_id", "_row"
QUERY = -1
BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Slot:
    """A column that an aggregate needs of its source: a value as a number or as text, or whether a condition holds."""

    source: int
    kind: str
    what: str | Predicate

    @property
    def name(self) -> str:
        """Name of the column in a partition; without dots, which Spark takes for fields of a struct.

        >>> Slot(0, "double", "location.lat").name
        '0/double/location/lat'
        """
        what = self.what if isinstance(self.what, str) else self.what.sql()
        return f"{self.source}/{self.kind}/{what}".replace(".", "/")


@dataclass(frozen=True)
class EntityPass:
    """Computes every windowed feature of one entity.

    Calling it is the function for `DataFrame.mapInArrow`: partitions hash-distributed by entity, rows in any order.
    """

    features: FeatureSet
    entity: Entity

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """The views of the entity."""
        return tuple(v for v in self.features.views if v.entity == self.entity)

    @property
    def sources(self) -> tuple[EventSource, ...]:
        """Their sources; the position of one is the kind of its rows."""
        return tuple(dict.fromkeys(v.source for v in self.views))

    @property
    def window_features(self) -> tuple[WindowFeature, ...]:
        """Their features, in the order of the columns that are added."""
        return tuple(f for v in self.views for f in v.features)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The columns that the aggregates need."""
        found: dict[Slot, None] = {}
        for view in self.views:
            for aggregate in view.aggregates:
                number = self.sources.index(view.source)
                if aggregate.column:
                    found[Slot(number, slot_kind(view.source, aggregate), aggregate.column)] = None
                if aggregate.where:
                    found[Slot(number, "boolean", aggregate.where)] = None
        return tuple(found)

    def needs_id(self, source: EventSource) -> bool:
        """Whether the order of events with equal times matters."""
        return any(a.kind in DATED for v in self.views if v.source == source for a in v.aggregates)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The carried rows with the features as further columns."""
        found = list(batches)
        if not found:
            return
        table = pa.Table.from_batches(found).combine_chunks()
        del found
        codes = codes_of(table[ENTITY])
        kinds = table[KIND].to_numpy()
        asked = np.flatnonzero(kinds == QUERY)
        if not len(asked):
            return
        at = table[AT].to_numpy()
        asked = asked[w.order_of(codes[asked], at[asked])]
        events = []
        for number in range(len(self.sources)):
            mine = np.flatnonzero(kinds == number)
            events.append(self.sorted_events(number, codes[mine], at[mine], table, mine))
        columns = self.answers(events, w.QueryRows(codes[asked], at[asked]))
        rows = pc.take(table[ROW].combine_chunks(), pa.array(asked))
        names = [rows.type.field(i).name for i in range(rows.type.num_fields)]
        result = pa.Table.from_arrays([*rows.flatten(), *columns.values()], names=[*names, *columns])
        yield from result.to_batches(max_chunksize=BATCH_ROWS)

    def answers(self, events: Sequence[SourceEvents], queries: w.QueryRows) -> dict[str, pa.Array]:
        """Every windowed feature of the entity for every query row; `events` in the order of `sources`."""
        columns: dict[str, pa.Array] = {}
        for own in events:
            for view in self.views:
                if view.source == own.source:
                    columns.update((f.name, own.answer(f, queries)) for f in view.features)
        return {f.name: columns[f.name] for f in self.window_features}

    def sorted_events(
        self, number: int, codes: w.Ints, at: w.Ints, table: pa.Table, rows: w.Ints | None = None
    ) -> SourceEvents:
        """The events of source `number`, sorted by entity and time, and by id where ties matter.

        Args: codes, at: int64[n], entity and epoch ms of each event. table: the columns that `slots` names, `ID` where
        `needs_id`, `KNOWN` and `UNTIL` where the source has revisions. rows: int64[n], where in `table` each event is;
        None: it is row by row the events.
        """
        source = self.sources[number]
        order = w.order_of(codes, at)
        places = order if rows is None else rows[order]
        codes, at = codes[order], at[order]
        if self.needs_id(source):
            places = _ties_by_id(codes, at, table[ID], places)
        names = [slot.name for slot in self.slots if slot.source == number]
        columns = {name: table[name].take(pa.array(places)).combine_chunks() for name in names}
        standing = Standing.of(table, places) if source.revisions else None
        return SourceEvents(source, number, w.Timeline(codes, at), columns, standing)


def _ties_by_id(codes: w.Ints, at: w.Ints, ids: pa.ChunkedArray, places: w.Ints) -> w.Ints:
    """`places` with those of equal entity and time in the order of their ids; nothing else is moved."""
    tied = (np.diff(codes) == 0) & (np.diff(at) == 0)
    among = np.flatnonzero(np.append(tied, False) | np.insert(tied, 0, False)) if len(tied) else tied
    if not len(among):
        return places
    group = np.cumsum(np.insert(~tied, 0, True))[among]
    keys = pa.table({"group": group, "id": ids.take(pa.array(places[among]))})
    order = pc.sort_indices(keys, sort_keys=[("group", "ascending"), ("id", "ascending")]).to_numpy()
    places = places.copy()
    places[among] = places[among][order]
    return places


@dataclass
class SourceEvents:
    """The events of one source in a partition, sorted, and what has been worked out about them."""

    source: EventSource
    number: int
    timeline: w.Timeline
    columns: dict[str, pa.Array]
    standing: Standing | None = None
    _stops: dict[tuple[str, int], w.Ints] = field(default_factory=dict)
    _windows: dict[tuple[str, int, int], w.Windows] = field(default_factory=dict)
    _present: dict[tuple[str | None, Predicate | None], w.Flags] = field(default_factory=dict)

    def answer(self, feature: WindowFeature, queries: w.QueryRows) -> pa.Array:
        """The feature's value for every query row; null where there is none."""
        found = self._answer(feature, queries)
        if self.standing is None:
            return found
        parts, place = [found], np.arange(len(found))
        for asked in self.standing.asked(feature, self.timeline, self._spans(feature, queries), queries):
            places = pa.array(asked.places)
            columns = {name: column.take(places) for name, column in self.columns.items()}
            stood = SourceEvents(self.source, self.number, asked.timeline, columns)
            place[asked.rows] = sum(map(len, parts)) + np.arange(len(asked.rows))
            parts.append(stood._answer(feature, asked.queries))
        return found if len(parts) == 1 else pa.concat_arrays(parts).take(pa.array(place))

    def _answer(self, feature: WindowFeature, queries: w.QueryRows) -> pa.Array:
        """The value over all events, as if none had been replaced or known late."""
        aggregate = feature.aggregate
        present = self._presence(aggregate)
        spans = self._spans(feature, queries).among(present)
        n = spans.n
        if aggregate.kind == "count":
            return pa.array(n.astype(np.float64))
        if aggregate.kind in ("first_time", "last_time"):
            place = spans.first() if aggregate.kind == "first_time" else spans.last()
            return _picked(self.timeline.ts[present].astype(np.float64), place)
        if aggregate.gap:
            going_on = w.session(spans, self.timeline.among(present), queries, aggregate.gap.ms)
            return pa.array(going_on.astype(np.float64))
        if aggregate.half_life:
            return pa.array(w.decayed(spans, self.timeline.ts[present], queries.at, aggregate.half_life.ms))
        values = self._values(aggregate)
        if not present.all():
            values = values.filter(pa.array(present))
        if aggregate.kind == "distinct":
            return pa.array(_different(spans, self.timeline.entity[present], values, aggregate.cap or 0))
        if aggregate.kind == "last_k":
            at, begins = spans.newest(aggregate.k or 0)
            return pa.ListArray.from_arrays(pa.array(begins, pa.int32()), values.take(pa.array(at)))
        if aggregate.kind in ("first", "last"):
            at, exists = spans.first() if aggregate.kind == "first" else spans.last()
            return values.take(pa.array(np.where(exists, at, 0), mask=~exists))
        numbers = values.to_numpy(zero_copy_only=False)
        match aggregate.kind:
            case "total":
                return pa.array(w.total(spans, numbers))
            case "mean":
                return pa.array(w.total(spans, numbers) / np.maximum(n, 1), mask=n == 0)
            case "minimum":
                return pa.array(w.minimum(spans, numbers), mask=n == 0)
            case "maximum":
                return pa.array(w.maximum(spans, numbers), mask=n == 0)
            case _:
                return pa.array(w.std(spans, numbers), mask=n == 0)

    def _spans(self, feature: WindowFeature, queries: w.QueryRows) -> w.Windows:
        key = (feature.view.name, feature.window.ms, feature.resolution.ms)
        if key not in self._windows:
            end = (feature.view.name, feature.resolution.ms)
            if end not in self._stops:
                self._stops[end] = self.timeline.stops(feature, queries)
            self._windows[key] = w.Windows(self.timeline.begins(feature, queries), self._stops[end])
        return self._windows[key]

    def _presence(self, aggregate: Aggregate) -> w.Flags:
        """bool[n]: the events that are aggregated, those whose condition holds and whose value is not missing."""
        key = (aggregate.column, aggregate.where)
        if key not in self._present:
            flags = np.ones(len(self.timeline.ts), bool)
            if aggregate.where:
                column = self.columns[Slot(self.number, "boolean", aggregate.where).name]
                flags &= column.to_numpy(zero_copy_only=False).astype(bool)
            if aggregate.column:
                flags &= self._values(aggregate).is_valid().to_numpy(zero_copy_only=False)
            self._present[key] = flags
        return self._present[key]

    def _values(self, aggregate: Aggregate) -> pa.Array:
        slot = Slot(self.number, slot_kind(self.source, aggregate), aggregate.column or "")
        return self.columns[slot.name]


def slot_kind(source: EventSource, aggregate: Aggregate) -> str:
    """SQL type in which an aggregate takes its column."""
    is_text = aggregate.kind == "distinct" or source.columns[aggregate.column or ""] == "string"
    return "string" if is_text else "double"


def _different(spans: w.Windows, entity: w.Ints, values: pa.Array, cap: int) -> w.Floats:
    """How many different values each window holds, as `lamina.semantics.sketch` counts them."""
    encoded = values.dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False)).astype(np.int64)
    exact = w.distinct(spans, entity, codes)
    found = exact.astype(np.float64)
    if not (above := exact > cap).any():
        return found
    hashes = np.array([int(hash_of(value), 16) for value in encoded.dictionary.to_pylist()], np.uint64)[codes]
    largest = w.smallest(w.Windows(spans.lo[above], spans.hi[above]), hashes, exact[above], cap)
    found[above] = [estimate(int(h), cap) for h in largest]
    return found


def codes_of(column: pa.Array | pa.ChunkedArray) -> w.Ints:
    """Numbers from 0 that are equal where the values are."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(whole.dictionary_encode().indices.to_numpy(zero_copy_only=False)).astype(np.int64)


def _picked(values: w.Floats, place: tuple[w.Ints, w.Flags]) -> pa.Array:
    at, exists = place
    if not len(values):
        return pa.nulls(len(at), pa.float64())
    return pa.array(values[np.where(exists, at, 0)], mask=~exists)
