"""How the batch layer writes tiles down: one packed blob a tile spec of an entity.

One field of hash `<entity>_batch:<id>` per tile_spec: `LMT3`, then `through` as 13 digits, then the number of tiles, of
written numeric states and of hashes (little-endian uint32, padded to 32 bytes), starts (int64), those numeric states
(float64), event counts (uint32), JSON, and the hashes of all distinct states (uint64), as many as the header says. The
JSON: `same`, the places of numeric states that equal the event counts and are not written; `texts` and `sets`, by state
the tiles that have any and what they have; `hashed`, the places of the sets that are hashes, of which `sets` tells how
many there are up to each tile.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from lamina.clock import DAY_MS
from lamina.errors import CodecError
from lamina.semantics.plan import State, TileSpec
from lamina.store.sparse import Hashes, Sparse
from lamina.store.tiles import TileColumns

T = TypeVar("T")

MAGIC = b"LMT3"
_HEADER = struct.Struct("<4s13sxxxIII")
_START = struct.Struct("<q")
THROUGH_SLICE = slice(4, 17)
LATEST_MS = DAY_MS
"""How long before the end of the batch layer a question may be for blobs to hold the newest values that it needs."""


def reachable(tile_spec: TileSpec, tiles: TileColumns, batch_end_ms: int) -> TileColumns:
    """`tiles` without the texts and values that no question from a day before `batch_end_ms` on can reach.

    Most of a blob would be these: of an hour's distinct values all but the last hour's are of no more use, and of the
    newest value all but the newest.
    """
    since_ms = batch_end_ms - LATEST_MS
    texts = [s for s in tile_spec.states if not s.numeric]
    return TileColumns(
        tiles.starts,
        tiles.n,
        tiles.numeric,
        [_pruned(s, tiles.starts, column, since_ms, None) for s, column in zip(texts, tiles.texts, strict=True)],
        [_pruned(s, tiles.starts, column, since_ms, ()) for s, column in zip(tile_spec.keyed, tiles.sets, strict=True)],
    )


def _pruned(state: State, starts: Sequence[int], column: Sequence[T], since_ms: int, nothing: T) -> list[T]:
    first = bisect_left(starts, since_ms - 1000 * state.horizon_s)
    if state.kind == "last" and not state.delayed:
        end = bisect_left(starts, since_ms)
        first = max(first, next((i for i in range(end - 1, -1, -1) if column[i] is not None), 0))
    return [*([nothing] * first), *column[first:]]


def encode_batch(batch_end_ms: int, tiles: TileColumns, hashed: Collection[int] = ()) -> bytes:
    """The blob that holds `tiles`, complete up to `batch_end_ms`.

    Args: hashed: places of the sets that are hashes of distinct values, `TileSpec.hashed`.
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
    header = _HEADER.pack(MAGIC, b"%013d" % batch_end_ms, len(n), len(written), len(hashes))
    tail = {"same": same, "texts": [_sparse(c) for c in tiles.texts], "sets": sets, "hashed": sorted(hashed)}
    starts = np.asarray(tiles.starts, "<i8").tobytes()
    return b"".join((header, starts, *written, n.tobytes(), orjson.dumps(tail), hashes.tobytes()))


class Packed(NamedTuple):
    """A blob of the batch layer, opened: its columns are where they were.

    batch_end_ms: end of the batch layer, epoch ms. rows: tiles. written: numeric states that are in the blob. same:
    places, ascending, of those that are not, since they equal the event counts. hashes: of all distinct states. tail:
    the JSON.
    """

    blob: bytes
    batch_end_ms: int
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
    return packed.batch_end_ms, packed.tiles()


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
