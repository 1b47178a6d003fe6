"""What a Spark worker does with one partition of tiles: packs them per entity and writes the blobs to Redis."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.semantics.plan import TileSpec
from lamina.store.blobs import encode_batch, reachable
from lamina.store.progress import Progress
from lamina.store.protocol import MOST_BLOBS, BatchWrite, WriteSequence, speed_key
from lamina.store.redis import RedisStore
from lamina.store.tiles import TileColumns

PART, TILE_SPEC, NUMERIC, TEXTS, SETS = "_part", "_tiling", "_numeric", "_texts", "_sets"
COUNTS_SCHEMA = "part int, entities long, blobs long, applied long, bytes long"


@dataclass(frozen=True)
class BlobWriter:
    """The function for `DataFrame.mapInArrow`: tiles of one part, sorted by (entity id, tile spec, start), in; counts
    out.

    speed: ids of the speed tile specs whose tiles before `batch_end_ms` the blobs replace. takes_back: blobs of later
    days are replaced as well.

    A part is recorded as done after its last write was acknowledged. An entity gets a blob for every tile spec, an
    empty one where it has no tiles, so that what an older blob said never outlives it.
    """

    tile_specs: tuple[TileSpec, ...]
    speed: tuple[str, ...]
    batch_end_ms: int
    redis_url: str
    work: str
    takes_back: bool = False

    def __repr__(self) -> str:
        return f"BlobWriter(work={self.work!r})"  # the URL may hold a password

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write the partition; one row of counts, none for an empty partition."""
        found = [batch for batch in batches if batch.num_rows]
        if not found:
            return
        table = pa.Table.from_batches(found).combine_chunks()
        del found
        (part,) = pc.unique(table[PART]).to_pylist()
        writes = self.writes(table)
        applied = self._publish(part, writes)
        blobs = [blob for write in writes for blob in write.blobs.values()]
        counts = {
            "part": pa.array([part], pa.int32()),
            "entities": pa.array([len(writes)], pa.int64()),
            "blobs": pa.array([len(blobs)], pa.int64()),
            "applied": pa.array([applied], pa.int64()),
            "bytes": pa.array([sum(map(len, blobs))], pa.int64()),
        }
        yield pa.RecordBatch.from_pydict(counts)

    def _publish(self, part: int, writes: Sequence[BatchWrite]) -> int:
        """Write, and record the part if the server still holds all of it; blobs that were written."""
        store, sequence = RedisStore(self.redis_url), WriteSequence(uuid.uuid4().hex, 0)
        store.begin(self.work, sequence.writer)
        applied = 0
        for i in range(0, len(writes), MOST_BLOBS):
            sequence = sequence.next()
            applied += store.publish(writes[i : i + MOST_BLOBS], sequence)
        Progress(self.redis_url, self.work).record(part, sequence)
        return applied

    def writes(self, table: pa.Table) -> list[BatchWrite]:
        """The blobs of every entity in `table`."""
        blobs: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        for number, tile_spec in enumerate(self.tile_specs):
            mine = table.filter(pc.equal(table[TILE_SPEC], number))
            for entity_id, columns in columns_by_entity(tile_spec, mine):
                blobs[entity_id][tile_spec.id] = self._blob(tile_spec, columns)
        return [
            BatchWrite(
                speed_key(self.tile_specs[0].entity.name, entity_id),
                {t.id: own[t.id] if t.id in own else self._nothing(t) for t in self.tile_specs},
                self.speed,
                self.takes_back,
            )
            for entity_id, own in blobs.items()
        ]

    def _blob(self, tile_spec: TileSpec, columns: TileColumns) -> bytes:
        return encode_batch(self.batch_end_ms, reachable(tile_spec, columns, self.batch_end_ms), tile_spec.hashed)

    def _nothing(self, tile_spec: TileSpec) -> bytes:
        numeric, texts, keyed = widths(tile_spec)
        return self._blob(tile_spec, TileColumns([], [], [[] for _ in range(numeric)], [[]] * texts, [[]] * keyed))


def widths(tile_spec: TileSpec) -> tuple[int, int, int]:
    """Numbers of numeric states, of texts and of sets."""
    numeric = sum(s.numeric for s in tile_spec.states)
    return numeric, len(tile_spec.states) - numeric, len(tile_spec.keyed)


def columns_by_entity(tile_spec: TileSpec, table: pa.Table) -> Iterator[tuple[str, TileColumns]]:
    """The tiles of each entity of one tile spec, oldest first.

    Args: table: sorted by entity id and start; lists `NUMERIC`, `TEXTS`, `SETS` with the states in the tile spec's
    order.
    """
    if not table.num_rows:
        return
    table = table.combine_chunks()
    numeric_width, text_width, set_width = widths(tile_spec)
    ids = table["entity_id"].combine_chunks().dictionary_encode()
    codes = ids.indices.to_numpy()
    starts, n = table["start"].to_numpy(), table["n"].to_numpy()
    # A missing number is NaN in a blob.
    flat = table[NUMERIC].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    numeric = flat.astype(np.float64).reshape(len(codes), numeric_width)
    texts = _matrix(table[TEXTS], text_width)
    sets = _matrix(table[SETS], set_width)
    bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for i, j in pairwise(bounds):
        yield (
            ids.dictionary[int(codes[i])].as_py(),
            TileColumns(
                starts[i:j],
                n[i:j],
                [numeric[i:j, k] for k in range(numeric_width)],
                [column[i:j] for column in texts],
                [column[i:j] for column in sets],
            ),
        )


def _matrix(column: pa.ChunkedArray, width: int) -> list[list[Any]]:
    """Lists of equal length as columns of Python values."""
    values = column.combine_chunks().flatten().to_pylist()
    return [values[k::width] for k in range(width)]
