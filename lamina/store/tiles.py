r"""Tiles as columns, and how the speed layer writes them down: as text, a field a tile.

Speed layer, one field of hash `<entity>:<id>` per tile: `<tile_spec>/<start>` holds `n` and the scalar states in the
tile spec's order, separated by `\x1f`. In a tile spec that is `inline` the values of each keyed state (a hash of
distinct, a text of last_k, one an event) follow, separated by `\x1d`; otherwise each value has a field
`<tile_spec>/<start>/<index>/<value>` that holds its `n`. A sum of several tiles (`lamina.store.folded`) holds the
values of its keyed states whatever the tile spec is; where these have fields, what their `n` add up to follows, one a
state. Flink writes exactly these bytes to topic `feature-tiles`, key `<entity>:<id>\t<field>`; the sink moves them
without parsing.

The batch layer packs its tiles into blobs: `lamina.store.blobs`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

from lamina.errors import CodecError
from lamina.semantics.events import EventRow
from lamina.semantics.plan import MISSING_IS_NAN, State, TileSpec
from lamina.semantics.states import StateValue, state_of_event

FIELD_SEPARATOR = "\x1f"
VALUE_SEPARATOR = "\x1d"


@dataclass
class TileColumns:
    r"""Tiles of one entity and tile spec by column, oldest first. All sequences but the inner ones are of length tiles.

    numeric: one sequence a numeric state (min, max and times: NaN where missing; others: 0). texts: one a first or
    last state, `time\x1eid\x1evalue` or None. sets: one a keyed state, the values of each tile in any order.
    """

    starts: Sequence[int]
    n: Sequence[int]
    numeric: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str | None]] = field(default_factory=list)
    sets: Sequence[Sequence[Sequence[str]]] = field(default_factory=list)


def tile_field(tile_spec: TileSpec, start_ms: int) -> str:
    """Name of the field that holds a tile's scalar states."""
    return f"{tile_spec.id}/{start_ms}"


def keyed_field(tile_spec: TileSpec, start_ms: int, index: int, value: str) -> str:
    """Name of the field that says that `value` was seen by the keyed state `index` in a tile."""
    return f"{tile_spec.id}/{start_ms}/{index}/{value}"


def encode_speed(
    n: int,
    states: Iterable[float | int | str | None],
    sets: Iterable[Iterable[str]] = (),
    keyed_n: Iterable[int] = (),
) -> bytes:
    """The payload of a tile: its event count, its scalar states in the tile spec's order, inline sets, and of a sum
    what the fields of its keyed states count.
    """
    parts = (
        str(n),
        *("" if s is None or s != s else str(s) for s in states),
        *(VALUE_SEPARATOR.join(values) for values in sets),
        *map(str, keyed_n),
    )
    return FIELD_SEPARATOR.join(parts).encode()


def event_count(payload: bytes) -> int:
    """The event count that a speed payload starts with."""
    return int(payload.partition(b"\x1f")[0])


@dataclass
class _SpeedTile:
    n: int = 0
    parts: list[str] = field(default_factory=list)
    sets: dict[int, list[str]] = field(default_factory=dict)
    keyed_n: dict[int, int] = field(default_factory=dict)


@dataclass
class SpeedTiles:
    """Decoded speed tiles of one entity and tile spec, oldest first.

    keyed_n: one sequence a keyed state: how many events the values of each tile count; empty where they are inline.
    """

    tiles: TileColumns
    keyed_n: Sequence[Sequence[int]]


def decode_speed(
    tile_specs: Sequence[TileSpec], fields: Mapping[bytes, bytes], from_ms: Mapping[str, int]
) -> dict[str, SpeedTiles]:
    """Tiles per tile spec id that start at or after `from_ms[id]` (absent: all), from one entity's hash.

    Raises: CodecError: when a tile of these tile specs is not written as they are.
    """
    try:
        found = _speed_tiles(tile_specs, fields, from_ms)
        return {t.id: _speed_columns(t, found[t.id]) for t in tile_specs}
    except (ValueError, IndexError) as error:
        raise CodecError(
            f"speed tiles cannot be read ({error}): empty the entity's hash, and fill it with `lamina features rebuild`"
        ) from error


def _speed_tiles(
    tile_specs: Sequence[TileSpec], fields: Mapping[bytes, bytes], from_ms: Mapping[str, int]
) -> dict[str, dict[int, _SpeedTile]]:
    found: dict[str, dict[int, _SpeedTile]] = {t.id: {} for t in tile_specs}
    for name, payload in fields.items():
        tile_spec_id, start_text, *rest = name.decode().split("/", 3)
        tiles = found.get(tile_spec_id)
        if tiles is None or (start := int(start_text)) < from_ms.get(tile_spec_id, 0):
            continue
        tile = tiles.setdefault(start, _SpeedTile())
        if rest:
            index = int(rest[0])
            tile.sets.setdefault(index, []).append(rest[1])
            tile.keyed_n[index] = tile.keyed_n.get(index, 0) + int(payload)
        else:
            count, *tile.parts = payload.decode().split(FIELD_SEPARATOR)
            tile.n = int(count)
    return found


def _speed_columns(tile_spec: TileSpec, found: dict[int, _SpeedTile]) -> SpeedTiles:
    starts = sorted(found)
    tiles = [found[s] for s in starts]
    numeric: list[list[float]] = []
    texts: list[list[str | None]] = []
    for i, state in enumerate(tile_spec.states):
        raw = [tile.parts[i] if tile.parts else "" for tile in tiles]
        if state.numeric:
            empty = nan if state.kind in MISSING_IS_NAN else 0.0
            numeric.append([float(r) if r else empty for r in raw])
        else:
            texts.append([r or None for r in raw])
    places = range(len(tile_spec.keyed))
    n = [tile.n for tile in tiles]
    first, counts = len(tile_spec.states), len(tile_spec.states) + len(tile_spec.keyed)
    if tile_spec.inline:
        sets = [[_split(tile.parts[first + i]) for tile in tiles] for i in places]
        return SpeedTiles(TileColumns(starts, n, numeric, texts, sets), ())
    for tile in tiles:
        if len(tile.parts) > first:
            tile.sets = {i: _split(tile.parts[first + i]) for i in places}
            tile.keyed_n = {i: int(tile.parts[counts + i]) for i in places}
    sets = [[tile.sets.get(i, []) for tile in tiles] for i in places]
    keyed_n = [[tile.keyed_n.get(i, 0) for tile in tiles] for i in places]
    return SpeedTiles(TileColumns(starts, n, numeric, texts, sets), keyed_n)


def _split(values: str) -> list[str]:
    return values.split(VALUE_SEPARATOR) if values else []


def tile_of_event(tile_spec: TileSpec, wanted: Collection[State]) -> Callable[[EventRow, int], TileColumns]:
    """What makes the tile of a single event that starts at a time, of its states only those that are `wanted`."""
    numeric = [s if s in wanted else None for s in tile_spec.states if s.numeric]
    texts = [s if s in wanted else None for s in tile_spec.states if not s.numeric]
    sets = [s if s in wanted else None for s in tile_spec.keyed]

    def columns(states: Iterable[State | None], nothing: StateValue, event: EventRow) -> list[list[StateValue]]:
        return [[nothing if s is None else state_of_event(s, tile_spec, event)] for s in states]

    def tile(event: EventRow, start_ms: int) -> TileColumns:
        parts = (columns(numeric, nan, event), columns(texts, None, event), columns(sets, [], event))
        return TileColumns([start_ms], [1], *parts)  # type: ignore[arg-type]

    return tile
