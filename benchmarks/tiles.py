"""Tiles built the slow way, straight from events: what Spark and Flink are expected to have written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import nan

from lamina.contracts.features import FeatureSet
from lamina.semantics.events import EventRow, time_of, value_of
from lamina.semantics.plan import Plan, State, Tiling
from lamina.semantics.reference import as_streamed, without_duplicates
from lamina.semantics.sketch import kept
from lamina.semantics.states import state_of_event
from lamina.store.blobs import encode_batch, reachable
from lamina.store.protocol import BatchWrite, TileWrite, speed_key
from lamina.store.tiles import TileColumns, encode_speed, keyed_field, tile_field


def tiles_of(tiling: Tiling, once: Iterable[EventRow]) -> dict[str, dict[int, list[EventRow]]]:
    """Events by entity id and tile start."""
    found: dict[str, dict[int, list[EventRow]]] = defaultdict(lambda: defaultdict(list))
    for event in once:
        start = tiling.start_ms(int(str(value_of(event, tiling.source.timestamp))))
        found[str(value_of(event, tiling.entity.key))][start].append(event)
    return found


def merged(state: State, tiling: Tiling, events: Sequence[EventRow]) -> object:
    """One state of one tile, from its events."""
    parts = [state_of_event(state, tiling, e) for e in events]
    if state.kind == "distinct":
        return sorted({v for p in parts for v in p})[: kept(state.size)]  # type: ignore[union-attr]
    if state.kind == "last_k":
        return sorted((v for p in parts for v in p), reverse=True)[: state.size]  # type: ignore[union-attr]
    present = [p for p in parts if p is not None and p == p]
    match state.kind:
        case "count" | "sum" | "decayed":
            return sum(present)  # type: ignore[arg-type]
        case "m2":
            sums = [state_of_event(State("sum", state.column, state.where), tiling, e) for e in events]
            ones = [state_of_event(State("count", state.column, state.where), tiling, e) for e in events]
            values = [float(str(s)) for s, one in zip(sums, ones, strict=True) if one]
            mean = sum(values) / len(values) if values else 0.0
            return sum((v - mean) ** 2 for v in values)
        case "first" | "min" | "first_time":
            return min(present, default=None if state.kind == "first" else nan)
        case _:
            return max(present, default=None if state.kind == "last" else nan)


def batch_columns(tiling: Tiling, arrived: Iterable[EventRow], through_ms: int) -> dict[str, TileColumns]:
    """Tiles that start before `through_ms`, by entity id."""
    found = {}
    for entity_id, tiles in tiles_of(tiling, without_duplicates(tiling.source, arrived, through_ms - 1)).items():
        starts = sorted(s for s in tiles if s < through_ms)
        found[entity_id] = TileColumns(
            starts,
            [len(tiles[s]) for s in starts],
            [[merged(x, tiling, tiles[s]) for s in starts] for x in tiling.states if x.numeric],  # type: ignore[misc]
            [[merged(x, tiling, tiles[s]) for s in starts] for x in tiling.states if not x.numeric],  # type: ignore[misc]
            [[merged(x, tiling, tiles[s]) for s in starts] for x in tiling.keyed],  # type: ignore[misc]
        )
    return found


def batch_writes(plan: Plan, arrived: Mapping[str, Sequence[EventRow]], through_ms: int) -> list[BatchWrite]:
    """What the batch layer publishes."""
    blobs: dict[str, dict[str, bytes]] = defaultdict(dict)
    for tiling in plan.tilings:
        for entity_id, columns in batch_columns(tiling, arrived.get(tiling.source.name, ()), through_ms).items():
            kept = reachable(tiling, columns, through_ms)
            blobs[speed_key(tiling.entity.name, entity_id)][tiling.id] = encode_batch(through_ms, kept, tiling.hashed)
    speed = {
        kind: tuple(t.id for t in plan.speed if t.entity.name == kind) for kind in {k.split(":")[0] for k in blobs}
    }
    return [BatchWrite(key, found, speed[key.split(":")[0]]) for key, found in blobs.items()]


def speed_writes(tilings: Iterable[Tiling], arrived: Mapping[str, Sequence[EventRow]], from_ms: int) -> list[TileWrite]:
    """What the speed layer holds at the end: tiles that start at or after `from_ms`."""
    writes = []
    for tiling in tilings:
        for entity_id, tiles in tiles_of(
            tiling, as_streamed(tiling.source, arrived.get(tiling.source.name, ()))
        ).items():
            key = speed_key(tiling.entity.name, entity_id)
            for start, events in tiles.items():
                if start < from_ms:
                    continue
                scalars = [merged(s, tiling, events) for s in tiling.states]
                inline = tiling.keyed if tiling.inline else ()
                sets = [[v for e in events for v in state_of_event(s, tiling, e)] for s in inline]  # type: ignore[union-attr]
                payload = encode_speed(len(events), scalars, sets)  # type: ignore[arg-type]
                writes.append(TileWrite(key, tile_field(tiling, start), payload))
                for i, state in enumerate(() if tiling.inline else tiling.keyed):
                    for value in merged(state, tiling, events):  # type: ignore[attr-defined]
                        n = sum(value in state_of_event(state, tiling, e) for e in events)  # type: ignore[operator]
                        writes.append(TileWrite(key, keyed_field(tiling, start, i, value), str(n).encode()))
    return writes


def as_layered(
    features: FeatureSet, arrived: Mapping[str, Sequence[EventRow]], through_ms: int
) -> dict[str, list[EventRow]]:
    """`arrived` as both layers know it: of what may be revised, the batch layer has what stood before `through_ms`, and
    the stream each verdict once. Ids are then those of versions, so that the reference takes all of them.
    """
    found = {name: list(events) for name, events in arrived.items()}
    for source in {v.source.name: v.source for v in features.views if v.source.revisions}.values():
        told, events = source.revisions, arrived.get(source.name, ())
        assert told is not None
        stood = [e for e in without_duplicates(source, events, through_ms - 1) if time_of(source, e) < through_ms]
        streamed = [
            {**e, told.known: time_of(source, e)}
            for e in as_streamed(source, events)
            if time_of(source, e) >= through_ms
        ]
        found[source.name] = [{**e, source.id: f"{e[source.id]}/{i}"} for i, e in enumerate([*stood, *streamed])]
    return found
