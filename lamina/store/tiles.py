r"""How tiles are written down: text fields in the speed layer, one packed blob per tiling in the batch layer.

Speed layer, one field of hash `<entity>:<id>` per tile: `<tiling>/<start>` holds `n` and the scalar states in the
tiling's order, separated by `\x1f`. In a tiling that is `inline` the values of each keyed state (a hash of distinct, a
text of last_k, one an event) follow, separated by `\x1d`; otherwise each value has a field
`<tiling>/<start>/<index>/<value>` that holds its `n`. A sum of several tiles (`lamina.store.folded`) holds the values
of its keyed states whatever the tiling is; where these have fields, what their `n` add up to follows, one a state.
Flink writes exactly these bytes to topic `feature-tiles`, key `<entity>:<id>\t<field>`; the sink moves them without
parsing.

Batch layer, one field of hash `<entity>_batch:<id>` per tiling: `LMT3`, then `through` as 13 digits, then the number
of tiles, of written numeric states and of hashes (little-endian uint32, padded to 32 bytes), starts (int64), those
numeric states (float64), event counts (uint32), JSON, and the hashes of all distinct states (uint64), as many as the
header says. The JSON: `same`, the places of numeric states that equal the event counts and are not written; `texts`
and `sets`, by state the tiles that have any and what they have; `hashed`, the places of the sets that are hashes, of
which `sets` tells how many there are up to each tile.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import nan
from typing import Any, NamedTuple, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from lamina.clock import DAY_MS
from lamina.errors import CodecError
from lamina.semantics.events import EventRow
from lamina.semantics.plan import MISSING_IS_NAN, State, Tiling
from lamina.semantics.states import StateValue, state_of_event
from lamina.store.sparse import Hashes, Sparse

T = TypeVar("T")
MAGIC = b"LMT3"
FIELD_SEPARATOR = "\x1f"
VALUE_SEPARATOR = "\x1d"
_HEADER = struct.Struct("<4s13sxxxIII")
_START = struct.Struct("<q")
THROUGH_SLICE = slice(4, 17)
LATEST_MS = DAY_MS
"""How long before the end of the batch layer a question may be for blobs to hold the newest values that it needs."""


@dataclass
class TileColumns:
    r"""Tiles of one entity and tiling by column, oldest first. All sequences but the inner ones are of length tiles.

    numeric: one sequence a numeric state (min, max and times: NaN where missing; others: 0). texts: one a first or
    last state, `time\x1eid\x1evalue` or None. sets: one a keyed state, the values of each tile in any order.
    """

    starts: Sequence[int]
    n: Sequence[int]
    numeric: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str | None]] = field(default_factory=list)
    sets: Sequence[Sequence[Sequence[str]]] = field(default_factory=list)


def reachable(tiling: Tiling, tiles: TileColumns, through_ms: int) -> TileColumns:
    """`tiles` without the texts and values that no question from a day before `through_ms` on can reach.

    Most of a blob would be these: of an hour's distinct values all but the last hour's are of no more use, and of the
    newest value all but the newest.
    """
    since_ms = through_ms - LATEST_MS
    texts = [s for s in tiling.states if not s.numeric]
    return TileColumns(
        tiles.starts,
        tiles.n,
        tiles.numeric,
        [_pruned(s, tiles.starts, column, since_ms, None) for s, column in zip(texts, tiles.texts, strict=True)],
        [_pruned(s, tiles.starts, column, since_ms, ()) for s, column in zip(tiling.keyed, tiles.sets, strict=True)],
    )


def _pruned(state: State, starts: Sequence[int], column: Sequence[T], since_ms: int, nothing: T) -> list[T]:
    first = bisect_left(starts, since_ms - 1000 * state.horizon_s)
    if state.kind == "last" and not state.delayed:
        end = bisect_left(starts, since_ms)
        first = max(first, next((i for i in range(end - 1, -1, -1) if column[i] is not None), 0))
    return [*([nothing] * first), *column[first:]]


def encode_batch(through_ms: int, tiles: TileColumns, hashed: Collection[int] = ()) -> bytes:
    """The blob that holds `tiles`, complete up to `through_ms`.

    Args: hashed: places of the sets that are hashes of distinct values, `Tiling.hashed`.
    """
    n = np.asarray(tiles.n, "<u4")
    columns = [np.asarray(column, "<f8") for column in tiles.numeric]
    same = [i for i, column in enumerate(columns) if np.array_equal(column, n)]
    written = [column.tobytes() for i, column in enumerate(columns) if i not in same]
    sets: list[tuple[list[int], list[Any]]] = []
    hashes = array("Q")
    for i, (places, values) in enumerate(map(_sparse, tiles.sets)):
        if i in hashed:
            hashes.extend(int(value, 16) for own in values for value in own)
            sets.append((places, list(accumulate(map(len, values)))))
        else:
            sets.append((places, values))
    header = _HEADER.pack(MAGIC, b"%013d" % through_ms, len(n), len(written), len(hashes))
    tail = {"same": same, "texts": [_sparse(c) for c in tiles.texts], "sets": sets, "hashed": sorted(hashed)}
    starts = np.asarray(tiles.starts, "<i8").tobytes()
    return b"".join((header, starts, *written, n.tobytes(), orjson.dumps(tail), hashes.tobytes()))


class Packed(NamedTuple):
    """A blob of the batch layer, opened: its columns are where they were.

    through_ms: end of the batch layer, epoch ms. rows: tiles. written: numeric states that are in the blob. same:
    places, ascending, of those that are not, since they equal the event counts. hashes: of all distinct states. tail:
    the JSON.
    """

    blob: bytes
    through_ms: int
    rows: int
    written: int
    same: Sequence[int]
    hashes: int
    tail: Mapping[str, Any]

    @property
    def newest_ms(self) -> int:
        """Start of the newest of its tiles, of which there has to be one."""
        return int(_START.unpack_from(self.blob, _HEADER.size + 8 * (self.rows - 1))[0])

    def numbers(self) -> NDArray[np.int64]:
        """int64[1 + written, rows]: starts, and the bits of each written numeric state."""
        shape = 1 + self.written, self.rows
        return np.frombuffer(self.blob, "<i8", shape[0] * shape[1], _HEADER.size).reshape(shape)

    def counts(self) -> NDArray[np.uint32]:
        """uint32[rows]: the event counts."""
        return np.frombuffer(self.blob, "<u4", self.rows, _HEADER.size + 8 * (1 + self.written) * self.rows)

    def tiles(self) -> TileColumns:
        """Its columns.

        Raises: CodecError: when they are not as the header says.
        """
        try:
            view, at, size = memoryview(self.blob), _HEADER.size, 8 * self.rows
            starts = view[at : at + size].cast("q")
            numeric = [view[at + (1 + i) * size : at + (2 + i) * size].cast("d") for i in range(self.written)]
            at += (1 + self.written) * size
            n = view[at : at + 4 * self.rows].cast("I")
            for place in self.same:
                numeric.insert(place, n)  # type: ignore[arg-type]  # in ascending order: each lands where it was
            texts: list[Sequence[str | None]] = [
                Sparse(self.rows, places, values, None) for places, values in self.tail["texts"]
            ]
            sets = _sets(self.rows, self.tail, view[len(self.blob) - 8 * self.hashes :])
            return TileColumns(starts, n, numeric, texts, sets)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise unreadable(error) from error


def open_batch(blob: bytes) -> Packed:
    """What a blob says of itself.

    Raises: CodecError: when the bytes are not of this version.
    """
    try:
        magic, through, rows, written, hashes = _HEADER.unpack_from(blob)
        if magic != MAGIC:
            raise CodecError(
                f"batch tiles start with {magic!r}, not {MAGIC!r}: republish them with DAG features_daily_<system>"
            )
        begin, end = _HEADER.size + 8 * (1 + written) * rows + 4 * rows, len(blob) - 8 * hashes
        tail = orjson.loads(memoryview(blob)[begin:end])
        return Packed(blob, int(through), rows, written, tail["same"], hashes, tail)
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise unreadable(error) from error


def decode_batch(blob: bytes) -> tuple[int, TileColumns]:
    """`through` in epoch milliseconds and the tiles of a blob.

    Raises: CodecError: when the bytes are not of this version.
    """
    packed = open_batch(blob)
    return packed.through_ms, packed.tiles()


def unreadable(error: Exception) -> CodecError:
    """The error that says that a blob is not as it should be."""
    return CodecError(f"batch tiles cannot be read ({error}): republish them with DAG features_daily_<system>")


def _sets(rows: int, tail: Mapping[str, Any], hashes: memoryview) -> list[Sequence[Sequence[str]]]:
    numbers = hashes.cast("Q")
    found: list[Sequence[Sequence[str]]] = []
    for i, (places, values) in enumerate(tail["sets"]):
        if i not in tail["hashed"]:
            found.append(Sparse(rows, places, values, ()))
            continue
        last = values[-1] if values else 0
        found.append(Hashes(rows, places, values, numbers[:last]))
        numbers = numbers[last:]
    return found


def _sparse(column: Sequence[T]) -> tuple[list[int], list[T]]:
    places = [i for i, value in enumerate(column) if value]
    return places, [column[i] for i in places]


def tile_field(tiling: Tiling, start_ms: int) -> str:
    """Name of the field that holds a tile's scalar states."""
    return f"{tiling.id}/{start_ms}"


def keyed_field(tiling: Tiling, start_ms: int, index: int, value: str) -> str:
    """Name of the field that says that `value` was seen by the keyed state `index` in a tile."""
    return f"{tiling.id}/{start_ms}/{index}/{value}"


def encode_speed(
    n: int,
    states: Iterable[float | int | str | None],
    sets: Iterable[Iterable[str]] = (),
    keyed_n: Iterable[int] = (),
) -> bytes:
    """The payload of a tile: its event count, its scalar states in the tiling's order, inline sets, and of a sum what
    the fields of its keyed states count.
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
    """Decoded speed tiles of one entity and tiling, oldest first.

    keyed_n: one sequence a keyed state: how many events the values of each tile count; empty where they are inline.
    """

    tiles: TileColumns
    keyed_n: Sequence[Sequence[int]]


def decode_speed(
    tilings: Sequence[Tiling], fields: Mapping[bytes, bytes], from_ms: Mapping[str, int]
) -> dict[str, SpeedTiles]:
    """Tiles per tiling id that start at or after `from_ms[id]` (absent: all), from one entity's hash.

    Raises: CodecError: when a tile of these tilings is not written as they are.
    """
    try:
        found = _speed_tiles(tilings, fields, from_ms)
        return {t.id: _speed_columns(t, found[t.id]) for t in tilings}
    except (ValueError, IndexError) as error:
        raise CodecError(
            f"speed tiles cannot be read ({error}): empty the entity's hash, and fill it with `lamina features rebuild`"
        ) from error


def _speed_tiles(
    tilings: Sequence[Tiling], fields: Mapping[bytes, bytes], from_ms: Mapping[str, int]
) -> dict[str, dict[int, _SpeedTile]]:
    found: dict[str, dict[int, _SpeedTile]] = {t.id: {} for t in tilings}
    for name, payload in fields.items():
        tiling_id, start_text, *rest = name.decode().split("/", 3)
        tiles = found.get(tiling_id)
        if tiles is None or (start := int(start_text)) < from_ms.get(tiling_id, 0):
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


def _speed_columns(tiling: Tiling, found: dict[int, _SpeedTile]) -> SpeedTiles:
    starts = sorted(found)
    tiles = [found[s] for s in starts]
    numeric: list[list[float]] = []
    texts: list[list[str | None]] = []
    for i, state in enumerate(tiling.states):
        raw = [tile.parts[i] if tile.parts else "" for tile in tiles]
        if state.numeric:
            empty = nan if state.kind in MISSING_IS_NAN else 0.0
            numeric.append([float(r) if r else empty for r in raw])
        else:
            texts.append([r or None for r in raw])
    places = range(len(tiling.keyed))
    n = [tile.n for tile in tiles]
    first, counts = len(tiling.states), len(tiling.states) + len(tiling.keyed)
    if tiling.inline:
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


def tile_of_event(tiling: Tiling, wanted: Collection[State]) -> Callable[[EventRow, int], TileColumns]:
    """What makes the tile of a single event that starts at a time, of its states only those that are `wanted`."""
    numeric = [s if s in wanted else None for s in tiling.states if s.numeric]
    texts = [s if s in wanted else None for s in tiling.states if not s.numeric]
    sets = [s if s in wanted else None for s in tiling.keyed]

    def columns(states: Iterable[State | None], nothing: StateValue, event: EventRow) -> list[list[StateValue]]:
        return [[nothing if s is None else state_of_event(s, tiling, event)] for s in states]

    def tile(event: EventRow, start_ms: int) -> TileColumns:
        parts = (columns(numeric, nan, event), columns(texts, None, event), columns(sets, [], event))
        return TileColumns([start_ms], [1], *parts)  # type: ignore[arg-type]

    return tile
