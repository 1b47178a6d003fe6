"""Tiles built the slow way, straight from events: what Spark and Flink are expected to have written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import nan

from lamina.contracts.features import FeatureSet
from lamina.semantics.events import EventRow, time_of, value_of
from lamina.semantics.plan import Plan, State, TileSpec
from lamina.semantics.reference import as_streamed, without_duplicates
from lamina.semantics.sketch import kept
from lamina.semantics.states import state_of_event
from lamina.store.blobs import encode_batch, reachable
from lamina.store.protocol import BatchWrite, TileWrite, speed_key
from lamina.store.tiles import TileColumns, encode_speed, keyed_field, tile_field


def tiles_of(tile_spec: TileSpec, once: Iterable[EventRow]) -> dict[str, dict[int, list[EventRow]]]:
    """Events by entity id and tile start."""
    found: dict[str, dict[int, list[EventRow]]] = defaultdict(lambda: defaultdict(list))
    for event in once:
        start = tile_spec.start_ms(int(str(value_of(event, tile_spec.source.timestamp))))
        found[str(value_of(event, tile_spec.entity.key))][start].append(event)
    return found


def merged(state: State, tile_spec: TileSpec, events: Sequence[EventRow]) -> object:
    """One state of one tile, from its events."""
    parts = [state_of_event(state, tile_spec, e) for e in events]
    if state.kind == "distinct":
        return sorted({v for p in parts for v in p})[: kept(state.size)]  # type: ignore[union-attr]
    if state.kind == "last_k":
        return sorted((v for p in parts for v in p), reverse=True)[: state.size]  # type: ignore[union-attr]
    present = [p for p in parts if p is not None and p == p]
    match state.kind:
        case "count" | "sum" | "decayed":
            return sum(present)  # type: ignore[arg-type]
        case "m2":
            sums = [state_of_event(State("sum", state.column, state.where), tile_spec, e) for e in events]
            ones = [state_of_event(State("count", state.column, state.where), tile_spec, e) for e in events]
            values = [float(str(s)) for s, one in zip(sums, ones, strict=True) if one]
            mean = sum(values) / len(values) if values else 0.0
            return sum((v - mean) ** 2 for v in values)
        case "first" | "min" | "first_time":
            return min(present, default=None if state.kind == "first" else nan)
        case _:
            return max(present, default=None if state.kind == "last" else nan)


def batch_columns(tile_spec: TileSpec, arrived: Iterable[EventRow], batch_end_ms: int) -> dict[str, TileColumns]:
    """Tiles that start before `batch_end_ms`, by entity id."""
    found = {}
    for entity_id, tiles in tiles_of(
        tile_spec, without_duplicates(tile_spec.source, arrived, batch_end_ms - 1)
    ).items():
        starts = sorted(s for s in tiles if s < batch_end_ms)
        found[entity_id] = TileColumns(
            starts,
            [len(tiles[s]) for s in starts],
            [[merged(x, tile_spec, tiles[s]) for s in starts] for x in tile_spec.states if x.numeric],  # type: ignore[misc]
            [[merged(x, tile_spec, tiles[s]) for s in starts] for x in tile_spec.states if not x.numeric],  # type: ignore[misc]
            [[merged(x, tile_spec, tiles[s]) for s in starts] for x in tile_spec.keyed],  # type: ignore[misc]
        )
    return found


def batch_writes(plan: Plan, arrived: Mapping[str, Sequence[EventRow]], batch_end_ms: int) -> list[BatchWrite]:
    """What the batch layer publishes."""
    blobs: dict[str, dict[str, bytes]] = defaultdict(dict)
    for tile_spec in plan.tile_specs:
        for entity_id, columns in batch_columns(
            tile_spec, arrived.get(tile_spec.source.name, ()), batch_end_ms
        ).items():
            kept = reachable(tile_spec, columns, batch_end_ms)
            blobs[speed_key(tile_spec.entity.name, entity_id)][tile_spec.id] = encode_batch(
                batch_end_ms, kept, tile_spec.hashed
            )
    speed = {
        kind: tuple(t.id for t in plan.speed if t.entity.name == kind) for kind in {k.split(":")[0] for k in blobs}
    }
    return [BatchWrite(key, found, speed[key.split(":")[0]]) for key, found in blobs.items()]


def speed_writes(
    tile_specs: Iterable[TileSpec], arrived: Mapping[str, Sequence[EventRow]], from_ms: int
) -> list[TileWrite]:
    """What the speed layer holds at the end: tiles that start at or after `from_ms`."""
    writes = []
    for tile_spec in tile_specs:
        for entity_id, tiles in tiles_of(
            tile_spec, as_streamed(tile_spec.source, arrived.get(tile_spec.source.name, ()))
        ).items():
            key = speed_key(tile_spec.entity.name, entity_id)
            for start, events in tiles.items():
                if start < from_ms:
                    continue
                scalars = [merged(s, tile_spec, events) for s in tile_spec.states]
                inline = tile_spec.keyed if tile_spec.inline else ()
                sets = [[v for e in events for v in state_of_event(s, tile_spec, e)] for s in inline]  # type: ignore[union-attr]
                payload = encode_speed(len(events), scalars, sets)  # type: ignore[arg-type]
                writes.append(TileWrite(key, tile_field(tile_spec, start), payload))
                for i, state in enumerate(() if tile_spec.inline else tile_spec.keyed):
                    for value in merged(state, tile_spec, events):  # type: ignore[attr-defined]
                        own = [e for e in events if value in state_of_event(state, tile_spec, e)]  # type: ignore[operator]
                        n = len(own) if tile_spec.counts_all(state) else 1
                        writes.append(TileWrite(key, keyed_field(tile_spec, start, i, value), str(n).encode()))
    return writes


def as_layered(
    features: FeatureSet, arrived: Mapping[str, Sequence[EventRow]], batch_end_ms: int
) -> dict[str, list[EventRow]]:
    """`arrived` as both layers know it: of what may be revised, the batch layer has what stood before `batch_end_ms`,
    and the stream each verdict once. Ids are then those of versions, so that the reference takes all of them.
    """
    found = {name: list(events) for name, events in arrived.items()}
    for source in {v.source.name: v.source for v in features.views if v.source.revisions}.values():
        told, events = source.revisions, arrived.get(source.name, ())
        assert told is not None
        stood = [e for e in without_duplicates(source, events, batch_end_ms - 1) if time_of(source, e) < batch_end_ms]
        streamed = [
            {**e, told.known: time_of(source, e)}
            for e in as_streamed(source, events)
            if time_of(source, e) >= batch_end_ms
        ]
        found[source.name] = [{**e, source.id: f"{e[source.id]}/{i}"} for i, e in enumerate([*stood, *streamed])]
    return found
